"""A worker that takes nothing any more ends, whatever made it so, and is started again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker import state

from worker.health import DEAF_EXIT, Heartbeat


class Broker:
    """A broker's consumer for two queues."""

    def __init__(self) -> None:
        self.taken_from = {"verify", "bulk"}
        self.channel = SimpleNamespace(refused=False)
        self.queues: list[Any] = []

    def consuming_from(self, name: str) -> bool:
        """As kombu's consumer."""
        return name in self.taken_from


@pytest.fixture
def beat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Beats once for a worker that takes from these queues; the exit status that it is told, if any."""
    monkeypatch.setenv("VERIFY_HOME", str(tmp_path))
    broker = Broker()
    queues = SimpleNamespace(consume_from=dict.fromkeys({*broker.taken_from, "retrain"}))
    timer = SimpleNamespace(call_repeatedly=lambda *_: None)
    consumer = SimpleNamespace(
        app=SimpleNamespace(amqp=SimpleNamespace(queues=queues)), task_consumer=broker, timer=timer
    )
    step = Heartbeat(consumer)
    queues.consume_from = dict.fromkeys(broker.taken_from)  # chosen after the steps are made
    step.start(consumer)

    def beat(*taken_from: str) -> int | None:
        broker.taken_from = set(taken_from)
        step._beat(consumer)
        told: int | None = state.should_stop
        return told

    yield beat
    state.should_stop = None


def test_a_worker_that_takes_from_all_its_queues_goes_on(beat: Any) -> None:
    assert beat("verify", "bulk") is None


@pytest.mark.parametrize("left", [("bulk",), ()])
def test_a_worker_from_which_a_queue_was_taken_ends(beat: Any, left: tuple[str, ...]) -> None:
    assert beat(*left) == DEAF_EXIT
