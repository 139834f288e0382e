"""What arrives on a queue, made safe for kombu and Celery: pure functions over bytes and values.

Two doors, one behind the other. `open_item` takes the raw bytes of a Redis list or a queue file and
always gives a payload that kombu can make a message of; what was none is sealed inside, as garbage.
`admit` takes the parts of a message, from whatever broker, and gives the only headers and the only
body that Celery gets to see, or raises BadMessage. Garbage becomes a well-formed task of its own
(`burial`), so that acknowledging late, retrying and surviving a crash hold for it as for every job.
The codes of BadMessage stand at the end.
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

from worker.errors import BadMessage
from worker.jobs.queues import BURY, TASKS, VERIFY
from worker.jobs.verify_job import MAX_BODY_BYTES, check_depth

MAX_ITEM_BYTES: Final = 256 * 1024
"""Of an envelope: a body in base64 takes 88 KiB of it."""
EXCERPT_BYTES: Final = 4096
MAX_ETA: Final = timedelta(seconds=20)
"""A message that is due later is refused, others are done at once: a worker that held them would take no
others. (So late were retries of earlier versions.)"""
MAX_RETRIES: Final = 1000

_OURS: Final = "worker."
_SEAL: Final = "worker_garbage"
_EMBED: Final = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


@dataclass(frozen=True, slots=True)
class Parts:
    """A message as kombu took it in."""

    headers: Mapping[str, Any]
    body: bytes
    content_type: str | None
    content_encoding: str | None
    queue: str


@dataclass(frozen=True, slots=True)
class Letter:
    """Headers and body (JSON, UTF-8) of a task message of Celery's protocol 2."""

    headers: dict[str, Any]
    body: bytes


class TaskSignature(Protocol):
    """What `admit` needs of a Celery task."""

    def __header__(self, *args: Any, **kwargs: Any) -> object:
        """Raises TypeError where the arguments do not fit."""
        ...


def open_item(raw: bytes, queue: str) -> dict[str, Any]:
    """The payload in a raw queue item; never raises.

    The delivery tag is always a new one: two copies of one message, pushed by hand, must not share
    their acknowledgement. A redelivery goes back to the queue that the item came from.
    """
    try:
        payload = _open(raw)
    except BadMessage as bad:
        payload = _sealed(raw, bad)
    payload["properties"] |= {
        "delivery_tag": str(uuid.uuid4()),
        "delivery_info": {"exchange": "", "routing_key": queue},
        "priority": 0,
    }
    return payload


def is_envelope(raw: bytes) -> bool:
    """Whether kombu can make a message of it."""
    try:
        _open(raw)
    except BadMessage:
        return False
    return True


def _open(raw: bytes) -> dict[str, Any]:
    if len(raw) > MAX_ITEM_BYTES:
        raise BadMessage("too_large", f"{len(raw)} bytes, at most {MAX_ITEM_BYTES} are taken")
    payload = _read(raw)
    if not isinstance(payload, dict):
        raise BadMessage("not_an_envelope", "JSON, but no message of Celery's protocol")
    properties, headers = payload.get("properties"), payload.get("headers") or {}
    if not isinstance(properties, dict) or not isinstance(headers, dict):
        raise BadMessage("not_an_envelope", "no properties or no headers: not a message of Celery's protocol")
    if headers.get("compression"):
        raise BadMessage("compressed", "compressed bodies are not taken")
    _check_texts(payload)
    _check_body(payload.get("body"), properties.get("body_encoding"))
    return {**payload, "properties": dict(properties), "headers": headers}


def _read(raw: bytes) -> Any:
    try:
        value = json.loads(raw, object_hook=_plain)
    except RecursionError:
        raise BadMessage("too_deep", "nested too deep") from None
    except ValueError:
        raise BadMessage("bad_json", "not JSON") from None
    check_depth(value)  # what is read here is written, wrapped and read again: far below any limit
    return value


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
        raise BadMessage("bad_base64", "the body is not what body_encoding says") from None


def _sealed(raw: bytes, bad: BadMessage) -> dict[str, Any]:
    whole: dict[str, str | int] = {"sha256": hashlib.sha256(raw).hexdigest(), "size": len(raw)}
    return {
        "body": base64.b64encode(raw[:EXCERPT_BYTES]).decode(),
        "content-type": "application/octet-stream",
        "content-encoding": "binary",
        "headers": seal(bad.code, **whole),
        "properties": {"body_encoding": "base64", "delivery_mode": 2},
    }


def seal(code: str, **whole: str | int) -> dict[str, Any]:
    """Headers of garbage that must not be looked into again; ``whole``: sha256 and size of what it was."""
    return {_SEAL: {"code": code, **whole}}


def admit(parts: Parts, tasks: Mapping[str, TaskSignature], now: datetime) -> Letter:
    """The task message that Celery may have in place of this one. Raises BadMessage.

    Callbacks, chains, time limits, expiry dates and due times of a stranger are dropped.
    """
    _refuse_sealed(parts.headers)
    name = _task_name(parts.headers, tasks)
    _check_eta(parts.headers.get("eta"), now)
    args, kwargs = _arguments(parts)
    try:
        tasks[name].__header__(*args, **kwargs)
    except TypeError:
        raise BadMessage("wrong_arguments", f"the arguments are not those of {name}") from None
    if name != BURY and name not in TASKS.get(parts.queue, TASKS[VERIFY]):
        raise BadMessage("wrong_queue", f"{name} does not belong on this queue")
    headers = task_headers(name, _task_id(parts.headers)) | {"retries": _retries(parts.headers)}
    return Letter(headers, json.dumps([args, kwargs, _EMBED]).encode())


def task_headers(name: str, task_id: str) -> dict[str, Any]:
    """All headers that Celery's protocol 2 knows. The texts of the arguments are left empty: Celery
    would log them, and they hold URLs."""
    return {
        "lang": "py",
        "task": name,
        "id": task_id,
        "root_id": task_id,
        "parent_id": None,
        "argsrepr": "",
        "kwargsrepr": "",
        "origin": "",
        "shadow": None,
        "ignore_result": True,
        "eta": None,
        "expires": None,
        "retries": 0,
        "timelimit": [None, None],
        "group": None,
        "group_index": None,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }


def is_sealed(headers: Mapping[str, Any]) -> bool:
    """Whether these are the headers of garbage that was sealed."""
    return isinstance(headers.get(_SEAL), dict)


def foreign_task(headers: Mapping[str, Any]) -> str | None:
    """The name of the task if these are the headers of another program's."""
    name = headers.get("task")
    return None if not isinstance(name, str) or name.startswith(_OURS) else printable(name)[:100]


def _refuse_sealed(headers: Mapping[str, Any]) -> None:
    if is_sealed(headers):
        reason = known_reason(headers[_SEAL].get("code"))
        raise BadMessage(reason, REASONS[reason])


def _task_name(headers: Mapping[str, Any], tasks: Mapping[str, TaskSignature]) -> str:
    name = headers.get("task")
    if name is None:
        raise BadMessage("no_task", "no task header: not a message of Celery's protocol 2")
    if not isinstance(name, str) or not name.startswith(_OURS) or name not in tasks:
        raise BadMessage("unknown_task", "the task header names no task of this worker")
    return name


def _task_id(headers: Mapping[str, Any]) -> str:
    task_id = headers.get("id")
    if not isinstance(task_id, str) or not 0 < len(task_id) <= 255 or not task_id.isprintable():
        raise BadMessage("bad_task_id", "the id header is no text of 1 to 255 characters")
    return task_id


def _retries(headers: Mapping[str, Any]) -> int:
    retries = headers.get("retries") or 0
    if not isinstance(retries, int) or retries < 0:
        raise BadMessage("bad_retries", "the retries header is no whole number")
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


def _arguments(parts: Parts) -> tuple[list[Any], dict[str, Any]]:
    if parts.content_type != "application/json":
        raise BadMessage("wrong_content_type", "the content type is not application/json")
    if (parts.content_encoding or "utf-8").lower() not in ("utf-8", "binary"):
        raise BadMessage("wrong_encoding", "the content encoding is not utf-8")
    if len(parts.body) > MAX_BODY_BYTES:
        raise BadMessage("too_large", f"{len(parts.body)} bytes, at most {MAX_BODY_BYTES} are taken")
    match _read(parts.body):
        case [list() as args, dict() as kwargs, dict() | None]:
            return args, kwargs
    raise BadMessage("wrong_body", "the body is not [args, kwargs, embed]")


def burial(parts: Parts, bad: BadMessage, now: datetime) -> Letter:
    """A task message that tells of garbage: sha256, length, first 4 KiB, reason, never the whole."""
    known = parts.headers[_SEAL] if is_sealed(parts.headers) else {}
    dead = {
        "code": bad.code,
        "sha256": str(known.get("sha256") or hashlib.sha256(parts.body).hexdigest())[:64],
        "size": int(known["size"]) if isinstance(known.get("size"), int) else len(parts.body),
        "excerpt": base64.b64encode(parts.body[:EXCERPT_BYTES]).decode(),
        "queue": parts.queue[:64],
        "received_at": now.isoformat(),
    }
    return Letter(task_headers(BURY, str(uuid.uuid4())), json.dumps([[], {"dead": dead}, _EMBED]).encode())


def matching(pattern: str, value: object) -> str | None:
    """The value if it is a text of this form."""
    return value if isinstance(value, str) and re.fullmatch(pattern, value) else None


def printable(value: object) -> str:
    """One line of a stranger's text; empty if it is none."""
    return "".join(c for c in value[:500] if c.isprintable()) if isinstance(value, str) else ""


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


def known_reason(code: object) -> str:
    """The code if it is one of `REASONS`."""
    return code if isinstance(code, str) and code in REASONS else FORGED
