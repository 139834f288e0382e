"""Another head on the same loaded networks: shared where it can be, refused where it does not fit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.analysis import analyse
from pipeline.bundles.bundle import Manifest, Origin, Part, with_head
from pipeline.bundles.head import Head
from pipeline.bundles.load import load_models, swap_head
from pipeline.bundles.models import Models
from pipeline.errors import BundleIncompatible, WeightsCorrupt, WeightsMissing
from pipeline.verdict import Outcome, Status
from pipeline.verify import judge, verify
from support.photo_server import PhotoServer
from support.portraits import BIDEN, OBAMA
from worker.serving.registry import NetworkFiles

COUPLE = (OBAMA[0], OBAMA[2])


@pytest.fixture(scope="module")
def models(bundle_dir: Path) -> Models:
    return load_models(bundle_dir)


def published(
    models: Models, facts: Mapping[str, Any], arrays: Mapping[str, Any] | None = None
) -> tuple[Manifest, str, bytes]:
    """A head with other facts or arrays than the bundle's, as it stands in the database."""
    head = models.bundle.head
    other = Head({**head.arrays, **(arrays or {})}, {**head.metadata, "name": "other", **facts})
    manifest, text, packed = with_head(models.bundle.manifest, other)
    return manifest, text.decode(), packed


def swapped(models: Models, facts: Mapping[str, Any], arrays: Mapping[str, Any] | None = None) -> Models:
    _, text, packed = published(models, facts, arrays)
    return swap_head([models], text, packed)


def strict(models: Models) -> Mapping[str, Any]:
    """Thresholds that no pair of different pictures reaches."""
    return {"edges": {**models.bundle.head.metadata["edges"], "approve": 1.09, "different": -1.0}}


def test_a_new_head_judges_on_the_networks_that_are_loaded(models: Models, portraits: Path) -> None:
    new = swapped(models, strict(models))
    assert new.version.startswith("other-")
    assert new.embedders["facenet"] is models.embedders["facenet"]
    assert new.detector is models.detector
    selfie, photo = ((portraits / file).read_bytes() for file in COUPLE)
    assert verify(new, selfie, [photo]).photos[0].outcome is Outcome.UNSURE
    assert verify(models, selfie, [photo]).status is Status.APPROVED


def test_two_heads_judge_what_was_analysed_and_embedded_once(models: Models, portraits: Path) -> None:
    new = swapped(models, strict(models))
    photos = [(portraits / file).read_bytes() for file in (COUPLE[1], BIDEN)]
    selfie = (portraits / COUPLE[0]).read_bytes()
    analysis = analyse([models, new], selfie, photos)
    first = judge(models, analysis)
    embedded = dict(analysis._embeddings)
    second = judge(new, analysis)
    assert all(analysis._embeddings[key] is embeddings for key, embeddings in embedded.items())
    assert (first.model_version, second.model_version) == (models.version, new.version)
    alone = verify(new, selfie, photos)
    assert replace(second, timings={}) == replace(alone, timings={})
    assert replace(judge(models, analysis), timings={}) == replace(first, timings={})


def test_a_head_that_wants_other_colours_gets_an_embedder_of_its_own(models: Models, portraits: Path) -> None:
    described = models.bundle.head.metadata["embedders"]
    facenet = {**described["facenet"], "preprocess": "gray"}
    new = swapped(models, {"embedders": {**described, "facenet": facenet}})
    assert new.embedders["facenet"] is not models.embedders["facenet"]
    assert new.embedders["facenet"].network is models.embedders["facenet"].network
    assert new.embedders["sface"] is models.embedders["sface"]
    selfie, photo = ((portraits / file).read_bytes() for file in COUPLE)
    analysis = analyse([models, new], selfie, [photo])
    whole = (replace(each, params=replace(each.params, first_stage=None)) for each in (models, new))
    in_colour, in_gray = (judge(each, analysis).photos[0].comparison for each in whole)
    assert in_colour is not None
    assert in_gray is not None
    assert in_colour.cosines["sface"] == in_gray.cosines["sface"]
    assert in_colour.cosines["facenet"] != in_gray.cosines["facenet"]


@pytest.mark.parametrize("damage", ["head", "manifest", "another head"])
def test_a_damaged_head_is_refused(models: Models, damage: str) -> None:
    _, text, packed = published(models, {})
    broken = {
        "head": (text, packed[:-1] + bytes([packed[-1] ^ 1])),
        "manifest": (text.replace('"approve": 0.', '"approve": 0.1'), packed),
        "another head": (text, published(models, {}, {"facenet.mean": np.ones(512, np.float32)})[2]),
    }[damage]
    with pytest.raises(WeightsCorrupt):
        swap_head([models], *broken)


def test_a_head_that_was_fitted_on_another_network_is_refused(models: Models) -> None:
    manifest, _, _ = published(models, {})
    facenet = manifest.parts["facenet"]
    assert facenet.origin is not None
    tuned = replace(facenet, sha256="0" * 64, origin=replace(facenet.origin, sha256="1" * 64))
    foreign = replace(manifest, parts={**manifest.parts, "facenet": tuned})
    _, text, packed = with_head(foreign, Head(models.bundle.head.arrays, models.bundle.head.metadata))
    with pytest.raises(BundleIncompatible, match="facenet"):
        swap_head([models], text.decode(), packed)


def test_a_network_that_another_host_converted_from_the_same_weights_is_taken(models: Models) -> None:
    manifest, _, _ = published(models, {})
    elsewhere = replace(manifest.parts["facenet"], sha256="0" * 64)
    foreign = replace(manifest, parts={**manifest.parts, "facenet": elsewhere})
    head = Head(models.bundle.head.arrays, models.bundle.head.metadata)
    own, _, _ = with_head(models.manifest, head)
    _, text, packed = with_head(foreign, head)
    assert swap_head([models], text.decode(), packed).version == own.version


@pytest.mark.parametrize(
    "arrays",
    [
        {"facenet.mean": np.zeros(100, np.float32)},
        {"facenet.projection": np.zeros((100, 8), np.float32)},
        {"gender.sface": np.zeros(5, np.float32)},
        {"gender.vgg19": np.zeros(5, np.float32)},
    ],
    ids=lambda arrays: next(iter(arrays)),
)
def test_a_head_that_does_not_fit_the_networks_is_refused(models: Models, arrays: Mapping[str, Any]) -> None:
    with pytest.raises(BundleIncompatible):
        swapped(models, {}, arrays)


def tuned_head(models: Models) -> tuple[str, bytes, bytes]:
    """A published head on a network that is not in the bundle, and that network: FaceNet, in other bytes."""
    network = models.bundle.path("facenet").read_bytes() + bytes(16)
    digest = hashlib.sha256(network).hexdigest()
    part = Part(f"facenet-{digest[:12]}.tflite", digest, len(network), Origin("facenet-finetuned", digest))
    foreign = replace(models.manifest, parts={**models.manifest.parts, "facenet": part})
    metadata = {**models.head.metadata, "name": "tuned"}
    _, text, packed = with_head(foreign, Head(models.head.arrays, metadata))
    return text.decode(), packed, network


@pytest.fixture(scope="module")
def tuned(models: Models) -> tuple[str, bytes, bytes]:
    return tuned_head(models)


def offered(network: bytes, folder: Path) -> Path:
    folder.mkdir()
    name = f"facenet-{hashlib.sha256(network).hexdigest()[:12]}.tflite"
    (folder / name).write_bytes(network)
    return folder


def test_a_network_that_is_not_here_is_fetched_by_its_hash_and_loaded_beside_the_others(
    models: Models, tuned: tuple[str, bytes, bytes], tmp_path: Path, portraits: Path
) -> None:
    text, packed, network = tuned
    networks = NetworkFiles(str(offered(network, tmp_path / "place")), tmp_path / "cache")
    new = swap_head([models], text, packed, networks.find)
    assert new.embedders["facenet"].network is not models.embedders["facenet"].network
    assert new.embedders["sface"] is models.embedders["sface"]
    assert len(list((tmp_path / "cache").iterdir())) == 1
    selfie, photo = ((portraits / file).read_bytes() for file in COUPLE)
    assert verify(new, selfie, [photo]).status is Status.APPROVED
    again = swap_head([models, new], text, packed)  # nothing is fetched, nothing is loaded again
    assert again.embedders["facenet"] is new.embedders["facenet"]


def test_a_network_comes_over_http_as_well(
    models: Models, tuned: tuple[str, bytes, bytes], tmp_path: Path, photo_server: PhotoServer
) -> None:
    text, packed, network = tuned
    photo_server.folder = offered(network, tmp_path / "place")
    networks = NetworkFiles(photo_server.url, tmp_path / "cache")
    assert swap_head([models], text, packed, networks.find).version.startswith("tuned-")


@pytest.mark.parametrize("place", ["", "empty folder", "other bytes", "http"])
def test_a_network_that_cannot_be_had_or_is_another_is_refused_and_leaves_nothing(
    models: Models, tuned: tuple[str, bytes, bytes], tmp_path: Path, photo_server: PhotoServer, place: str
) -> None:
    text, packed, network = tuned
    folder = offered(network, tmp_path / "place")
    for file in folder.iterdir():
        file.write_bytes(network[:-1] + b"x")
    places = {"": "", "empty folder": str(tmp_path), "other bytes": str(folder), "http": photo_server.url}
    with pytest.raises((WeightsMissing, WeightsCorrupt), match="facenet"):
        swap_head([models], text, packed, NetworkFiles(places[place], tmp_path / "cache").find)
    assert not list((tmp_path / "cache").glob("*"))
