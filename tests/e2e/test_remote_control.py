"""Remote control looks, changes nothing, and shows no photo's address."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Final

import pytest
from celery import Celery
from celery.worker.control import Panel

from support.bundle import ROOT
from support.system import System
from support.workers import wait_until
from worker.store.tables.states import State

LOOKS: Final = {
    *("active", "active_queues", "clock", "ping", "query_task", "registered", "reserved", "revoked"),
    *("scheduled", "stats"),
}
ARGUMENTS: Final[dict[str, dict[str, Any]]] = {
    "add_consumer": {"queue": "celery"},
    "autoscale": {"max": 1, "min": 1},
    "cancel_consumer": {"queue": "verify"},
    "election": {"id": "1", "topic": "t"},
    "hello": {"from_node": "a@b", "revoked": ["a-task"]},
    "query_task": {"ids": []},
    "rate_limit": {"task_name": "worker.verify_member", "rate_limit": "1/h"},
    "revoke": {"task_id": "a-task"},
    "revoke_by_stamped_headers": {"headers": {"a": "b"}},
    "terminate": {"task_id": "a-task", "signal": "KILL"},
    "time_limit": {"task_name": "worker.verify_member", "hard": 1, "soft": 1},
}


@pytest.fixture
def control(redis_url: str) -> Iterator[Any]:
    """Whoever reaches the broker."""
    app = Celery("anybody", broker=redis_url, set_as_current=False)
    app.conf.control_exchange = "verify"
    yield app.control
    app.close()


def test_a_worker_answers_what_looks_and_obeys_nothing_else(system: System, control: Any) -> None:
    worker = system.start()
    refused = set()
    for command in sorted(Panel.data):
        arguments = ARGUMENTS.get(command, {})
        ((_, answer),) = (
            reply
            for replies in control.broadcast(command, arguments=arguments, reply=True, timeout=20, limit=1)
            for reply in replies.items()
        )
        if isinstance(answer, dict) and "KeyError" in str(answer.get("error")):
            refused.add(command)
    assert Panel.data.keys() - refused == LOOKS
    system.send(system.job("after"))
    system.wait_for(["after"])
    assert worker.running


def test_what_a_worker_tells_of_its_jobs_holds_no_address_of_a_photo(system: System, control: Any) -> None:
    system.start()
    system.photos.delay = 20
    signed = {"selfie_url": system.photos.at("gone.jpg") + "?signature=s3cret"}
    system.send(*(system.job(f"r{number}", **signed) for number in range(3)))
    system.wait_for(["r0"], State.RUNNING)
    told = control.inspect(timeout=20, limit=1)
    wait_until(lambda: any(told.active().values()))
    answers = [told.active(), told.reserved(), told.scheduled(), told.stats()]
    task_id = next(iter(answers[0].values()))[0]["id"]
    answers.append(told.query_task(task_id))
    assert "worker.verify_member" in json.dumps(answers)
    assert "selfie_url" not in json.dumps(answers)
    assert "s3cret" not in json.dumps(answers)


def test_the_commands_that_operators_know_find_the_worker(system: System) -> None:
    name = f"worker{system.start().pid}@{socket.gethostname()}"
    for words, answer in ((["inspect", "ping"], "pong"), (["status"], f"{name}: OK")):
        done = subprocess.run(
            [sys.executable, "-m", "celery", "-A", "worker.app", *words, "-d", name, "-t", "20"],
            env={**os.environ, **system.settings},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert answer in done.stdout
