"""Events on their way out of a real worker."""

from __future__ import annotations

import json
import time
from typing import Any

import redis

from support.system import System
from support.webhook_receiver import SECRET, WebhookReceiver
from support.workers import wait_until


def test_the_app_hears_of_a_verdict_and_of_a_message_that_is_no_job(
    system: System, broker: redis.Redis
) -> None:
    with WebhookReceiver() as receiver:
        system.settings |= {
            "VERIFY_WEBHOOKS": json.dumps({"app": {"url": receiver.url, "secrets": [SECRET]}}),
            "VERIFY_APP_PRIVATE_HOSTS": "127.0.0.1",
            "VERIFY_EVENT_STREAM": "verify-events",
        }
        system.start("--queues", "verify,maintenance")  # without beat: whoever verifies asks for the delivery
        system.send(system.job("r1"))
        wait_until(receiver.ids)
        time.sleep(1.1)  # once a second at most
        system.send(system.job("r2", selfie_url="ftp://nowhere/1.jpg"))
        wait_until(lambda: len(receiver.ids()) == 2)
        first, second = (one.payload for one in receiver.accepted)
        assert (first["type"], first["data"]["status"]) == ("verification.completed", "approved")
        assert (second["type"], second["data"]["problem"]) == ("verification.refused", "bad_url")
        wait_until(lambda: broker.xlen("verify-events") == 2)
        entries: list[Any] = broker.xrange("verify-events") or []
        assert {fields[b"id"].decode() for _, fields in entries} == {*receiver.ids()}
