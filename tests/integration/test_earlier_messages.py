"""Messages of the version before, as it left them on the broker (`earlier_messages.json`), are read."""

# mypy: allow-untyped-calls

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from kombu.connection import Connection

import worker.tasks  # noqa: F401 - registers them
from pipeline.verdict import Gender
from support.redis_queue import VISIBLE_AFTER, Broker
from worker.app import app
from worker.broker.consumer import raw_message
from worker.broker.envelope import TaskMessage, validate
from worker.broker.filesystem import unacked_path
from worker.jobs.embed_job import EmbedJob, parse_embed_job
from worker.jobs.verify_job import VerifyJob, Why, parse_job
from worker.store import DeadJob
from worker.verification.dead_letters import parse_dead_letter

NOW: Final = datetime(2026, 11, 24, 7, tzinfo=UTC)
JOB: Final = VerifyJob(
    schema=1,
    request_id="r1",
    requested_at=NOW,
    member_id="m1",
    why=Why.SIGNUP,
    selfie_url="https://photos.example.com/m1/selfie.jpg?sig=%2F",
    photo_urls=("https://photos.example.com/m1/1.jpg",),
    declared_gender=Gender.FEMALE,
)
DEAD: Final = DeadJob(
    reason="not_an_envelope",
    error="not a message of Celery's protocol",
    body=b'{"member_id": "m1"}',
    queue="verify",
    sha256="3f114ac00bb0c72c8a98274c24b385668511bf93e2bc45415c4b33abad6d30cb",
    length=19,
)
MEANING: Final[dict[str, tuple[str, object, int]]] = {
    "a job of the client": ("worker.verify_member", JOB, 0),
    "a job that is retried": ("worker.verify_member", JOB, 1),
    "a batch of members": ("worker.bulk_embed", EmbedJob(run_id=7, batch=2), 0),
    "a dead letter that is retried": ("worker.bury", DEAD, 1),
    "a sweep of beat": ("worker.sweep", None, 0),
    "a retraining step": ("worker.retrain", None, 0),
}
"""Task, what its arguments mean, and how often it was retried."""
ITEMS: Final = json.loads(Path(__file__).with_name("earlier_messages.json").read_text(encoding="utf-8"))
QUEUE_AND_ITEM: Final = {name: (item["queue"], item["item"].encode()) for name, item in ITEMS.items()}


@pytest.fixture
def broker(redis_url: str) -> Iterator[Broker]:
    with ExitStack() as stack:
        yield Broker(redis_url, "", stack)


def meaning(message: Any) -> tuple[str, object, int]:
    """Of a message as kombu received it, by way of the consumer and the task."""
    task: TaskMessage = validate(raw_message(app, message), app.tasks, NOW)
    arguments = task.content[1]
    parsers: dict[str, Any] = {
        "worker.verify_member": lambda: parse_job(arguments["job"], NOW),
        "worker.bulk_embed": lambda: parse_embed_job(arguments["job"]),
        "worker.bury": lambda: parse_dead_letter(arguments["dead"]),
    }
    name = task.headers["task"]
    return name, parsers.get(name, lambda: None)(), task.headers["retries"]


@pytest.mark.parametrize("name", MEANING)
def test_a_message_that_waits_on_redis(broker: Broker, name: str) -> None:
    queue, item = QUEUE_AND_ITEM[name]
    broker.client.lpush(queue, item)
    (message,) = broker.receiver(queue).drain(1)
    assert meaning(message) == MEANING[name]
    message.ack()
    assert (broker.waiting(queue), broker.unacknowledged()) == (0, 0)


@pytest.mark.parametrize("name", MEANING)
def test_a_message_that_a_killed_worker_had_not_acknowledged(broker: Broker, name: str) -> None:
    queue, item = QUEUE_AND_ITEM[name]
    tag = f"a62c56e949944e50a595ae4cd56769fd{queue}"
    broker.client.hset("verify:unacked", tag, item)
    broker.client.zadd("verify:unacked_index", {tag: float(broker.client.time()[0]) - VISIBLE_AFTER - 5})
    (message,) = broker.receiver(queue).drain(1)
    assert meaning(message) == MEANING[name]
    message.ack()
    assert (broker.waiting(queue), broker.unacknowledged()) == (0, 0)


@pytest.mark.parametrize("killed", [False, True], ids=["waits", "was not acknowledged"])
@pytest.mark.parametrize("name", MEANING)
def test_a_queue_file(tmp_path: Path, name: str, killed: bool) -> None:
    queue, item = QUEUE_AND_ITEM[name]
    file = tmp_path / f"2352332_5fe15a9b-b5a6-41e3-8a1b-b52b7088934c.{queue}.msg"
    if killed:
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        file = unacked_path(gone.pid, file)
        assert file.relative_to(tmp_path) == Path("taken") / f"{gone.pid}~{file.name.partition('~')[2]}"
        file.parent.mkdir()
    file.write_bytes(item)
    folders = {"data_folder_in": str(tmp_path), "data_folder_out": str(tmp_path)}
    options = {**folders, "control_folder": str(tmp_path / "control")}
    transport = "worker.broker.filesystem:Transport"
    with Connection("filesystem://", transport=transport, transport_options=options) as connection:
        message = connection.channel().basic_get(queue)
        assert meaning(message) == MEANING[name]
        message.ack()
    assert not list(tmp_path.rglob("*.msg"))
