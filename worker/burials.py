"""From the message that tells of garbage to the row in `dead_job`; see `worker.envelope`."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Final

from worker.envelope import EXCERPT_BYTES, matching
from worker.errors import BadMessage
from worker.queues import IN_ORDER
from worker.store import DeadJob

FORGED: Final = "bad_burial"
REASONS: Final[Mapping[str, str]] = {
    FORGED: "tells of garbage in a way that is not ours",
    "bad_base64": "the body is not what body_encoding says",
    "bad_eta": "the eta header is no time, or too late",
    "bad_json": "not JSON, or holds typed values of kombu's",
    "bad_properties": "the properties cannot be read",
    "bad_retries": "the retries header is no whole number",
    "bad_task_id": "the id header is no text of 1 to 255 characters",
    "compressed": "compressed bodies are not taken",
    "no_task": "no task header: not a message of Celery's protocol 2",
    "not_an_envelope": "not a message of Celery's protocol",
    "too_deep": "nested too deep",
    "too_large": "larger than a job may be",
    "undecodable": "cannot be decoded",
    "unknown_task": "the task header names no task of this worker",
    "wrong_arguments": "the arguments are not those of the task",
    "wrong_body": "the body is not [args, kwargs, embed]",
    "wrong_content_type": "the content type is not application/json",
    "wrong_encoding": "another encoding than utf-8, or base64 of it",
    "wrong_queue": "the task does not belong on this queue",
}
"""What a message can be buried for. Nobody's words but these: a forged burial may tell anything."""


def buried(dead: object) -> DeadJob:
    """The dead job that a burial tells of. A stranger may have sent it: nothing in it is trusted."""
    told = dead if isinstance(dead, dict) else {}
    code, size, queue = told.get("code"), told.get("size"), told.get("queue")
    reason = code if isinstance(code, str) and code in REASONS else FORGED
    return DeadJob(
        reason=reason,
        error=REASONS[reason],
        body=_excerpt(told.get("excerpt")),
        queue=str(queue) if queue in IN_ORDER else "",
        sha256=matching(r"[0-9a-f]{64}", told.get("sha256")),
        length=size if isinstance(size, int) and 0 <= size < 2**31 else None,
    )


def unreadable(bad: BadMessage, body: object, queue: str) -> DeadJob:
    """The dead job for the body of a task that asks for nothing that can be done."""
    raw = json.dumps(body, ensure_ascii=False, default=repr).encode(errors="backslashreplace")
    return DeadJob(bad.code, bad.text, raw, queue)


def _excerpt(value: object) -> bytes:
    try:
        return base64.b64decode(str(value), validate=True)[:EXCERPT_BYTES]
    except ValueError:
        return b""
