"""The one scorer and the gender head, on small vectors whose answers can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.score import NEVER, GenderHead, Scorer, Thresholds, Tower
from pipeline.verdict import Gender, Outcome
from support.scoring import assert_all_ways_to_score_agree

THRESHOLDS = Thresholds(approve=0.6, different=0.3, scale=10.0)


def scorer() -> Scorer:
    flat = Tower(np.zeros(2, np.float32), np.eye(2, dtype=np.float32), 1.0)
    shifted = Tower(np.array([1.0, 0.0], np.float32), np.eye(2, dtype=np.float32), 0.5)
    return Scorer({"one": flat, "two": shifted}, THRESHOLDS)


def faces(*angles: float) -> dict[str, np.ndarray]:
    rows = np.array([[np.cos(a), np.sin(a)] for a in angles], np.float32)
    return {"one": rows, "two": rows + np.array([1.0, 0.0], np.float32)}


def test_the_score_is_the_weighted_sum_of_the_towers_cosines_after_their_means() -> None:
    s = scorer()
    comparison = s.compare(s.project(faces(0.0)), s.project(faces(np.pi / 3)))
    assert comparison.cosines == pytest.approx({"one": 0.5, "two": 0.5})
    assert comparison.score == pytest.approx(0.75)
    assert comparison.distances["one"] == pytest.approx(1.0)  # sqrt(2 - 2 * 0.5)


def test_all_ways_to_score_agree() -> None:
    s = scorer()
    first, second = s.project(faces(0.0, 1.0)), s.project(faces(0.3, 2.0))
    assert_all_ways_to_score_agree(s, first, second)


def test_one_half_is_the_approve_threshold() -> None:
    assert THRESHOLDS.similarity(0.6) == pytest.approx(0.5)
    assert THRESHOLDS.similarity(0.7) > 0.5 > THRESHOLDS.similarity(0.5)


def test_every_further_face_of_a_group_raises_the_threshold() -> None:
    assert THRESHOLDS.approve_among(1) == pytest.approx(0.6)
    assert THRESHOLDS.approve_among(5) > THRESHOLDS.approve_among(2) > 0.6


def test_projected_faces_have_length_one() -> None:
    for rows in scorer().project(faces(0.1, 1.2, 3.0)).values():
        assert np.linalg.norm(rows, axis=1) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        ([3.0], Gender.MALE),
        ([-3.0], Gender.FEMALE),
        ([0.2], Gender.UNKNOWN),
        ([6.0, -1.0], Gender.MALE),
        ([2.0, -2.0], Gender.UNKNOWN),
    ],
)
def test_the_gender_is_read_from_all_faces_together_and_unknown_inside_the_band(
    logits: list[float], expected: Gender
) -> None:
    reading = GenderHead({"one": np.ones(2, np.float32)}, 0.0, margin=0.8).read(logits)
    assert reading.gender is expected
    assert reading.probability is not None
    assert 0.5 <= reading.probability <= 1


def test_the_gender_logits_add_up_over_the_embedders() -> None:
    judge = GenderHead(
        {"one": np.array([1, 0], np.float32), "two": np.array([0, 2], np.float32)}, 0.5, margin=0.8
    )
    assert judge.logits({"one": np.array([3, 9]), "two": np.array([9, 1])}) == pytest.approx([5.5])


def test_no_face_has_no_gender() -> None:
    reading = GenderHead({}, 0.0, margin=0.8).read([])
    assert (reading.gender, reading.probability) == (Gender.UNKNOWN, None)


def test_the_similarity_stays_a_number_however_steep_its_threshold_is() -> None:
    steep = Thresholds(approve=0.6, different=0.6, scale=1e7)
    assert steep.similarity(-1.0) == pytest.approx(0.0, abs=1e-9)
    assert steep.similarity(0.6) == 0.5
    assert steep.similarity(1.1) == pytest.approx(1.0)


def test_a_refused_face_is_somebody_elses_below_the_threshold_of_its_gate_and_without_one_never() -> None:
    thresholds = Thresholds(0.6, 0.3, 10.0, {"occluded": 0.1})
    assert thresholds.different_at(Outcome.OCCLUDED) == 0.1
    assert thresholds.different_at(Outcome.TOO_DARK) == THRESHOLDS.different_at(Outcome.OCCLUDED) == NEVER


def test_new_thresholds_keep_those_for_refused_faces_but_none_above_their_own_different_threshold() -> None:
    before = Thresholds(0.6, 0.5, 10.0, {"occluded": 0.1, "face_too_small": 0.45})
    kept = Thresholds(0.5, 0.3, 10.0).keeping(before)
    assert (kept.approve, kept.refused) == (0.5, {"occluded": 0.1, "face_too_small": 0.3})
