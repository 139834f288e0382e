"""Rows of `dead_job` for messages that are no jobs; see `worker.broker.envelope`."""

from __future__ import annotations

import base64
import json

from worker.broker.envelope import EXCERPT_BYTES, REASONS, known_reason, matching
from worker.errors import BadMessage
from worker.jobs.queues import IN_ORDER
from worker.store import DeadJob


def parse_dead_letter(dead: object) -> DeadJob:
    """The dead job in a dead letter. Anybody may have sent it: nothing in it is trusted."""
    fields = dead if isinstance(dead, dict) else {}
    reason, size, queue = known_reason(fields.get("code")), fields.get("size"), fields.get("queue")
    return DeadJob(
        reason=reason,
        error=REASONS[reason],
        body=_excerpt(fields.get("excerpt")),
        queue=str(queue) if queue in IN_ORDER else "",
        sha256=matching(r"[0-9a-f]{64}", fields.get("sha256")),
        length=size if isinstance(size, int) and 0 <= size < 2**31 else None,
    )


def invalid_job(bad: BadMessage, body: object, queue: str) -> DeadJob:
    """The dead job for a task whose argument is no job."""
    raw = json.dumps(body, ensure_ascii=False, default=repr).encode(errors="backslashreplace")
    return DeadJob(bad.code, bad.text, raw, queue)


def _excerpt(value: object) -> bytes:
    try:
        return base64.b64decode(str(value), validate=True)[:EXCERPT_BYTES]
    except ValueError:
        return b""
