"""All impostors of one gender: each pair once, by a head that knows neither, counted by people."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.datasets.data import Pair
from pipeline.evaluation.impostors import (
    ALL_FOLDS,
    all_impostors,
    exhaustive_figures,
    named_groups,
    people_equal,
)
from pipeline.evaluation.protocol import PairScorer, fit_without
from pipeline.fitting import metrics
from pipeline.fitting.fit import FitSettings, fit_towers, genuine_scores, pair_scores
from pipeline.score import Thresholds
from support.made_up_faces import SETTINGS, Town, poisoned

PAIRS = [
    Pair("p0/0.jpg", "p0/1.jpg", same=True, fold="1"),
    Pair("p2/0.jpg", "p4/0.jpg", same=False, fold="1"),
    Pair("p1/0.jpg", "p1/1.jpg", same=True, fold="2"),
    Pair("p3/0.jpg", "p6/0.jpg", same=False, fold="2"),
]


@pytest.fixture(scope="module")
def town() -> Town:
    return Town(people=40)


def pair_scorer(town: Town, tested: np.ndarray, settings: FitSettings = SETTINGS) -> PairScorer:
    return fit_without(tested, town.table, settings)


def test_every_two_people_of_one_gender_meet_once_with_all_their_photos(town: Town) -> None:
    named = named_groups(PAIRS, town.people)
    found = all_impostors(named, town.table, lambda tested: pair_scorer(town, tested))
    # p0, p2, p4 are women with three photos each; of p1, p3, p6 only the two men meet
    figures = exhaustive_figures(found)
    assert figures["fold 1"]["female"]["pairs"] == 3 * 9
    assert figures["fold 1"]["male"]["pairs"] == 0
    assert figures["fold 2"]["both"]["pairs"] == figures["fold 2"]["male"]["pairs"] == 9
    assert figures[ALL_FOLDS]["both"]["pairs"] == 4 * 9
    two = np.sort(found[ALL_FOLDS].people, axis=1)
    assert (two[:, 0] != two[:, 1]).all()


def test_the_people_of_a_group_are_poison_for_its_head(town: Town) -> None:
    named = named_groups(PAIRS, town.people)

    def clean(tested: np.ndarray) -> PairScorer:
        return fit_without(tested, poisoned(town.table, tested.tolist()), SETTINGS)

    found = all_impostors(named, town.table, clean)
    assert np.isfinite(found[ALL_FOLDS].scores).all()


def test_each_pair_is_held_against_the_threshold_of_its_own_two_people(town: Town) -> None:
    named = {"a set": town.people.codes(["p0/0.jpg", "p2/0.jpg", "p4/0.jpg"])}
    scorer = fit_towers(town.table, SETTINGS)
    pair = frozenset(town.people.codes(["p0/0.jpg", "p2/0.jpg"]).tolist())

    def thresholds(one: int, other: int) -> Thresholds:
        return Thresholds(-10.0 if {one, other} == pair else 10.0, -20.0, 1.0)

    found = all_impostors(named, town.table, lambda _tested: PairScorer(scorer, 0.0, thresholds))["a set"]
    passed = found.people[found.scores >= 0]
    assert len(passed) == 9
    assert {frozenset(row) for row in passed.tolist()} == {pair}


def test_faces_of_the_users_kind_stand_apart_where_there_are_others() -> None:
    town = Town(people=12, users_kind=6)
    named = {"a set": np.unique(town.table.identity)}
    scorer = fit_towers(town.table, SETTINGS)
    fixed = PairScorer(scorer, 0.0, lambda _one, _other: Thresholds(0.0, 0.0, 1.0))
    figures = exhaustive_figures(all_impostors(named, town.table, lambda _tested: fixed))["a set"]
    assert figures["users_kind_male"]["people"] == figures["users_kind_female"]["people"] == 3
    assert figures["users_kind_male"]["pairs"] == 3 * 9


def test_people_of_whom_nothing_is_known_give_no_figure_rather_than_a_zero(town: Town) -> None:
    pairs = [Pair("celebrity/1.jpg", "celebrity/2.jpg", same=True, set="celebrities")]
    found = all_impostors(
        named_groups(pairs, town.people), town.table, lambda tested: pair_scorer(town, tested)
    )
    row = exhaustive_figures(found)["celebrities"]["both"]
    assert (row["pairs"], row["fmr"], row["fmr_interval95"]) == (0, None, None)
    assert row["measurable"] is False


def test_no_false_match_among_few_people_is_not_taken_for_none_at_all(town: Town) -> None:
    named = {"a set": town.people.codes([f"p{i}/0.jpg" for i in range(0, 20, 2)])}
    scorer = fit_towers(town.table, SETTINGS)
    strict = PairScorer(scorer, 0.0, lambda _one, _other: Thresholds(10.0, 0.0, 1.0))
    row = exhaustive_figures(all_impostors(named, town.table, lambda _tested: strict))["a set"]["both"]
    assert row["fmr"] == 0.0
    assert row["fmr_interval95"] == (0.0, metrics.upper95(0, 5))
    assert row["fmr_upper95_if_independent"] < row["fmr_interval95"][1]


def test_the_bootstrap_over_counted_people_equals_one_that_goes_through_the_pairs() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 12, 300), rng.integers(0, 12, 300)
    hits = (rng.random(300) < 0.2).astype(float)
    draws, shares = np.random.default_rng(4), []
    for _ in range(200):
        drawn = np.bincount(draws.integers(0, 12, 12), minlength=12)
        weight = np.where(first == second, drawn[first], drawn[first] * drawn[second])
        shares.append((hits * weight).sum() / weight.sum())
    expected = np.quantile(shares, 0.025), np.quantile(shares, 0.975)
    assert metrics.identity_bootstrap(hits, first, second, seed=4, rounds=200) == pytest.approx(expected)


def test_genuine_scores_are_those_of_the_pairs_of_one_person(town: Town) -> None:
    scorer = fit_towers(town.table, SETTINGS)
    expected, _ = pair_scores(scorer, town.table)
    assert np.sort(genuine_scores(scorer, town.table)) == pytest.approx(np.sort(expected), abs=1e-6)


def test_two_people_with_many_photos_count_as_much_as_two_with_few() -> None:
    people = np.array([[0, 1], [1, 0], [0, 1], [0, 2]])
    assert people_equal(np.array([True, True, True, False]), people) == 0.5
    assert people_equal(np.empty(0, bool), np.empty((0, 2), np.int64)) is None
