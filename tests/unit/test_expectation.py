"""What is expected of a face: hard ones are asked for less, and nothing else about a score changes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.fit import ENOUGH_FOR_EXPECTATION, MALE, FaceTable, FitSettings, fit_expectation, fit_towers
from pipeline.gender import GenderJudge
from pipeline.head import Head
from pipeline.identities import FittedOn
from pipeline.judges import Judges, ReplayLimits, compose, read_judges
from pipeline.occlusion import OcclusionJudge
from pipeline.quality import QualityLimits
from pipeline.score import EXPECTED, Edges, Expectation, Scorer, Tower
from support.scoring import assert_all_ways_to_score_agree

SETTINGS = FitSettings(weights={"a": 1.0}, centred=frozenset(), dimensions={"a": 8})
EXPECTATION = Expectation({"a": np.array([1.0, 0.0], np.float32)}, usual=0.5, limit=0.2, share=0.5)


def scorer(expectation: Expectation | None = EXPECTATION) -> Scorer:
    tower = Tower(np.zeros(2, np.float32), np.eye(2, dtype=np.float32), 1.0)
    return Scorer({"a": tower}, Edges(0.6, 0.3, 10.0), expectation)


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


def crowd(people: int, seed: int) -> tuple[FaceTable, np.ndarray]:
    """Four photos each, and which of them are blurred: those lie nearer to one direction and to nobody."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(people), 4)
    blurred = rng.random(len(owner)) < 0.3
    rows = rng.normal(size=(people, 8))[owner] + 0.4 * rng.normal(size=(len(owner), 8))
    rows[:, 0] = np.where(blurred, 4.0, 0.0)
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    everyone = np.full(len(owner), MALE), np.zeros(len(owner), bool), np.ones(len(owner))
    return FaceTable({"a": rows}, owner, *everyone), blurred


def test_strangers_blurred_photos_are_expected_to_be_less_alike() -> None:
    fitted = fit_towers(crowd(400, seed=1)[0], SETTINGS).expectation
    assert fitted is not None
    strangers, blurred = crowd(100, seed=2)
    taken = fitted.of(strangers.vectors)[:, 0]
    assert taken[blurred].mean() < -0.02 < 0.0 < taken[~blurred].mean()


def test_a_few_people_teach_no_expectation() -> None:
    table, _ = crowd(ENOUGH_FOR_EXPECTATION // 4 - 1, seed=1)
    assert fit_expectation(scorer(None), table, SETTINGS) is None


@pytest.mark.parametrize("expectation", [EXPECTATION, None])
def test_a_head_keeps_the_expectation_and_one_without_it_judges_as_before(
    expectation: Expectation | None,
) -> None:
    before = scorer(expectation)
    gender, occlusion = GenderJudge({}, 0.0, 0.7), OcclusionJudge({}, {})
    judges = Judges(before, gender, occlusion, QualityLimits(), ReplayLimits())
    head = Head.unpack(*_travelled(compose(judges, {}, FittedOn())))
    after = read_judges(head).scorer
    pair = faces(0.0, 1.0)
    scores = [s.matrix(s.project(pair), s.project(pair)) for s in (before, after)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)


def test_a_head_keeps_the_thresholds_for_refused_faces_and_one_of_before_has_none() -> None:
    edges = Edges(0.6, 0.3, 10.0, {"occluded": 0.1})
    gender, occlusion = GenderJudge({}, 0.0, 0.7), OcclusionJudge({}, {})
    judges = Judges(replace(scorer(), edges=edges), gender, occlusion, QualityLimits(), ReplayLimits())
    arrays, metadata = _travelled(compose(judges, {}, FittedOn()))
    assert read_judges(Head.unpack(arrays, metadata)).scorer.edges == edges
    del metadata["edges"]["refused"]
    assert read_judges(Head.unpack(arrays, metadata)).scorer.edges == Edges(0.6, 0.3, 10.0)


def _travelled(head: Head) -> tuple[bytes, dict[str, Any]]:
    """A head as it lies in a bundle or in the database."""
    return head.pack(), json.loads(json.dumps(dict(head.metadata)))
