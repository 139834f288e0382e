"""What the endpoint of the metrics answers, whatever happens to what it reads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.error import HTTPError

import pytest
from prometheus_client import CollectorRegistry, Metric

from support.metrics import Scrape, scrape
from support.servers import free_port
from support.workers import wait_until
from worker.client.errors import NotSent
from worker.metrics import families
from worker.metrics.endpoint import app, serve
from worker.metrics.sources import GOOD_SECONDS, Source, StateCollector, gauge

TOKEN = "0123456789abcdef"


@dataclass
class Part:
    """A part of the system of whom so many have asked, by a clock of the test's own."""

    name: str = "database"
    takes: float = 0.0
    error: Exception | None = None
    asked: int = 0
    now: float = 1000.0
    goes_on: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.goes_on.set()
        self.source = Source(self.name, self.read, clock=lambda: self.now)

    def read(self) -> Iterator[Metric]:
        self.goes_on.wait()
        self.asked += 1
        self.now += self.takes
        if self.error:
            raise self.error
        yield gauge(families.DEAD_JOBS, self.asked)


def answer(*parts: Part, patience: float = 20.0) -> Scrape:
    return Scrape(tuple(StateCollector([part.source for part in parts], patience).collect()))


def test_a_part_that_fails_is_left_out_and_said_to_be_down_while_the_others_are_there() -> None:
    broken = Part("broker", error=NotSent("the broker cannot be reached"))
    seen = answer(broken, Part())
    assert seen.value("verify_dead_jobs") == 1
    assert seen.value("verify_source_up", source="broker") == 0
    assert seen.value("verify_source_up", source="database") == 1
    assert seen.value("verify_source_read_seconds", source="broker") is None


def test_a_part_that_fails_is_asked_again_at_once_and_said_once_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    part = Part(error=ZeroDivisionError("a fault of ours"))
    answer(part)
    answer(part)
    assert len(caplog.records) == 1
    part.error = None
    assert answer(part).value("verify_source_up", source="database") == 1


def test_a_part_that_hangs_keeps_nobody_waiting_and_is_not_asked_by_everybody() -> None:
    hanging = Part("broker")
    hanging.goes_on.clear()
    for _ in range(3):
        seen = answer(hanging, Part(), patience=0.05)
        assert seen.value("verify_source_up", source="broker") == 0
        assert seen.value("verify_source_up", source="database") == 1
    hanging.goes_on.set()
    wait_until(lambda: answer(hanging).value("verify_source_up", source="broker") == 1)
    assert hanging.asked == 1


def test_a_reading_is_good_for_a_while() -> None:
    part = Part()
    assert answer(part).value("verify_dead_jobs") == 1
    part.now += GOOD_SECONDS - 1
    assert answer(part).value("verify_dead_jobs") == 1
    part.now += 2
    assert answer(part).value("verify_dead_jobs") == 2


def test_what_takes_long_is_read_the_less_often() -> None:
    part = Part(takes=2.0)
    answer(part)
    part.now += 39
    assert answer(part).value("verify_source_read_seconds") == 2.0
    assert part.asked == 1
    part.now += 2
    answer(part)
    assert part.asked == 2


@contextmanager
def served(token: str = TOKEN) -> Iterator[str]:
    """The URL of an endpoint."""
    registry, wanted, port = CollectorRegistry(), threading.Event(), free_port()
    registry.register(StateCollector([Part().source]))
    arguments = ("127.0.0.1", port, app(registry, token), lambda: not wanted.is_set())
    thread = threading.Thread(target=serve, args=arguments)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    wanted.set()
    thread.join(timeout=60)
    assert not thread.is_alive()


def answers(url: str, token: str = "") -> int:
    """The status, once somebody answers."""
    statuses: list[int] = []

    def asked() -> bool:
        try:
            scrape(url, token)
        except HTTPError as error:
            statuses.append(error.code)
        except OSError:
            return False
        else:
            statuses.append(200)
        return True

    wait_until(asked)
    return statuses[0]


def test_only_who_shows_the_token_reads_the_metrics() -> None:
    with served() as url:
        assert answers(f"{url}/metrics", TOKEN) == 200
        assert answers(f"{url}/metrics") == 401
        assert answers(f"{url}/metrics", TOKEN[:-1]) == 401
        assert answers(f"{url}/metrics", "ä" * 16) == 401
        assert answers(url, TOKEN) == 404


def test_without_a_token_everybody_who_reaches_it_does() -> None:
    with served(token="") as url:
        assert answers(f"{url}/metrics") == 200
