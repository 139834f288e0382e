"""The training process: a faces in, a head and the gate's word out, and nothing left when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.bundles.bundle import networks, open_head, open_manifest, with_head
from pipeline.bundles.head import Head
from pipeline.bundles.load import load_models, swap_head
from pipeline.bundles.models import HeadParams, read_head_params
from pipeline.datasets.embeddings import embed_picture
from pipeline.errors import DataError
from pipeline.images.decode import decode
from pipeline.training.data.faces import PhotoCheck, check_photo, embed_trainable_face
from pipeline.training.retrain import MemberFaces, Retrained, retrain, rules_of, table_of
from pipeline.verdict import Gender
from support.portraits import CAT, OBAMA
from support.system import LONG
from support.workers import children_of, wait_until
from worker.errors import TrainingDied, TrainingFailed
from worker.retraining.process import TrainingInput, train_apart
from worker.retraining.training_set import TrainingSet
from worker.serving.registry import read_head
from worker.store import PublishedHead

FEW = {"people": 10, "genuine": 20, "impostors": 50, "gender_faces": 5, "slice_people": 500}
"""Rules of the gate under which so few invented people are enough."""


@pytest.fixture(scope="module")
def champion(bundle_dir: Path) -> PublishedHead:
    return read_head(bundle_dir)


def params_of(champion: PublishedHead) -> HeadParams:
    manifest = open_manifest(champion.manifest)
    return read_head_params(open_head(manifest, champion.data))


def a_set(champion: PublishedHead, people: int = 60, photos: int = 4, *, swapped: float = 0.0) -> TrainingSet:
    """Invented faces, a quarter of the people in the test set; some of the labels may be wrong."""
    rng = np.random.default_rng(1)
    identity = np.repeat(np.arange(people), photos)
    parts = []
    for _, size in sorted(params_of(champion).dimensions.items()):
        rows = 2 * rng.normal(size=(people, size))[identity] + rng.normal(size=(len(identity), size))
        parts.append(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    tested = identity % 4 == 0
    wrong = ~tested & (rng.random(len(identity)) < swapped)
    named = np.where(wrong, (identity + 1) % people, identity)
    return TrainingSet(
        vectors=np.hstack(parts).astype(np.float32),
        identity=named,
        gender=np.where(identity // 4 % 2 == 0, Gender.MALE, Gender.FEMALE).astype(np.str_),
        is_test=tested,
        weight=np.ones(len(identity)),
        owner=(named + 1).astype(np.uint64),
    )


def column_of(embedder: str, champion: PublishedHead) -> int:
    """Where its numbers begin in the vectors."""
    dimensions = sorted(params_of(champion).dimensions.items())
    return sum(size for name, size in dimensions if name < embedder)


def retrained(faces: TrainingSet, champion: PublishedHead, rules: Mapping[str, float]) -> Retrained:
    """The same in this process, where TensorFlow is loaded once."""
    manifest = open_manifest(champion.manifest)
    head, arrays, params = open_head(manifest, champion.data), faces.arrays(), params_of(champion)
    tested, owner = arrays.pop("is_test"), arrays.pop("owner")
    members = MemberFaces(table_of(params, **arrays), tested, owner)
    return retrain(members, head, params, started_from=manifest.version, rules=rules_of(rules))


def test_a_training_set_becomes_a_head_that_a_verify_worker_can_use(
    champion: PublishedHead, bundle_dir: Path
) -> None:
    made = train_apart(TrainingInput(a_set(champion), champion, FEW), lambda: True, 0.5, 300)
    assert made
    manifest = open_manifest(made.head.manifest)
    head = open_head(manifest, made.head.data)
    assert made.head.version == manifest.version != champion.version
    assert made.head.version.startswith("retrained-")
    assert head.metadata["calibration"] == "uncalibrated"
    assert made.facts == head.metadata["training"]
    assert (made.facts["people"], made.facts["test_people"]) == (45, 15)
    named = head.fitted_on.groups[-1]
    assert (named.salt, named.hashes.tolist()) == ("", [n + 1 for n in range(60) if n % 4])
    shipped = load_models(bundle_dir)
    swapped = swap_head([shipped], made.head.manifest, made.head.data)
    assert swapped.version == made.head.version
    assert swapped.networks == shipped.networks == networks(open_manifest(champion.manifest))
    before, now = shipped.params, swapped.params
    assert np.array_equal(before.scorer.towers["sface"].projection, now.scorer.towers["sface"].projection)
    again = retrained(a_set(champion), champion, FEW)  # the same faces, the same head
    assert again.head.pack() == made.head.data


def test_a_labelled_photo_is_checked_as_in_training_and_embedded_as_in_verification(
    bundle_dir: Path, portraits: Path
) -> None:
    models = load_models(bundle_dir)
    photo = (portraits / OBAMA[0]).read_bytes()
    studied, embedded = embed_trainable_face(models, photo), embed_picture(models, decode(photo).rgb)
    assert not isinstance(studied, PhotoCheck)
    assert embedded is not None
    assert all(np.array_equal(studied[name], embedded[name]) for name in models.embedders)
    nobody = (portraits / CAT).read_bytes()
    assert embed_trainable_face(models, nobody) == check_photo(models, nobody) == PhotoCheck("no_face")
    assert embed_trainable_face(models, b"no picture") == PhotoCheck("invalid_image")


def test_the_gate_measures_members_who_were_not_learned_from(champion: PublishedHead) -> None:
    strict = retrained(a_set(champion), champion, {}).gate
    assert not strict.passed
    assert any("50 are needed" in reason for reason in strict.reasons)
    poisoned = retrained(a_set(champion, swapped=0.4), champion, FEW).gate
    assert not poisoned.passed
    assert any("contradict" in reason for reason in poisoned.reasons)


@pytest.mark.parametrize(("told", "kept"), [(0.0, "the champion's"), (3.0, "new")])
def test_a_new_gender_head_replaces_the_champions_only_if_it_is_surely_better(
    champion: PublishedHead, told: float, kept: str
) -> None:
    faces = a_set(champion, people=160, photos=2)
    first = column_of("faceres8", champion)  # the champion knows nothing
    faces.vectors[:, first] += told * np.where(faces.gender == Gender.MALE, 1, -1)
    assert retrained(faces, champion, FEW).facts["gender"] == kept


@pytest.mark.parametrize(("people", "calibration"), [(60, "uncalibrated"), (300, "calibrated")])
def test_a_calibrated_champion_has_a_calibrated_successor_only_with_enough_pairs_of_members(
    champion: PublishedHead, people: int, calibration: str
) -> None:
    manifest = open_manifest(champion.manifest)
    head = open_head(manifest, champion.data)
    calibrated = Head(head.arrays, {**head.metadata, "calibration": "calibrated"})
    _, text, packed = with_head(manifest, calibrated)
    made = retrained(a_set(champion, people), PublishedHead("calibrated-1", text.decode(), packed), FEW)
    assert made.head.metadata["calibration"] == calibration


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"is_test": np.zeros(240, np.bool_)}, "test set"),
        ({"identity": np.arange(240)}, "two photos|genuine"),
        ({"vectors": np.zeros((240, 7), np.float32)}, "vectors of 7 numbers"),
    ],
)
def test_a_training_set_that_teaches_nothing_is_refused_with_the_reason(
    champion: PublishedHead, change: dict[str, np.ndarray], problem: str
) -> None:
    with pytest.raises(DataError, match=problem):
        retrained(replace(a_set(champion), **change), champion, FEW)


def test_who_shares_a_picture_with_a_test_person_is_not_learned_from(champion: PublishedHead) -> None:
    faces = a_set(champion)
    faces.vectors[4:8] = faces.vectors[:4]  # person 1 is person 0, who is tested, under another name
    facts = retrained(faces, champion, FEW).facts
    assert (facts["shared_with_the_test_set"], facts["people"], facts["merged_names"]) == (4, 44, 1)


@LONG
def test_a_rule_that_the_gate_does_not_have_fails_with_its_name(champion: PublishedHead) -> None:
    with pytest.raises(TrainingFailed, match="no rule tolerance"):
        train_apart(TrainingInput(a_set(champion), champion, {"tolerance": 1}), lambda: True, 0.5, 300)


def test_a_process_that_is_killed_differs_from_one_that_failed(champion: PublishedHead) -> None:
    def kill() -> bool:
        for child in children_of(os.getpid()):
            command = Path(f"/proc/{child}/cmdline").read_bytes()
            if b"worker.retraining.process" in command:
                os.kill(child, signal.SIGKILL)
        return True

    with pytest.raises(TrainingDied, match="signal 9"):
        train_apart(TrainingInput(a_set(champion), champion, FEW), kill, 0.2, 300)


def test_a_process_that_ends_in_an_error_gives_its_last_line(
    champion: PublishedHead, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scipy").mkdir()
    (tmp_path / "scipy" / "__init__.py").write_text("raise ImportError('a library of scipy is missing')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(TrainingDied) as died:
        train_apart(TrainingInput(a_set(champion), champion, FEW), lambda: True, 0.5, 300)
    said = "the training process ended (exit status 1): ImportError: a library of scipy is missing"
    assert str(died.value) == said


def test_a_training_that_is_not_wanted_any_more_or_takes_too_long_ends_at_once(
    champion: PublishedHead,
) -> None:
    order = TrainingInput(a_set(champion), champion, FEW)
    assert train_apart(order, lambda: False, 0.2, 300) is None
    with pytest.raises(TrainingFailed, match="VERIFY_RETRAIN_TIME_LIMIT_SECONDS"):
        train_apart(order, lambda: True, 0.2, 0.1)
    wait_until(lambda: not [c for c in children_of(os.getpid()) if alive(c)])


def alive(pid: int) -> bool:
    shown = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return "worker.retraining.process" in shown.stdout
