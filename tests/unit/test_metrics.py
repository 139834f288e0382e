"""Error rates checked against hand-counted pairs and brute force."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.fitting import metrics

GENUINE = np.array([0.9, 0.8, 0.7, 0.4])
IMPOSTOR = np.array([0.6, 0.3, 0.2, 0.1, 0.1])


def test_rates_count_a_score_on_the_threshold_as_a_match() -> None:
    assert metrics.fmr(IMPOSTOR, 0.3) == pytest.approx(0.4)
    assert metrics.fnmr(GENUINE, 0.7) == pytest.approx(0.25)
    assert metrics.fmr(np.array([]), 0.5) is None
    assert metrics.fnmr(np.array([]), 0.5) is None


def test_a_face_that_was_not_found_is_a_non_match_at_every_threshold() -> None:
    assert metrics.fnmr(np.array([-np.inf, 0.9]), -5.0) == pytest.approx(0.5)


def test_the_threshold_for_a_false_match_rate_lets_no_more_pass_and_is_the_lowest_that_does() -> None:
    impostor = np.random.default_rng(1).normal(size=2000)
    for rate in (0.1, 0.01, 0.001):
        threshold = metrics.threshold_at_fmr(impostor, rate)
        assert np.mean(impostor >= threshold) <= rate
        assert np.mean(impostor >= np.nextafter(threshold, -np.inf)) > rate


def test_the_threshold_for_a_false_non_match_rate_keeps_that_share_below_it() -> None:
    genuine = np.arange(1000.0)
    assert np.mean(genuine < metrics.threshold_at_fnmr(genuine, 0.005)) == pytest.approx(0.005)


def test_auc_agrees_with_counting_every_pair_of_pairs_ties_as_half() -> None:
    rng = np.random.default_rng(2)
    genuine, impostor = rng.integers(3, 9, 60).astype(float), rng.integers(0, 7, 80).astype(float)
    wins = (genuine[:, None] > impostor).mean() + (genuine[:, None] == impostor).mean() / 2
    assert metrics.auc(genuine, impostor) == pytest.approx(wins)


def test_tar_is_not_told_where_too_few_impostors_could_show_the_rate() -> None:
    assert metrics.tar_at_fmr(GENUINE, IMPOSTOR, 0.01) is None
    assert metrics.tar_at_fmr(GENUINE, IMPOSTOR, 0.2) == pytest.approx(1.0)


def test_the_equal_error_rate_of_parted_scores_is_zero_and_of_equal_ones_a_half() -> None:
    assert metrics.eer(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == pytest.approx(0.0, abs=0.26)
    same = np.linspace(0, 1, 101)
    assert metrics.eer(same, same) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("seed", range(20))
def test_the_best_threshold_is_no_worse_than_any_other(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = np.round(rng.normal(size=40), 1)
    same = rng.random(40) < 0.5
    best = metrics.accuracy(scores, same, metrics.best_threshold(scores, same))
    tried = [metrics.accuracy(scores, same, t) for t in [-99.0, 99.0, *scores, *(scores + 0.05)]]
    assert best == pytest.approx(max(tried))


def test_each_fold_is_judged_at_a_threshold_that_it_had_no_part_in() -> None:
    scores = np.array([0.9, 0.1, 0.9, 0.1, 0.1, 0.9])
    same = np.array([True, False, True, False, True, False])
    folds = np.array(["1", "1", "2", "2", "3", "3"])
    assert metrics.across_folds(scores, same, folds).accuracies[2] == 0.0


def test_the_upper_bound_of_no_error_is_the_rule_of_three() -> None:
    assert metrics.upper95(0, 1000) == pytest.approx(3 / 1000, rel=0.01)
    assert metrics.upper95(0, 0) is None
    assert metrics.upper95(5, 5) == 1.0


def test_the_wilson_interval_holds_the_share_and_is_everything_without_trials() -> None:
    low, high = metrics.wilson(60, 100)
    assert low == pytest.approx(0.502, abs=0.001)
    assert high == pytest.approx(0.691, abs=0.001)
    assert metrics.wilson(0, 0) == (0.0, 1.0)


def test_the_bootstrap_by_identity_is_wider_than_one_by_pair_where_one_person_makes_all_errors() -> None:
    people = np.repeat(np.arange(20), 50)
    hits = (people == 0).astype(float)
    low, high = metrics.identity_bootstrap(hits, people, people, seed=1)
    assert low == 0.0
    assert high > 0.1


def test_a_pair_of_little_weight_counts_little_for_the_threshold() -> None:
    impostor = np.array([0.9, 0.8, 0.7, 0.6])
    assert metrics.threshold_at_fmr(impostor, 0.25, np.ones(4)) == metrics.threshold_at_fmr(impostor, 0.25)
    weight = np.array([0.1, 0.1, 0.1, 0.7])
    assert metrics.threshold_at_fmr(impostor, 0.25, weight) == np.nextafter(0.7, np.inf)
