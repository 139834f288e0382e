"""What a monitoring event holds, and what becomes of one that the broker does not take."""

from __future__ import annotations

import logging
from typing import Any, Final

import pytest

from support.bundle import ROOT
from worker.app import app
from worker.broker import monitoring
from worker.broker.monitoring import Dispatcher, kind_of

SENT_BY_CELERY: Final[dict[str, dict[str, Any]]] = {
    "task-received": {
        **dict.fromkeys(("args", "kwargs", "root_id", "parent_id"), "m-secret"),
        "uuid": "an-id",
        "name": "worker.verify_member",
    },
    "task-succeeded": {"uuid": "an-id", "result": "'m-secret'", "runtime": 0.5},
    "task-failed": {
        "uuid": "an-id",
        "exception": "StoreUnavailable('m-secret')",
        "traceback": "File … 'm-secret'",
    },
    "worker-heartbeat": {"freq": 2.0, "active": 1, "processed": 5, "loadavg": [0.1, 0.1, 0.1]},
}


class Producer:
    """Keeps what is published; refuses it while ``broken``."""

    def __init__(self) -> None:
        self.published: list[Any] = []
        self.asked = 0
        self.broken = False

    def publish(self, event: Any, *, retry: bool, **_: object) -> None:
        """As kombu's."""
        assert not retry, "a worker that retries stands still"
        self.asked += 1
        if self.broken:
            raise ConnectionError("NOPERM")
        self.published.append(event)

    def revive(self, connection: object) -> None:
        """As kombu's."""


@pytest.fixture
def producer() -> Producer:
    return Producer()


@pytest.fixture
def dispatcher(producer: Producer) -> Dispatcher:
    made: Dispatcher = app.events.Dispatcher(app.connection_for_write(), enabled=False)
    made.enabled, made.producer = True, producer
    return made


@pytest.mark.parametrize("kind", SENT_BY_CELERY)
def test_an_event_holds_no_text_of_the_sender_the_task_or_an_exception(
    dispatcher: Dispatcher, producer: Producer, kind: str
) -> None:
    dispatcher.send(kind, retry=True, **SENT_BY_CELERY[kind])
    [event] = producer.published
    assert event["type"] == kind
    assert "m-secret" not in str(event)
    assert {"uuid", "freq"} & event.keys()


def test_of_an_exception_the_class_is_told(dispatcher: Dispatcher, producer: Producer) -> None:
    dispatcher.send("task-failed", **SENT_BY_CELERY["task-failed"])
    assert producer.published[0]["exception"] == "StoreUnavailable"
    assert kind_of("<odd>") == ""


def test_events_of_tasks_go_with_the_next_heartbeat_in_one_message(producer: Producer) -> None:
    dispatcher: Dispatcher = app.events.Dispatcher(
        app.connection_for_write(), enabled=False, buffer_group=["task"], on_send_buffered=pytest.fail
    )
    dispatcher.enabled, dispatcher.producer = True, producer
    kinds = ["task-received", "task-succeeded"]
    for kind in kinds:
        dispatcher.send(kind, **SENT_BY_CELERY[kind])
    assert producer.published == []
    dispatcher.send("worker-heartbeat", **SENT_BY_CELERY["worker-heartbeat"])
    tasks, heartbeat = producer.published
    assert ([task["type"] for task in tasks], heartbeat["type"]) == (kinds, "worker-heartbeat")


def test_what_the_broker_does_not_take_is_dropped_and_nothing_is_tried_for_a_while(
    dispatcher: Dispatcher,
    producer: Producer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(monitoring, "monotonic", lambda: now)
    producer.broken = True
    with caplog.at_level(logging.INFO):
        for _ in range(10):
            dispatcher.send("worker-heartbeat", **SENT_BY_CELERY["worker-heartbeat"])
    assert producer.asked == 1
    assert caplog.text.count("no monitoring events for 30 s: NOPERM") == 1
    producer.broken = False
    now += monitoring.PAUSE_SECONDS
    dispatcher.send("worker-heartbeat", **SENT_BY_CELERY["worker-heartbeat"])
    dispatcher.flush()
    assert len(producer.published) == 1


@pytest.mark.parametrize("password", [None, "", "short"])
def test_flower_does_not_start_without_a_password(
    password: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FLOWER_PASSWORD", raising=False)
    if password is not None:
        monkeypatch.setenv("FLOWER_PASSWORD", password)
    with pytest.raises(SystemExit, match="choose FLOWER_PASSWORD"):
        exec((ROOT / "flowerconfig.py").read_text(), {})  # as Flower does
