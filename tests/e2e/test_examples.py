"""The examples for an app's developers, installed and run by the words of their README."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import pytest
import requests
from standardwebhooks.webhooks import Webhook

from support.examples import NEEDS, Example
from support.servers import Redis, free_port
from support.workers import Worker, open_store_at
from worker.migrations import migrate

SECRET: Final = "whsec_" + "c2VjcmV0" * 6
SECONDS: Final = 120


@pytest.fixture(scope="module", params=NEEDS)
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Example:
    made = Example(request.param, tmp_path_factory.mktemp("app"))
    made.install()
    return made


@pytest.fixture(scope="module")
def environment(redis_server: Redis) -> dict[str, str]:
    """That of the app."""
    return {
        "VERIFY_BROKER_URL": redis_server.url,
        "VERIFY_QUEUE_PREFIX": "examples-",
        "WEBHOOK_SECRET": SECRET,
        "PORT": str(free_port()),
    }


@pytest.fixture(scope="module")
def worker(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A worker of the sandbox that knows the app's receiver."""
    folder = tmp_path_factory.mktemp("worker")
    database_url = f"sqlite:///{folder / 'verify.db'}"
    store = open_store_at(database_url)
    migrate(store.database.engine)
    store.close()
    webhook = {"url": f"http://127.0.0.1:{environment['PORT']}/", "secrets": [SECRET]}
    settings = {
        "VERIFY_DATABASE_URL": database_url,
        "VERIFY_WEBHOOKS": json.dumps({"app": webhook}),
        "VERIFY_APP_PRIVATE_HOSTS": "127.0.0.1",
        **{name: value for name, value in environment.items() if name.startswith("VERIFY_")},
    }
    with Worker(settings, folder, ["--sandbox", "-c", "2"]) as started:
        yield started


def an_event(request_id: str, status: str) -> str:
    data = {
        "schema": 1,
        "member_id": "m1",
        "request_id": request_id,
        "state": "done",
        "status": status,
        "reason": None,
        "problem": None,
        "decided_by": "machine",
        "photo": None,
        "text": {"ko": '담당자가 "사진"을 확인하고 있습니다.', "en": "A person is looking at your photos."},
        "photos": [{"position": 1, "verified": False, "problem": None, "fault": None}],
        "member": None,
        "sandbox": False,
    }
    return json.dumps({"type": "verification.completed", "timestamp": "2026-11-29T07:00:00Z", "data": data})


def post(environment: dict[str, str], body: str, secret: str) -> int:
    """The status with which the program answers a webhook."""
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": "v1,b3RoZXI= " + Webhook(secret).sign("evt_1", now, body),
    }
    url = f"http://127.0.0.1:{environment['PORT']}/"
    return requests.post(url, data=body.encode(), headers=headers, timeout=SECONDS).status_code


def sent_by(program: subprocess.Popen[str]) -> str:
    """The ID of its request."""
    assert program.stdout is not None
    word, request_id = program.stdout.readline().split()
    assert word == "sent"
    return request_id


def test_a_program_refuses_a_forged_webhook_and_takes_a_genuine_one(
    example: Example, environment: dict[str, str]
) -> None:
    alone = {**environment, "VERIFY_QUEUE_PREFIX": "nobody-"}
    program = example.start("m1", alone)
    request_id = sent_by(program)
    body = an_event(request_id, "review")
    assert post(alone, body, "whsec_" + "b3RoZXIu" * 6) == 400
    assert post(alone, an_event("another", "approved"), SECRET) == 204
    assert post(alone, body, SECRET) == 204
    said, _ = program.communicate(timeout=SECONDS)
    assert program.returncode == 0, said
    assert "refused" in said
    assert said.endswith("m1 waits for a person to look\nA person is looking at your photos.\n")


SAID: Final = {
    "Node.js": ("approved", "is approved; photos that may carry the badge: [1, 2]\nYour photos have been"),
    "Python": ("dead", "could not be judged (poison), through no fault of theirs\nFor reasons on our side"),
    "Java": ("retry_photo-no_solo_photo", "is asked for a better photo (no_solo_photo)\nPhoto 1 shows"),
}
"""The name of a sandbox member, and what comes of it."""


def test_a_request_to_a_worker_of_the_sandbox_ends_in_a_verified_webhook(
    example: Example, environment: dict[str, str], worker: Worker
) -> None:
    name, words = SAID[example.heading]
    program = example.start(f"sandbox-{name}", environment)
    request_id = sent_by(program)
    said, _ = program.communicate(timeout=SECONDS)
    assert program.returncode == 0, said + worker.words[-3000:]
    assert f"sandbox-{name} {words}" in said
    assert "refused" not in said
    assert request_id in worker.words
