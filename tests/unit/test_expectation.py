"""What heads of before expect of a face: less is asked of hard ones, and nothing else of a score changes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.bundles.head import Head
from pipeline.bundles.identities import FittedOn
from pipeline.bundles.models import HeadParams, ReplayLimits, compose, read_head_params
from pipeline.faces.occlusion import OcclusionClassifier
from pipeline.faces.quality import QualityLimits
from pipeline.score import EXPECTED, Expectation, GenderHead, Scorer, Thresholds, Tower
from support.scoring import assert_all_ways_to_score_agree

EXPECTATION = Expectation({"a": np.array([1.0, 0.0], np.float32)}, usual=0.5, limit=0.2, share=0.5)


def scorer(expectation: Expectation | None = EXPECTATION) -> Scorer:
    tower = Tower(np.zeros(2, np.float32), np.eye(2, dtype=np.float32), 1.0)
    return Scorer({"a": tower}, Thresholds(0.6, 0.3, 10.0), expectation)


def faces(*angles: float) -> dict[str, np.ndarray]:
    return {"a": np.array([[np.cos(a), np.sin(a)] for a in angles], np.float32)}


def test_what_is_expected_beyond_the_usual_is_taken_off_in_part_and_never_more_than_the_limit() -> None:
    as_usual, a_little_more, far_less = np.arccos([0.5, 0.6, -1.0])
    taken = EXPECTATION.of(faces(as_usual, a_little_more, far_less))
    assert taken[:, 0] == pytest.approx([0.0, 0.05, -0.1], abs=1e-6)


def test_all_ways_to_score_take_the_same_off() -> None:
    s = scorer()
    first, second = s.project(faces(0.0, 1.0)), s.project(faces(0.3, 2.0))
    matrix = assert_all_ways_to_score_agree(s, first, second)
    taken = EXPECTATION.of_both(first[EXPECTED], second[EXPECTED].T)
    assert matrix + taken == pytest.approx(s.likeness(first, second), abs=1e-6)


def test_two_hard_faces_are_given_no_more_than_one() -> None:
    easy, hard = (EXPECTATION.of(faces(angle)) for angle in (0.0, np.pi))
    assert EXPECTATION.of_both(hard, np.zeros_like(hard)) == pytest.approx(hard)
    assert EXPECTATION.of_both(hard, hard) == pytest.approx(hard)
    assert EXPECTATION.of_both(easy, easy) == pytest.approx(2 * easy)


def test_whether_two_pictures_are_one_does_not_depend_on_how_hard_the_face_is() -> None:
    s = scorer()
    easy, hard = (s.project(faces(angle)) for angle in (0.0, 2.0))
    scores = [s.compare(face, face) for face in (easy, hard)]
    assert scores[0].score < scores[1].score
    assert [s.fused(comparison.cosines) for comparison in scores] == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("expectation", [EXPECTATION, None])
def test_a_head_keeps_the_expectation_and_one_without_it_judges_as_before(
    expectation: Expectation | None,
) -> None:
    before = scorer(expectation)
    gender, occlusion = GenderHead({}, 0.0, 0.7), OcclusionClassifier({}, {})
    params = HeadParams(before, gender, occlusion, QualityLimits(), ReplayLimits())
    head = Head.unpack(*_travelled(compose(params, {}, FittedOn())))
    after = read_head_params(head).scorer
    pair = faces(0.0, 1.0)
    scores = [s.matrix(s.project(pair), s.project(pair)) for s in (before, after)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)


def test_a_head_keeps_the_thresholds_for_refused_faces_and_one_of_before_has_none() -> None:
    thresholds = Thresholds(0.6, 0.3, 10.0, {"occluded": 0.1})
    gender, occlusion = GenderHead({}, 0.0, 0.7), OcclusionClassifier({}, {})
    params = HeadParams(
        replace(scorer(), thresholds=thresholds), gender, occlusion, QualityLimits(), ReplayLimits()
    )
    arrays, metadata = _travelled(compose(params, {}, FittedOn()))
    assert read_head_params(Head.unpack(arrays, metadata)).scorer.thresholds == thresholds
    del metadata["edges"]["refused"]
    assert read_head_params(Head.unpack(arrays, metadata)).scorer.thresholds == Thresholds(0.6, 0.3, 10.0)


def _travelled(head: Head) -> tuple[bytes, dict[str, Any]]:
    """A head as it lies in a bundle or in the database."""
    return head.pack(), json.loads(json.dumps(dict(head.metadata)))
