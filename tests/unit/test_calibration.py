"""Thresholds from an operator's own pairs: the rates they keep, how sure they are, when they are refused."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.bundles.head import Head
from pipeline.bundles.identities import FittedOn, Learner
from pipeline.cli.calibrate import linked_people
from pipeline.datasets.data import Pair
from pipeline.errors import DataError
from pipeline.faces.types import Embeddings
from pipeline.fitting.calibration import ScoredPairs, calibrate, pairs_of_members, recalibrated, with_genuine
from pipeline.fitting.fit import FitSettings
from pipeline.score import Scorer, Thresholds, Tower

BEFORE = Thresholds(approve=0.5, different=0.3, scale=20.0)
SETTINGS = FitSettings(approve_fmr=0.01)


def members(people: int, *, genuine: bool = True) -> ScoredPairs:
    """Every two of ``people`` as impostors, and two photos of each as a genuine pair."""
    first, second = np.triu_indices(people, 1)
    rng = np.random.default_rng(1)
    scores = rng.normal(0.1, 0.12, len(first))
    if not genuine:
        return ScoredPairs(scores, np.zeros(len(first), bool), first, second)
    own = np.arange(people)
    return ScoredPairs(
        np.concatenate([scores, rng.normal(0.75, 0.1, people)]),
        np.concatenate([np.zeros(len(first), bool), np.ones(people, bool)]),
        np.concatenate([first, own]),
        np.concatenate([second, own]),
    )


def test_the_approve_threshold_lets_no_more_impostors_pass_than_was_asked_for() -> None:
    pairs = members(80)
    result = calibrate(pairs, SETTINGS, BEFORE)
    passed = np.mean(pairs.scores[~pairs.same] >= result.thresholds.approve)
    assert 0.008 < passed <= 0.01
    assert result.thresholds.different <= result.thresholds.approve
    assert (result.genuine, result.impostors, result.people) == (80, 3160, 80)


def test_pairs_say_nothing_of_refused_faces_so_their_thresholds_stay() -> None:
    before = Thresholds(approve=0.5, different=0.3, scale=20.0, refused={"occluded": 0.1})
    assert calibrate(members(80), SETTINGS, before).thresholds.refused == {"occluded": 0.1}


def test_the_interval_holds_the_threshold_and_narrows_with_more_people() -> None:
    few, many = (calibrate(members(count), SETTINGS, BEFORE) for count in (30, 150))
    for result in (few, many):
        assert result.approve95[0] < result.thresholds.approve < result.approve95[1]
    assert many.approve95[1] - many.approve95[0] < few.approve95[1] - few.approve95[0]


def test_too_few_impostor_pairs_are_refused_few_are_warned_of_and_enough_are_neither() -> None:
    with pytest.raises(DataError, match="45 impostor pairs"):
        calibrate(members(10), SETTINGS, BEFORE)
    assert any("impostor" in warning for warning in calibrate(members(30), SETTINGS, BEFORE).warnings)
    assert calibrate(members(350), SETTINGS, BEFORE).warnings == ()


def test_a_handful_of_genuine_pairs_is_warned_of() -> None:
    assert any("genuine" in warning for warning in calibrate(members(60), SETTINGS, BEFORE).warnings)
    none = calibrate(members(60, genuine=False), SETTINGS, BEFORE)
    assert any("stays as it was" in warning for warning in none.warnings)


def test_without_genuine_pairs_the_different_threshold_stays_but_never_above_the_approve_threshold() -> None:
    alone = members(60, genuine=False)
    assert calibrate(alone, SETTINGS, BEFORE).thresholds.different == BEFORE.different
    assert calibrate(alone, SETTINGS, BEFORE).different95 is None
    high = calibrate(alone, SETTINGS, Thresholds(0.95, 0.9, 20.0))
    assert high.thresholds.different == high.thresholds.approve


def test_the_same_pairs_give_the_same_intervals() -> None:
    one, other = (calibrate(members(40), SETTINGS, BEFORE) for _ in range(2))
    assert one == other


def test_photos_that_genuine_pairs_link_are_one_person_s() -> None:
    pairs = [Pair("a", "b", True), Pair("c", "d", False), Pair("b", "c", True), Pair("e", "e", True)]
    people = linked_people(pairs)
    assert people["a"] == people["b"] == people["c"]
    assert len({people["a"], people["d"], people["e"]}) == 3


def scorer_of(weight: float = 1.0) -> Scorer:
    """One tower that compares vectors of two numbers as they are."""
    tower = Tower(np.zeros(2, np.float32), np.eye(2, dtype=np.float32), weight)
    return Scorer({"sface": tower}, BEFORE)


def at_angles(*degrees: float) -> dict[str, Embeddings]:
    """Faces whose likeness is the cosine of the angle between them."""
    turns = np.radians(degrees)
    return {"sface": np.column_stack([np.cos(turns), np.sin(turns)]).astype(np.float32)}


def test_impostors_are_members_of_one_gender_each_against_each_other_once() -> None:
    pairs, twins = pairs_of_members(scorer_of(), at_angles(0, 60, 90, 180), np.array([0, 1, 0, 0]), twin=2)
    assert twins == 0
    assert sorted(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) == [(0, 2), (0, 3), (2, 3)]
    assert np.allclose(np.sort(pairs.scores), [-1, 0, 0], atol=1e-6)
    assert not pairs.same.any()


def test_one_picture_under_two_ids_is_no_impostor_pair() -> None:
    pairs, twins = pairs_of_members(scorer_of(), at_angles(0, 0, 90), np.zeros(3, int), twin=0.99)
    assert (len(pairs.scores), twins) == (2, 1)


def test_labelled_pairs_set_the_different_threshold_beside_the_impostors() -> None:
    strangers, genuine = members(80, genuine=False), members(80)
    both = with_genuine(strangers, genuine.scores[genuine.same], np.arange(80))
    assert calibrate(both, SETTINGS, BEFORE).genuine == 80
    assert calibrate(both, SETTINGS, BEFORE).thresholds == calibrate(genuine, SETTINGS, BEFORE).thresholds


def test_a_recalibrated_head_says_on_how_many_and_names_them_by_hash_only() -> None:
    head = Head({"sface.mean": np.zeros(2)}, {"name": "both", "edges": {}, "calibration": "uncalibrated"})
    result = calibrate(members(80, genuine=False), SETTINGS, BEFORE)
    new = recalibrated(head, result, 0.01, FittedOn.people(["m-1", "m-2"], b"key"))
    assert new.metadata["calibration"] == "calibrated"
    assert new.metadata["edges"]["approve"] == result.thresholds.approve
    assert new.metadata["calibrated_on"]["impostors"] == 3160
    assert "m-1" not in str(new.metadata)
    assert new.fitted_on.known(["m-1", "m-3"], Learner, b"key") == {"m-1"}
    assert head.metadata["calibration"] == "uncalibrated"
