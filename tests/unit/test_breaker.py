"""A host in trouble is left alone for a while."""

from __future__ import annotations

from worker.downloads.circuit_breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_host_rests_after_failures_in_a_row() -> None:
    breaker = Breaker(3, 30, clock=Clock())
    for _ in range(2):
        breaker.failed("a")
    assert breaker.rest("a") == 0
    breaker.failed("a")
    assert breaker.rest("a") == 30
    assert breaker.rest("b") == 0


def test_one_answer_forgives_the_failures() -> None:
    breaker = Breaker(2, 30, clock=Clock())
    breaker.failed("a")
    breaker.answered("a")
    breaker.failed("a")
    assert breaker.rest("a") == 0


def test_after_its_rest_a_host_is_tried_and_rests_longer_at_its_first_failure() -> None:
    clock = Clock()
    breaker = Breaker(2, 30, 100, clock=clock)
    breaker.failed("a")
    for seconds in (30, 60, 100, 100):
        breaker.failed("a")
        assert breaker.rest("a") == seconds
        clock.now += seconds
        assert breaker.rest("a") == 0


def test_a_host_is_on_trial_from_its_first_rest_until_it_answers() -> None:
    clock = Clock()
    breaker = Breaker(2, 30, clock=clock)
    breaker.failed("a")
    assert not breaker.on_trial("a")
    breaker.failed("a")
    clock.now += 30
    assert breaker.on_trial("a")
    breaker.answered("a")
    assert not breaker.on_trial("a")


def test_photos_that_fail_at_the_same_time_are_one_reason_to_rest() -> None:
    breaker = Breaker(2, 30, clock=Clock())
    for _ in range(6):
        breaker.failed("a")
    assert breaker.rest("a") == 30


def test_silence_weighs_more_than_an_error() -> None:
    breaker = Breaker(8, 30, clock=Clock())
    for _ in range(2):
        assert breaker.rest("a") == 0
        breaker.failed("a", weight=4)
    assert breaker.rest("a") == 30


def test_a_flood_of_hosts_is_forgotten_from_its_oldest_end() -> None:
    breaker = Breaker(1, 30, clock=Clock())
    for number in range(1001):
        breaker.failed(f"host{number}")
    assert breaker.rest("host0") == 0
    assert breaker.rest("host1") == 30
