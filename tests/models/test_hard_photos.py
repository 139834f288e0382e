"""Hard and broken files through the whole of `verify`, as selfie and as gallery photo."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.bundles.load import load_models
from pipeline.bundles.models import Models
from pipeline.datasets.degraded import DEGRADATIONS, degrade
from pipeline.faces.types import Rgb
from pipeline.images.decode import decode
from pipeline.verdict import Outcome, Verdict
from pipeline.verify import verify
from support.hard_files import hard_files
from support.labelled import rows
from support.portraits import OBAMA
from support.system import LONG

SENIORS = ("50-59", "60-69")


@pytest.fixture(scope="module")
def models(bundle_dir: Path) -> Models:
    return load_models(bundle_dir)


def as_selfie(models: Models, faces: Path, file: str) -> Verdict:
    return verify(models, (faces / file).read_bytes(), [])


@pytest.fixture(params=["made", pytest.param("edge set", marks=LONG)])
def hard(request: pytest.FixtureRequest, portraits: Path) -> dict[str, bytes]:
    if request.param == "made":
        return {name: file.data for name, file in hard_files(portraits / OBAMA[0]).items()}
    faces: Path = request.getfixturevalue("faces")
    return {row["file"]: (faces / row["file"]).read_bytes() for row in rows(faces, "edge.csv")}


def test_every_hard_or_broken_file_is_judged_and_the_broken_ones_say_why(
    models: Models, portraits: Path, hard: dict[str, bytes]
) -> None:
    good = (portraits / OBAMA[1]).read_bytes()
    for name, data in hard.items():
        for finding in (verify(models, data, []).selfie, verify(models, good, [data]).photos[0]):
            if finding.outcome is Outcome.INVALID_IMAGE:
                assert ": " in finding.detail, name
            else:
                assert finding.sha256 is not None, name


def test_four_of_five_photos_with_masks_are_refused_most_of_them_for_the_mask(
    models: Models, faces: Path
) -> None:
    masks = [row["file"] for row in rows(faces, "edge.csv") if row["case"] == "mask"]
    outcomes = [as_selfie(models, faces, file).selfie.outcome for file in masks]
    refused = sum(outcome is not Outcome.USABLE for outcome in outcomes)
    seen = sum(outcome in (Outcome.OCCLUDED, Outcome.NO_FACE) for outcome in outcomes)
    assert refused >= 0.8 * len(masks)
    assert seen >= 0.6 * len(masks)


def test_hardly_any_bare_face_of_the_users_age_is_refused(models: Models, faces: Path) -> None:
    seniors = [row["file"] for row in rows(faces, "fairface.csv") if row["age_group"] in SENIORS]
    gates = [finding for f in seniors if (finding := as_selfie(models, faces, f).selfie).gate is not None]
    assert len(seniors) > 70
    assert len(gates) <= 0.04 * len(seniors)  # one of them wears sunglasses


def changed(name: str, rgb: Rgb) -> bytes:
    """The photo made so bad that strangers become alike, as a PNG."""
    grain = np.random.default_rng(0).normal(0, 40, rgb.shape)
    worse = rgb + grain if name == "grain" else rgb * 2.0 + 60
    return cv2.imencode(".png", np.clip(worse, 0, 255).astype(np.uint8)[:, :, ::-1])[1].tobytes()


@pytest.mark.parametrize("name", ["grain", "overexposed"])
def test_nine_of_ten_photos_that_were_degraded_on_purpose_are_refused(
    models: Models, faces: Path, name: str
) -> None:
    files = sorted({row["file_x"] for row in rows(faces, "asian_pairs.csv") if row["set"] == "lfw_asian"})[
        :40
    ]
    photos = [changed(name, decode((faces / file).read_bytes()).rgb) for file in files]
    outcomes = [verify(models, photo, []).selfie.outcome for photo in photos]
    assert sum(outcome is not Outcome.USABLE for outcome in outcomes) >= 0.9 * len(files)


@pytest.mark.parametrize("outcome", DEGRADATIONS)
def test_a_degraded_photo_is_refused_by_the_gate_that_it_was_degraded_for(
    models: Models, portraits: Path, outcome: Outcome
) -> None:
    rgb = decode((portraits / OBAMA[0]).read_bytes()).rgb
    face = models.detector.detect(rgb).faces[0]
    rng = np.random.default_rng(1)
    changed = [degrade(rgb, face, outcome, rng) for _ in range(5)]
    files = [cv2.imencode(".png", copy[:, :, ::-1])[1].tobytes() for copy in changed]
    found = [verify(models, file, []).selfie.outcome for file in files]
    assert outcome in found


def close_crop(models: Models, photo: Path) -> bytes:
    """The face alone in 140 pixels, as a PNG."""
    rgb = decode(photo.read_bytes()).rgb
    box = models.detector.detect(rgb).faces[0].box
    x, y, side = (max(0, round(value)) for value in (box.x, box.y, box.side))
    small = cv2.resize(rgb[y : y + side, x : x + side], (140, 140), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".png", small[:, :, ::-1])[1].tobytes()


def test_of_two_close_crops_more_is_asked_and_neither_accuses_as_soon_as_a_whole_photo(
    models: Models, portraits: Path
) -> None:
    whole, other = ((portraits / name).read_bytes() for name in OBAMA[:2])
    crop, second = (close_crop(models, portraits / name) for name in OBAMA[:2])
    pairs = [(whole, other), (whole, second), (crop, second)]
    found = [verify(models, selfie, [photo]).photos[0].comparison for selfie, photo in pairs]
    wholes, mixed, crops = (one for one in found if one is not None)
    assert crops.approve_threshold > mixed.approve_threshold == wholes.approve_threshold
    assert crops.different_threshold == mixed.different_threshold < wholes.different_threshold
    assert crops.similarity < mixed.similarity
