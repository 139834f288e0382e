"""The examples for an app's developers, installed and run by the words of their README.

A real Redis, a real worker of the sandbox, and its webhook.
"""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from typing import Final

import pytest
import requests
from standardwebhooks.webhooks import Webhook

from support.examples import NEEDS, Example
from support.servers import Redis, free_port

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
