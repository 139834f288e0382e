"""Exact intervals and agreement, beside those of the libraries that a worker does without."""

from __future__ import annotations

import pytest
from scipy.stats import beta
from sklearn.metrics import cohen_kappa_score

from worker.store.reviews.intervals import exact_interval, kappa


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (1, 10), (10, 10), (3, 100), (17, 2000), (1990, 2000)])
def test_the_interval_of_a_share_is_clopper_and_pearsons(hits: int, trials: int) -> None:
    low = 0.0 if hits == 0 else beta.ppf(0.025, hits, trials - hits + 1)
    high = 1.0 if hits == trials else beta.ppf(0.975, hits + 1, trials - hits)
    assert exact_interval(hits, trials) == pytest.approx((low, high), abs=1e-9)


def test_of_nothing_nothing_is_known() -> None:
    assert exact_interval(0, 0) == (0, 1)
    assert kappa([]) is None
    assert kappa([("same", "same")] * 5) is None


@pytest.mark.parametrize("others", ["sssddd", "ssdddd", "dddsss", "ssscdd", "cccccc"])
def test_agreement_beyond_guessing_is_cohens_kappa(others: str) -> None:
    mine = "ssdddc"
    assert kappa([*zip(mine, others, strict=True)]) == pytest.approx(cohen_kappa_score([*mine], [*others]))
