"""Edges from an operator's own pairs: the rates they keep, how sure they are, when they are refused."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.calibration import ScoredPairs, calibrate
from pipeline.cli.calibrate import linked_people
from pipeline.errors import DataError
from pipeline.evaluation.data import Pair
from pipeline.fit import FitSettings
from pipeline.score import Edges

BEFORE = Edges(approve=0.5, different=0.3, scale=20.0)
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


def test_the_approve_edge_lets_no_more_impostors_pass_than_was_asked_for() -> None:
    pairs = members(80)
    result = calibrate(pairs, SETTINGS, BEFORE)
    passed = np.mean(pairs.scores[~pairs.same] >= result.edges.approve)
    assert 0.008 < passed <= 0.01
    assert result.edges.different <= result.edges.approve
    assert (result.genuine, result.impostors, result.people) == (80, 3160, 80)


def test_the_interval_holds_the_edge_and_narrows_with_more_people() -> None:
    few, many = (calibrate(members(count), SETTINGS, BEFORE) for count in (30, 150))
    for result in (few, many):
        assert result.approve95[0] < result.edges.approve < result.approve95[1]
    assert many.approve95[1] - many.approve95[0] < few.approve95[1] - few.approve95[0]


def test_too_few_impostor_pairs_are_refused_few_are_warned_of_and_enough_are_neither() -> None:
    with pytest.raises(DataError, match="45 impostor pairs"):
        calibrate(members(10), SETTINGS, BEFORE)
    assert any("impostor" in warning for warning in calibrate(members(30), SETTINGS, BEFORE).warnings)
    assert calibrate(members(250), SETTINGS, BEFORE).warnings == ()


def test_a_handful_of_genuine_pairs_is_warned_of() -> None:
    assert any("genuine" in warning for warning in calibrate(members(60), SETTINGS, BEFORE).warnings)


def test_without_genuine_pairs_the_different_edge_stays_but_never_above_the_approve_edge() -> None:
    alone = members(60, genuine=False)
    assert calibrate(alone, SETTINGS, BEFORE).edges.different == BEFORE.different
    assert calibrate(alone, SETTINGS, BEFORE).different95 is None
    high = calibrate(alone, SETTINGS, Edges(0.95, 0.9, 20.0))
    assert high.edges.different == high.edges.approve


def test_the_same_pairs_give_the_same_intervals() -> None:
    one, other = (calibrate(members(40), SETTINGS, BEFORE) for _ in range(2))
    assert one == other


def test_photos_that_genuine_pairs_link_are_one_person_s() -> None:
    pairs = [Pair("a", "b", True), Pair("c", "d", False), Pair("b", "c", True), Pair("e", "e", True)]
    people = linked_people(pairs)
    assert people["a"] == people["b"] == people["c"]
    assert len({people["a"], people["d"], people["e"]}) == 3
