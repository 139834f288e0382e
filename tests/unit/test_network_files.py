"""Networks by hash: only what a manifest vouches for is fetched, and nothing else is touched."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.bundles.bundle import Part
from pipeline.errors import WeightsCorrupt, WeightsMissing
from support.heads import a_bundle
from support.photo_server import PhotoServer
from worker.serving.registry import NetworkFiles

NETWORK = b"a fine-tuned network"
DIGEST = hashlib.sha256(NETWORK).hexdigest()
PART = Part(f"facenet-{DIGEST[:12]}.tflite", DIGEST, len(NETWORK))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    (folder / PART.file).write_bytes(NETWORK)
    return folder


@pytest.mark.parametrize("ending", [".tflite", ".onnx"])
def test_a_network_is_fetched_once(place: Path, tmp_path: Path, ending: str) -> None:
    part = replace(PART, file=str(Path(PART.file).with_suffix(ending)))
    (place / PART.file).rename(place / part.file)
    networks = NetworkFiles(str(place), tmp_path / "cache")
    found = networks.find("facenet", part)
    (place / part.file).unlink()
    assert networks.find("facenet", part) == found
    assert (found.read_bytes(), found.suffix) == (NETWORK, ending)


@pytest.mark.parametrize(
    "part",
    [
        replace(PART, file="../../secret.tflite"),
        replace(PART, file="/etc/passwd"),
        replace(PART, file=""),
        replace(PART, sha256="../cache"),
    ],
    ids=str,
)
def test_a_manifest_that_points_elsewhere_is_refused(place: Path, tmp_path: Path, part: Part) -> None:
    (tmp_path / "secret.tflite").write_bytes(NETWORK)
    with pytest.raises(WeightsCorrupt, match="names no file"):
        NetworkFiles(str(place / "a" / "b"), tmp_path / "cache").find("facenet", part)


def test_a_body_that_does_not_end_is_cut_off(photo_server: PhotoServer, tmp_path: Path) -> None:
    photo_server.add_photo(PART.file, NETWORK + bytes(4_000_000))
    with pytest.raises(WeightsMissing, match="longer than its manifest says"):
        NetworkFiles(photo_server.url, tmp_path / "cache").find("facenet", PART)
    assert not list((tmp_path / "cache").iterdir())


def test_a_place_that_cannot_be_written_to_is_a_model_error_and_no_crash(place: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(WeightsMissing, match="cannot be had"):
        NetworkFiles(str(place), tmp_path / "cache").find("facenet", PART)


def test_networks_are_offered_in_a_folder_and_named_where_that_is_an_address(tmp_path: Path) -> None:
    bundle = a_bundle(tmp_path / "bundle")
    shared = tmp_path / "shared"
    assert NetworkFiles(str(shared), tmp_path).offer(bundle, ["sface"]) == []
    [file] = shared.iterdir()
    assert file.read_bytes() == (bundle / file.name).read_bytes()
    assert NetworkFiles("https://models.example.com", tmp_path).offer(bundle, ["sface"]) == [file.name]
    assert NetworkFiles("", tmp_path).offer(bundle, []) == []
