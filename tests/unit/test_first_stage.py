"""The first stage decides only what the other networks could not change, on small vectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.first_stage import FirstStage
from pipeline.fitting.first_stage import fit_first_stage
from pipeline.fitting.fit import MALE, FaceTable
from pipeline.score import Expectation, Scorer, Thresholds, Tower

THRESHOLDS = Thresholds(approve=0.6, different=0.4, scale=20.0)
STAGE = FirstStage("sface8", "sface", sure=0.5, most=0.3, intercept=0.0, slope=1.2)
NO_REPLAY = float("inf")


def scorer(approve: float = 0.6) -> Scorer:
    flat = Tower(np.zeros(2, np.float32), np.eye(2, dtype=np.float32), 1.0)
    return Scorer({"sface": flat, "other": replace(flat, weight=0.2)}, replace(THRESHOLDS, approve=approve))


def faces(*cosines: float) -> np.ndarray:
    """Rows of length 1 with these cosines to the first axis."""
    return np.array([[c, np.sqrt(1 - c * c)] for c in cosines], np.float32)


def decided(cosine: float, *, approve: float = 0.6, replay: float = NO_REPLAY) -> str:
    found = STAGE.compare(scorer(approve), faces(1.0), faces(cosine), replay)
    if found is None:
        return "undecided"
    assert found.cosines == pytest.approx({"sface8": cosine}, abs=1e-6)
    return "same" if found.score >= found.approve_threshold else "different"


@pytest.mark.parametrize(
    ("cosine", "expected"),
    [(0.61, "same"), (0.59, "undecided"), (0.3, "undecided"), (0.1, "undecided"), (0.08, "different")],
)
def test_only_what_lies_far_from_the_thresholds_is_decided(cosine: float, expected: str) -> None:
    assert decided(cosine) == expected


def test_below_the_cosine_from_which_the_score_is_no_lower_nothing_is_approved() -> None:
    assert decided(0.45, approve=0.4) == "undecided"
    assert decided(0.51, approve=0.4) == "same"


def test_what_may_reach_the_score_of_a_copy_is_left_to_all_networks() -> None:
    assert decided(0.8, replay=1.1) == "same"
    assert decided(0.9, replay=1.1) == "undecided"


def table(people: int, seed: int = 1) -> FaceTable:
    """Two faces of each person; ``other`` sees the same as ``sface``, a little differently."""
    rng = np.random.default_rng(seed)
    identity = np.repeat(np.arange(people), 2)
    faces = rng.normal(size=(people, 2, 8))[:, :1] + 0.6 * rng.normal(size=(people, 2, 8))
    seen = faces.reshape(-1, 8)
    networks = {"sface": seen, "sface8": seen + 0.02 * rng.normal(size=seen.shape), "other": seen}
    networks["other"] = seen + 0.3 * rng.normal(size=seen.shape)
    embeddings = {
        name: (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        for name, rows in networks.items()
    }
    size = len(identity)
    return FaceTable(
        embeddings=embeddings,
        identity=identity,
        gender=np.full(size, MALE),
        users_kind=np.ones(size, np.bool_),
        weight=np.ones(size),
    )


def of_eight() -> Scorer:
    flat = Tower(np.zeros(8, np.float32), np.eye(8, dtype=np.float32), 1.0)
    return Scorer({"sface": flat, "other": replace(flat, weight=0.2)}, THRESHOLDS)


def test_no_pair_of_other_people_is_decided_otherwise_than_by_all_networks() -> None:
    stage = fit_first_stage(of_eight(), table(800))
    assert stage is not None
    others, s = table(150, seed=2), of_eight()
    projected, fast = s.project(others.embeddings), stage.project(s, others.embeddings["sface8"])
    scores, count = s.matrix(projected, projected), 0
    for one, other in zip(*np.triu_indices(len(fast), 1), strict=True):
        found = stage.compare(s, fast[one : one + 1], fast[other : other + 1], NO_REPLAY)
        if found is not None:
            count += 1
            assert (found.score >= THRESHOLDS.approve) == (scores[one, other] >= THRESHOLDS.approve)
            assert (found.score < THRESHOLDS.different) == (scores[one, other] < THRESHOLDS.different)
    assert count > 10_000


def test_few_pairs_say_too_little_without_the_bounds_of_a_head_before() -> None:
    few = table(60)
    assert fit_first_stage(of_eight(), few) is None
    again = fit_first_stage(of_eight(), few, STAGE)
    assert again is not None
    assert again.sure >= STAGE.sure
    assert again.most >= STAGE.most


def test_without_the_fast_network_or_with_an_expectation_there_is_no_first_stage() -> None:
    faces = table(60)
    slow = {name: rows for name, rows in faces.embeddings.items() if name != "sface8"}
    assert fit_first_stage(of_eight(), replace(faces, embeddings=slow), STAGE) is None
    expecting = replace(of_eight(), expectation=Expectation({}, 0.0, 0.1, 0.5))
    assert fit_first_stage(expecting, faces, STAGE) is None
