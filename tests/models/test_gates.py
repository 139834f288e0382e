"""The quality and occlusion gates of the shipped head, on real faces."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.bundles.bundle import read_bundle
from pipeline.bundles.models import HeadParams, read_head_params
from pipeline.faces.detector import TwoRangeDetector
from pipeline.faces.mesh import FaceMesh
from pipeline.faces.people import observe, people, refine
from pipeline.faces.quality import gate
from pipeline.fitting.synthetic_occlusion import Occluder, draw_occluder
from pipeline.images.decode import decode
from pipeline.verdict import GateResult, Outcome
from support.hard_files import brighter, darker
from support.labelled import need, rows
from support.odd_files import saved
from support.portraits import BIDEN, COLLINS, OBAMA, smaller

NO_FACE = GateResult("face", 0, 1)


class Gates:
    """What refuses the largest face of a photo."""

    def __init__(self, folder: Path) -> None:
        bundle = read_bundle(folder)
        self.params: HeadParams = read_head_params(bundle.head)
        self.detector = TwoRangeDetector(bundle.path("blazeface_short"), bundle.path("blazeface_full"))
        self.mesh = FaceMesh(bundle.path("face_mesh"))

    def failed_gate(self, data: bytes) -> GateResult | None:
        """None where the main face may be judged."""
        picture = decode(data)
        detection = self.detector.detect(picture.rgb)
        faces = observe(detection.rgb, refine(self.mesh, detection.rgb, detection.faces), picture.scale)
        persons = people(faces, self.params.quality)
        if not persons:
            return NO_FACE
        quality, occlusion = faces[persons[0]].quality, faces[persons[0]].occlusion
        assert quality is not None
        assert occlusion is not None
        failed_gate = gate(quality, self.params.quality)
        if failed_gate and failed_gate[0] is not Outcome.FACE_TOO_SMALL:
            return failed_gate[1]
        hidden = self.params.occlusion.gate(occlusion)
        return hidden or (failed_gate[1] if failed_gate else None)


@pytest.fixture(scope="module")
def gates(bundle_dir: Path) -> Gates:
    return Gates(bundle_dir)


def reasons(gates: Gates, files: Iterable[Path]) -> dict[str, str]:
    """The refused files, with their folders, and by which gate."""
    found = {f"{file.parent.name}/{file.name}": gates.failed_gate(file.read_bytes()) for file in files}
    return {name: failed_gate.name for name, failed_gate in found.items() if failed_gate}


def of_case(faces: Path, case: str) -> list[Path]:
    return [faces / row["file"] for row in rows(faces, "edge.csv") if row["case"] == case]


def test_bare_faces_of_50_to_69_are_hardly_ever_refused(faces: Path, gates: Gates) -> None:
    seniors = [
        faces / row["file"] for row in rows(faces, "fairface.csv") if row["age_group"] in ("50-59", "60-69")
    ]
    assert len(seniors) > 70
    found = reasons(gates, seniors)
    failed_gate = {name: gate_name for name, gate_name in found.items() if gate_name != NO_FACE.name}
    assert len(failed_gate) <= 0.04 * len(seniors), failed_gate  # one of them wears sunglasses
    assert len(found) <= 0.1 * len(seniors), found  # in profile the mesh sees no face


def test_east_asian_faces_are_hardly_ever_called_hidden(faces: Path, gates: Gates) -> None:
    need(faces, "asian/asian_celeb")
    celebrities = sorted((faces / "asian" / "asian_celeb").rglob("*.jpg"))[:60]
    seniors = [faces / row["file"] for row in rows(faces, "utk_asian.csv") if int(row["age"]) >= 50][:60]
    found = reasons(gates, [*celebrities, *seniors])
    hidden = [name for name, gate_name in found.items() if gate_name.endswith("_hidden")]
    assert len(hidden) <= 0.015 * len([*celebrities, *seniors]), hidden


def test_hardly_any_real_mask_is_usable(faces: Path, gates: Gates) -> None:
    need(faces, "masks.csv")
    masks = [faces / row["file"] for row in rows(faces, "masks.csv")]
    usable = {f"{file.parent.name}/{file.name}" for file in masks} - reasons(gates, masks).keys()
    assert len(usable) <= 0.03 * len(masks), usable


def test_bare_faces_in_tight_crops_are_hardly_ever_called_hidden(faces: Path, gates: Gates) -> None:
    need(faces, "asian/rmfd_crops")
    crops = sorted((faces / "asian" / "rmfd_crops").rglob("*.jpg"))[::2]
    hidden = [name for name, gate_name in reasons(gates, crops).items() if gate_name.endswith("_hidden")]
    assert len(hidden) <= 0.04 * len(crops), hidden


def test_more_than_half_of_the_sunglasses_are_seen(faces: Path, gates: Gates) -> None:
    sunglasses = of_case(faces, "sunglasses")
    found_hidden = [name for name in reasons(gates, sunglasses).values() if name == "eyes_hidden"]
    assert len(found_hidden) > 0.5 * len(sunglasses)


@pytest.mark.parametrize(
    ("drawn", "gate_name", "share"),
    [
        (Occluder.MASK, "mouth_hidden", (0.9, 1.0)),
        (Occluder.SUNGLASSES, "eyes_hidden", (0.7, 1.0)),
        (Occluder.READING_GLASSES, "eyes_hidden", (0.0, 0.1)),
    ],
)
def test_a_portrait_is_refused_for_what_is_drawn_over_it_but_not_for_reading_glasses(
    portraits: Path, gates: Gates, drawn: Occluder, gate_name: str, share: tuple[float, float]
) -> None:
    people = [portraits / name for name in (*OBAMA, BIDEN, COLLINS)]
    assert reasons(gates, people) == {}
    found = [gates.failed_gate(wearing(gates, file, drawn, seed)) for file in people for seed in (1, 2)]
    names = [failed_gate.name for failed_gate in found if failed_gate]
    assert set(names) <= {gate_name}
    assert share[0] <= len(names) / len(found) <= share[1]


def wearing(gates: Gates, file: Path, drawn: Occluder, seed: int) -> bytes:
    """The portrait with something drawn over its face."""
    rgb = decode(file.read_bytes()).rgb
    face = gates.detector.detect(rgb).faces[0]
    return saved(Image.fromarray(draw_occluder(rgb, face, drawn, np.random.default_rng(seed))), "PNG")


@pytest.mark.parametrize(
    ("degraded", "gate_name"),
    [
        (lambda photo, _: darker(photo, 0.1), "highlights"),
        (lambda photo, _: brighter(photo, 150), "shadows"),
        (lambda photo, folder: smaller(photo, folder / "tiny.jpg", 48).read_bytes(), "face_px"),
    ],
    ids=["dark", "bright", "tiny"],
)
def test_bad_light_and_tiny_faces_are_refused_for_that(
    portraits: Path, gates: Gates, tmp_path: Path, degraded: Callable[[Path, Path], bytes], gate_name: str
) -> None:
    failed_gate = gates.failed_gate(degraded(portraits / OBAMA[0], tmp_path))
    assert failed_gate is not None
    assert failed_gate.name == gate_name
