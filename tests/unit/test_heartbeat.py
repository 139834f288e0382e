"""A worker that gets no messages any more ends, whatever the cause, and is started again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker import state

from worker.broker.consumer import STALLED_EXIT, Heartbeat


class Broker:
    """A broker's consumer for two queues."""

    def __init__(self) -> None:
        self.consumed = {"verify", "bulk"}
        self.channel = SimpleNamespace(refused=False)
        self.queues: list[Any] = []

    def consuming_from(self, name: str) -> bool:
        """As kombu's consumer."""
        return name in self.consumed


@pytest.fixture
def beat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Beats once for a worker that consumes these queues; returns the exit status that it gets, if any."""
    monkeypatch.setenv("VERIFY_HOME", str(tmp_path))
    broker = Broker()
    queues = SimpleNamespace(consume_from=dict.fromkeys({*broker.consumed, "retrain"}))
    timer = SimpleNamespace(call_repeatedly=lambda *_: None)
    consumer = SimpleNamespace(
        app=SimpleNamespace(amqp=SimpleNamespace(queues=queues)), task_consumer=broker, timer=timer
    )
    step = Heartbeat(consumer)
    queues.consume_from = dict.fromkeys(broker.consumed)  # chosen after the steps are made
    step.start(consumer)

    def beat(*consumed: str) -> int | None:
        broker.consumed = set(consumed)
        step._beat(consumer)
        told: int | None = state.should_stop
        return told

    yield beat
    state.should_stop = None


def test_a_worker_that_consumes_all_its_queues_goes_on(beat: Any) -> None:
    assert beat("verify", "bulk") is None


@pytest.mark.parametrize("left", [("bulk",), ()])
def test_a_worker_from_which_a_queue_was_taken_ends(beat: Any, left: tuple[str, ...]) -> None:
    assert beat(*left) == STALLED_EXIT
