"""Drift: the population stability index, and when it says nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime
from math import log

import numpy as np
import pytest

from worker.store.counts.day import DayCounts
from worker.store.counts.days import Day
from worker.store.counts.drift import DriftLevel, drift, reason_drift, similarities

FLAT = [100] * 10


def test_the_index_is_that_of_the_formula() -> None:
    now, before = [5000, 3000, 2000], [4000, 3000, 3000]
    by_hand = sum((a - b) * log(a / b) for a, b in ((0.5, 0.4), (0.3, 0.3), (0.2, 0.3)))
    found = drift(now, before)
    assert found.index == pytest.approx(by_hand, abs=1e-4)
    assert (found.level, found.now, found.before) == (DriftLevel.STABLE, 10_000, 10_000)
    assert drift([7000, 2000, 1000], before).level is DriftLevel.LARGE
    assert drift([5500, 2800, 1700], before).level is DriftLevel.MODERATE


def test_a_reference_is_known_and_its_shares_need_no_number() -> None:
    found = drift(FLAT, [0.1] * 10, reference=True)
    assert (found.level, found.before) == (DriftLevel.STABLE, None)
    assert found.index == pytest.approx(0, abs=1e-6)


def test_few_values_say_nothing() -> None:
    for now, before in (([10] * 10, FLAT), (FLAT, [10] * 10), ([1000], [1000])):
        assert drift(now, before).level is DriftLevel.TOO_FEW
        assert drift(now, before).index is None


def test_what_chance_makes_is_no_drift() -> None:
    rng = np.random.default_rng(1)
    found = [drift(rng.multinomial(250, [0.1] * 10).tolist(), [0.1] * 10, reference=True) for _ in range(400)]
    beyond = sum(one.index > one.by_sampling for one in found if one.index and one.by_sampling)
    assert 5 <= beyond <= 40  # of 400; 20 are meant to be
    assert sum(one.level is not DriftLevel.STABLE for one in found) <= 5


def test_cells_of_few_are_joined_with_their_neighbours() -> None:
    now = [0] * 30 + [1000] + [0] * 9
    assert drift(now, [0.0] * 30 + [0.97, 0.03] + [0.0] * 8, reference=True).level is DriftLevel.TOO_FEW
    assert drift(now, [0.5] + [0.0] * 29 + [0.5] + [0.0] * 9, reference=True).level is DriftLevel.LARGE


def a_day(number: int, **counts: object) -> Day:
    return Day(date(2026, 11, number), datetime(2026, 11, number, tzinfo=UTC), DayCounts(**counts))  # type: ignore[arg-type]


def test_reasons_are_compared_by_their_shares_and_rare_ones_together() -> None:
    before = [a_day(n, reasons={"same_person": 80, "no_usable_photo": 20}) for n in range(1, 15)]
    same = [a_day(20, reasons={"same_person": 800, "no_usable_photo": 200})]
    assert reason_drift(same, before).level is DriftLevel.STABLE
    other = [a_day(20, reasons={"same_person": 500, "no_usable_photo": 200, "same_picture": 300})]
    assert reason_drift(other, before).level is DriftLevel.LARGE
    assert reason_drift([], before).level is DriftLevel.TOO_FEW


def test_similarities_of_other_heads_are_left_out() -> None:
    days = [a_day(1, similarity={"a": [1, 2], "b": [9, 9]}), a_day(2, similarity={"a": [1, 0]}), a_day(3)]
    assert similarities(days, "a") == [2, 2]
    assert not any(similarities(days, "c"))
