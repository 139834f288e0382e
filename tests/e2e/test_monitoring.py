"""Celery's own tools see workers, tasks and rates, and nothing of a member."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

import pytest
import redis
import requests
from celery import Celery

from support.bundle import ROOT
from support.invalid_messages import envelope, headers
from support.servers import free_port
from support.system import System
from support.workers import wait_until

PASSWORD: Final = "of more than twelve characters"


class Listener:
    """Whoever hears the events on the broker."""

    def __init__(self, broker_url: str) -> None:
        self._app = Celery("anybody", broker=broker_url, set_as_current=False)
        self._app.conf.event_exchange = "verify.events"
        self._ended = threading.Event()
        self.events: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._listen)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._app.close()

    def _listen(self) -> None:
        with self._app.connection_for_read() as connection:
            receiver = self._app.events.Receiver(connection, handlers={"*": self.events.append})
            while not self._ended.is_set():
                try:
                    receiver.capture(limit=None, timeout=1, wakeup=False)
                except TimeoutError:
                    continue

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The events of this type so far."""
        return [event for event in list(self.events) if event["type"] == kind]


@pytest.fixture
def listener(redis_url: str) -> Iterator[Listener]:
    with Listener(redis_url) as listener:
        yield listener


class Flower:
    """Flower, started as an operator would, and asked over HTTP."""

    def __init__(self, settings: Mapping[str, str], folder: Path) -> None:
        self._port, self._log = free_port(), folder / "flower.log"
        words = [sys.executable, "-m", "celery", "-A", "worker.app", "flower", f"--port={self._port}"]
        env = {**os.environ, **settings, "FLOWER_PASSWORD": PASSWORD}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(words, env=env, cwd=ROOT, stdout=log, stderr=log)

    def __enter__(self) -> Self:
        wait_until(lambda: self._process.poll() is not None or self.status("healthcheck") == 200)
        assert self._process.poll() is None, self._log.read_text()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def status(self, page: str) -> int | None:
        """The HTTP status for somebody without the password; None while nothing answers."""
        try:
            return requests.get(f"http://127.0.0.1:{self._port}/{page}", timeout=30).status_code
        except requests.ConnectionError:
            return None

    def get(self, page: str) -> Any:
        """JSON for the operator."""
        url = f"http://127.0.0.1:{self._port}/{page}"
        return requests.get(url, auth=("operator", PASSWORD), timeout=30).json()


@pytest.fixture
def flower(system: System, tmp_path: Path) -> Iterator[Flower]:
    with Flower(system.settings, tmp_path) as flower:
        yield flower


def test_events_tell_of_workers_and_tasks_and_nothing_of_members(
    system: System, listener: Listener, broker: redis.Redis
) -> None:
    worker = system.start("--queues", "verify,maintenance")
    wait_until(lambda: listener.of("worker-heartbeat"))
    job = system.job("r-s3cret", member_id="m-s3cret")
    named = {**headers(), "id": "m-s3cret", "argsrepr": "['m-s3cret']", "kwargsrepr": "{'job': 'm-s3cret'}"}
    content = json.dumps([[], {"job": job}, {}]).encode()
    broker.lpush("verify", envelope(content, named), b"no message of m-s3cret")
    system.wait_for(["r-s3cret"])
    wait_until(lambda: len(listener.of("task-succeeded")) == 2)
    assert worker.stop() == 0
    wait_until(lambda: listener.of("worker-offline"))
    told = Counter(event["type"] for event in listener.events if event["type"] != "worker-heartbeat")
    tasks = {f"task-{what}": 2 for what in ("received", "started", "succeeded")}
    assert told == {"worker-online": 1, **tasks, "worker-offline": 1}
    assert {event["name"] for event in listener.of("task-received")} == {
        "worker.verify_member",
        "worker.bury",
    }
    text = json.dumps(listener.events)
    assert not [word for word in ("s3cret", "http", "approved", "args", "result") if word in text]


def test_flower_sees_workers_and_tasks_and_lets_nobody_in_without_the_password(
    system: System, flower: Flower
) -> None:
    name = f"worker{system.start().pid}@{socket.gethostname()}"
    wait_until(lambda: any(row["status"] for row in flower.get("workers?json=1")["data"]))
    system.send(*(system.job(f"r{number}") for number in range(3)))
    system.wait_for([f"r{number}" for number in range(3)])
    wait_until(lambda: [task["state"] for task in flower.get("api/tasks").values()] == ["SUCCESS"] * 3)
    [row] = flower.get("workers?json=1")["data"]
    assert (row["hostname"], row["task-succeeded"]) == (name, 3)
    for task in flower.get("api/tasks").values():
        assert (task["name"], task["worker"]) == ("worker.verify_member", name)
        assert {task[field] for field in ("args", "kwargs", "result", "traceback")} == {None}
        assert task["runtime"] > 0
    assert {flower.status(page) for page in ("workers", "tasks", "broker", "api/tasks", "api/workers")} == {
        401
    }
