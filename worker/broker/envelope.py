"""Messages made safe for kombu and Celery: pure functions over bytes and values.

Two steps. `decode_item` turns the raw bytes of a Redis list or a queue file into a payload that kombu can
make a message of; invalid bytes become a payload that is marked as invalid. `validate` turns a raw message,
from whatever broker, into the only headers and the only body that Celery gets to see, or raises BadMessage.
An invalid message becomes a well-formed task message of its own (`dead_letter`), so that late
acknowledgement, retries and redelivery work for it as for every job. `REASONS` has the codes of BadMessage.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from worker.client.message import MAX_BODY_BYTES
from worker.client.task_message import task_content, task_headers
from worker.errors import BadMessage
from worker.jobs.queues import DEAD_LETTER, TASKS, VERIFY
from worker.jobs.verify_job import decode_json

MAX_ITEM_BYTES: Final = 256 * 1024
"""Of an envelope: a body in base64 takes 88 KiB of it."""
EXCERPT_BYTES: Final = 4096
MAX_ETA: Final = timedelta(seconds=20)
"""A message that is due later is refused, because a worker that waited for it would take no others; one that
is due sooner is done at once. (Earlier versions sent retries that were due this late.)"""
MAX_RETRIES: Final = 1000

FORGED: Final = "bad_burial"
REASONS: Final[Mapping[str, str]] = {
    FORGED: "not a dead letter as this worker writes them",
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
"""Why a message is refused, by code. Only these texts are stored: a forged dead letter may say anything."""

_OURS: Final = "worker."
_TRACEPARENT: Final = r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
_TRACESTATE: Final = r"[ -~]{1,512}"
_INVALID: Final = "worker_garbage"


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A message as kombu received it."""

    headers: Mapping[str, Any]
    body: bytes
    content_type: str | None
    content_encoding: str | None
    queue: str


@dataclass(frozen=True, slots=True)
class TaskMessage:
    """A task message of Celery's protocol 2."""

    headers: dict[str, Any]
    content: list[Any]

    @property
    def body(self) -> bytes:
        """The content as JSON in UTF-8."""
        return json.dumps(self.content).encode()


class TaskSignature(Protocol):
    """What `validate` needs of a Celery task."""

    def __header__(self, *args: Any, **kwargs: Any) -> object:
        """Raises TypeError where the arguments do not fit."""
        ...


def _bad(code: str) -> BadMessage:
    return BadMessage(code, REASONS[code])


def decode_item(raw: bytes, queue: str) -> dict[str, Any]:
    """The payload in a raw queue item; never raises.

    The delivery tag is always a new one: two copies of one message, pushed by hand, must not share
    their acknowledgement. A redelivery goes back to the queue that the item came from.
    """
    try:
        payload = _decode_envelope(raw)
    except BadMessage as bad:
        payload = _invalid_payload(raw, bad)
    payload["properties"] |= {
        "delivery_tag": str(uuid.uuid4()),
        "delivery_info": {"exchange": "", "routing_key": queue},
        "priority": 0,
    }
    return payload


def is_envelope(raw: bytes) -> bool:
    """Whether kombu can make a message of it."""
    try:
        _decode_envelope(raw)
    except BadMessage:
        return False
    return True


def _decode_envelope(raw: bytes) -> dict[str, Any]:
    if len(raw) > MAX_ITEM_BYTES:
        raise BadMessage("too_large", f"{len(raw)} bytes, at most {MAX_ITEM_BYTES} are taken")
    payload = decode_json(raw, _plain)
    if not isinstance(payload, dict):
        raise BadMessage("not_an_envelope", "JSON, but no message of Celery's protocol")
    properties, headers = payload.get("properties"), payload.get("headers") or {}
    if not isinstance(properties, dict) or not isinstance(headers, dict):
        raise BadMessage("not_an_envelope", "no properties or no headers: not a message of Celery's protocol")
    if headers.get("compression"):
        raise _bad("compressed")
    _check_texts(payload)
    _check_body(payload.get("body"), properties.get("body_encoding"))
    return {**payload, "properties": dict(properties), "headers": headers}


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """kombu would make Python objects of these in the pool process, or fail there and drop the task."""
    if value.keys() == {"__type__", "__value__"}:
        raise BadMessage("bad_json", "holds a typed value of kombu's, not plain JSON")
    return value


def _check_texts(payload: Mapping[str, Any]) -> None:
    for key in ("content-type", "content-encoding"):
        if not isinstance(payload.get(key), str | None):
            raise BadMessage("not_an_envelope", f"{key} is no text")


def _check_body(body: object, encoding: object) -> None:
    if not isinstance(body, str | None):
        raise BadMessage("not_an_envelope", "the body is no text")
    if encoding not in (None, "utf-8", "base64"):
        raise BadMessage("wrong_encoding", "body_encoding is neither base64 nor utf-8")
    try:
        base64.b64decode((body or "").encode()) if encoding == "base64" else (body or "").encode()
    except (binascii.Error, ValueError):
        raise _bad("bad_base64") from None


def _invalid_payload(raw: bytes, bad: BadMessage) -> dict[str, Any]:
    whole: dict[str, str | int] = {"sha256": hashlib.sha256(raw).hexdigest(), "size": len(raw)}
    return {
        "body": base64.b64encode(raw[:EXCERPT_BYTES]).decode(),
        "content-type": "application/octet-stream",
        "content-encoding": "binary",
        "headers": invalid_headers(bad.code, **whole),
        "properties": {"body_encoding": "base64", "delivery_mode": 2},
    }


def invalid_headers(code: str, **whole: str | int) -> dict[str, Any]:
    """Headers that mark an invalid message; ``whole``: SHA-256 and size of what arrived."""
    return {_INVALID: {"code": code, **whole}}


def is_marked_invalid(headers: Mapping[str, Any]) -> bool:
    """Whether these are headers that `invalid_headers` made."""
    return isinstance(headers.get(_INVALID), dict)


def validate(message: RawMessage, tasks: Mapping[str, TaskSignature], now: datetime) -> TaskMessage:
    """The sanitized message that Celery gets in place of this one. Raises BadMessage.

    Callbacks, chains, time limits, expiry dates and due times are dropped, for anybody may have sent them. A
    task ID that is no UUID is replaced: it is logged and shown, and may name a member.
    """
    _refuse_marked(message.headers)
    name = _task_name(message.headers, tasks)
    _check_eta(message.headers.get("eta"), now)
    args, kwargs = _arguments(message)
    try:
        tasks[name].__header__(*args, **kwargs)
    except TypeError:
        raise BadMessage("wrong_arguments", f"the arguments are not those of {name}") from None
    if name != DEAD_LETTER and name not in TASKS.get(message.queue, TASKS[VERIFY]):
        raise BadMessage("wrong_queue", f"{name} does not belong on this queue")
    headers = task_headers(name, _task_id(message.headers)) | {"retries": _retries(message.headers)}
    return TaskMessage(headers | _trace(message.headers), task_content(kwargs, args))


def _trace(headers: Mapping[str, Any]) -> dict[str, str]:
    """The trace (W3C) that the sender's message belongs to; what is malformed is dropped, like all else."""
    parent = matching(_TRACEPARENT, headers.get("traceparent"))
    state = matching(_TRACESTATE, headers.get("tracestate")) if parent else None
    return {name: value for name, value in (("traceparent", parent), ("tracestate", state)) if value}


def foreign_task(headers: Mapping[str, Any]) -> str | None:
    """The name of the task if it is another program's."""
    name = headers.get("task")
    return None if not isinstance(name, str) or name.startswith(_OURS) else printable(name)[:100]


def _refuse_marked(headers: Mapping[str, Any]) -> None:
    if is_marked_invalid(headers):
        raise _bad(known_reason(headers[_INVALID].get("code")))


def _task_name(headers: Mapping[str, Any], tasks: Mapping[str, TaskSignature]) -> str:
    name = headers.get("task")
    if name is None:
        raise _bad("no_task")
    if not isinstance(name, str) or not name.startswith(_OURS) or name not in tasks:
        raise _bad("unknown_task")
    return name


def _task_id(headers: Mapping[str, Any]) -> str:
    task_id = headers.get("id")
    if not isinstance(task_id, str) or not 0 < len(task_id) <= 255 or not task_id.isprintable():
        raise _bad("bad_task_id")
    return task_id if _is_uuid(task_id) else str(uuid.uuid4())


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _retries(headers: Mapping[str, Any]) -> int:
    retries = headers.get("retries") or 0
    if not isinstance(retries, int) or retries < 0:
        raise _bad("bad_retries")
    return min(int(retries), MAX_RETRIES)


def _check_eta(eta: object, now: datetime) -> None:
    if eta is not None and _moment(eta) > now + MAX_ETA:
        raise BadMessage("bad_eta", f"due in more than {MAX_ETA.total_seconds():.0f} s")


def _moment(value: object) -> datetime:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadMessage("bad_eta", "the eta header is no time") from None


def _arguments(message: RawMessage) -> tuple[list[Any], dict[str, Any]]:
    if message.content_type != "application/json":
        raise _bad("wrong_content_type")
    if (message.content_encoding or "utf-8").lower() not in ("utf-8", "binary"):
        raise BadMessage("wrong_encoding", "the content encoding is not utf-8")
    if len(message.body) > MAX_BODY_BYTES:
        raise BadMessage("too_large", f"{len(message.body)} bytes, at most {MAX_BODY_BYTES} are taken")
    match decode_json(message.body, _plain):
        case [list() as args, dict() as kwargs, dict() | None]:
            return args, kwargs
    raise _bad("wrong_body")


def dead_letter(message: RawMessage, bad: BadMessage, now: datetime) -> TaskMessage:
    """The task message that records an invalid one: reason, SHA-256, length and first 4 KiB, never the
    whole."""
    marked = message.headers[_INVALID] if is_marked_invalid(message.headers) else {}
    dead = {
        "code": bad.code,
        "sha256": str(marked.get("sha256") or hashlib.sha256(message.body).hexdigest())[:64],
        "size": int(marked["size"]) if isinstance(marked.get("size"), int) else len(message.body),
        "excerpt": base64.b64encode(message.body[:EXCERPT_BYTES]).decode(),
        "queue": message.queue[:64],
        "received_at": now.isoformat(),
    }
    return TaskMessage(task_headers(DEAD_LETTER, str(uuid.uuid4())), task_content({"dead": dead}))


def matching(pattern: str, value: object) -> str | None:
    """The value if it is a text of this form."""
    return value if isinstance(value, str) and re.fullmatch(pattern, value) else None


def printable(value: object) -> str:
    """The printable characters of a text that anybody may have sent; empty if it is no text."""
    return "".join(c for c in value[:500] if c.isprintable()) if isinstance(value, str) else ""


def known_reason(code: object) -> str:
    """The code if it is one of `REASONS`."""
    return code if isinstance(code, str) and code in REASONS else FORGED
