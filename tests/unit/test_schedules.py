"""Beat's scheduler with the product's schedule, on a clock that is set back and forward."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery

import celeryconfig
from worker.broker.schedules import Scheduler

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MORNING = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)


class Clocked(Celery):  # type: ignore[misc]
    """An app that takes the time from a clock which the test sets."""

    time = MORNING

    def now(self) -> datetime:
        return self.time


class Beat(Scheduler):
    """The product's, which notes what it would send, and when."""

    producer = None

    def __init__(self) -> None:
        self.sent: list[str] = []
        super().__init__(Clocked(set_as_current=False), schedule={}, lazy=True)
        for name, told in celeryconfig.beat_schedule.items():
            self.add(name=name, **{**told, "schedule": copy.copy(told["schedule"])})

    def apply_async(self, entry: Any, **_: Any) -> None:
        self.sent.append(entry.name)

    def go_on(self, time: timedelta) -> None:
        """Time passes, and the clock goes with it; beat sleeps as long as it wants in between."""
        while time > timedelta(0):
            slept = min(timedelta(seconds=max(self.tick(), 0.01)), time)
            self.app.time += slept
            time -= slept

    def count(self, name: str) -> int:
        return self.sent.count(name)


@pytest.fixture
def beat() -> Beat:
    beat = Beat()
    beat.go_on(timedelta(minutes=1))
    assert beat.count("sweep") >= 3
    beat.sent.clear()
    return beat


@pytest.mark.parametrize("moved", [-HOUR, -365 * DAY, HOUR, DAY, 365 * DAY], ids=str)
def test_the_sweep_goes_on_and_no_faster_wherever_the_clock_is_set(beat: Beat, moved: timedelta) -> None:
    beat.app.time += moved
    beat.go_on(timedelta(minutes=10))
    assert 39 <= beat.count("sweep") <= 42


def test_a_clock_that_jumps_over_the_night_makes_up_for_its_purge_once(beat: Beat) -> None:
    beat.app.time += DAY
    beat.go_on(timedelta(minutes=10))
    assert beat.count("purge") == 1


def test_what_ran_tonight_does_not_run_again_when_the_clock_is_set_back_an_hour(beat: Beat) -> None:
    beat.go_on(10 * HOUR)
    assert beat.count("purge") == 1
    beat.app.time -= HOUR
    beat.go_on(3 * HOUR)
    assert beat.count("purge") == 1
    beat.go_on(DAY)
    assert beat.count("purge") == 2


def test_the_night_after_a_wrong_year_is_purged(beat: Beat) -> None:
    beat.app.time += 3650 * DAY
    beat.go_on(DAY)
    beat.app.time -= 3650 * DAY
    beat.sent.clear()
    beat.go_on(3 * DAY)
    assert beat.count("purge") >= 2


def test_a_planned_retraining_is_asked_for_once_a_week_though_the_clock_is_set(beat: Beat) -> None:
    beat.go_on(4 * DAY + 10.5 * HOUR)  # a quarter past seven on Sunday is over
    assert beat.count("retrain") == 1
    beat.app.time -= HOUR
    beat.go_on(6 * DAY)
    assert beat.count("retrain") == 1
    beat.go_on(2 * DAY)
    assert beat.count("retrain") == 2
