"""The circuit breaker: a host that fails is left alone for a while."""

from __future__ import annotations

from worker.downloads.circuit_breaker import CircuitBreaker


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_opens_after_failures_in_a_row() -> None:
    breaker = CircuitBreaker(3, 30, clock=Clock())
    for _ in range(2):
        breaker.record_failure("a")
    assert breaker.open_for("a") == 0
    breaker.record_failure("a")
    assert breaker.open_for("a") == 30
    assert breaker.open_for("b") == 0


def test_one_success_clears_the_failures() -> None:
    breaker = CircuitBreaker(2, 30, clock=Clock())
    breaker.record_failure("a")
    breaker.record_success("a")
    breaker.record_failure("a")
    assert breaker.open_for("a") == 0


def test_half_open_it_opens_for_longer_at_the_first_failure() -> None:
    clock = Clock()
    breaker = CircuitBreaker(2, 30, 100, clock=clock)
    breaker.record_failure("a")
    for seconds in (30, 60, 100, 100):
        breaker.record_failure("a")
        assert breaker.open_for("a") == seconds
        clock.now += seconds
        assert breaker.open_for("a") == 0


def test_it_is_half_open_from_its_first_opening_until_a_success() -> None:
    clock = Clock()
    breaker = CircuitBreaker(2, 30, clock=clock)
    breaker.record_failure("a")
    assert not breaker.is_half_open("a")
    breaker.record_failure("a")
    clock.now += 30
    assert breaker.is_half_open("a")
    breaker.record_success("a")
    assert not breaker.is_half_open("a")


def test_photos_that_fail_at_the_same_time_open_it_once() -> None:
    breaker = CircuitBreaker(2, 30, clock=Clock())
    for _ in range(6):
        breaker.record_failure("a")
    assert breaker.open_for("a") == 30


def test_a_timeout_weighs_more_than_an_error() -> None:
    breaker = CircuitBreaker(8, 30, clock=Clock())
    for _ in range(2):
        assert breaker.open_for("a") == 0
        breaker.record_failure("a", weight=4)
    assert breaker.open_for("a") == 30


def test_of_too_many_hosts_the_oldest_are_forgotten() -> None:
    breaker = CircuitBreaker(1, 30, clock=Clock())
    for number in range(1001):
        breaker.record_failure(f"host{number}")
    assert breaker.open_for("host0") == 0
    assert breaker.open_for("host1") == 30
