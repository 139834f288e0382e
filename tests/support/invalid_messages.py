"""What people and programs put on queues and is no job, with the code of the reason."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping
from typing import Any, Final

JOB_TASK: Final = "worker.verify_member"
NO_CALLBACKS: Final = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def envelope(content: bytes, headers: Mapping[str, Any] | None = None, **changes: Any) -> bytes:
    """A message as it lies on a Redis list; ``changes`` go before its fields (`_` stands for `-`)."""
    message = {
        "body": base64.b64encode(content).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": JOB_TASK, "id": str(uuid.uuid4())} if headers is None else headers,
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
            "delivery_info": {"exchange": "", "routing_key": "verify"},
            "delivery_mode": 2,
            "priority": 0,
        },
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }
    return json.dumps(message).encode()


def body_of(job: object) -> bytes:
    """The body of a task message of protocol 2 with this job."""
    return json.dumps([[], {"job": job}, NO_CALLBACKS]).encode()


def job_message(job: Mapping[str, Any]) -> bytes:
    """A job as an app of any language sends it."""
    return envelope(body_of(job))


def headers(**changes: Any) -> dict[str, Any]:
    """Task headers with something wrong."""
    return {"task": JOB_TASK, "id": "an-id", **changes}


_VALID = body_of({})
_BARE_JOB = {"schema": 1, "request_id": "bare", "member_id": "bare"}

NO_MESSAGES: Final[dict[str, tuple[bytes, str]]] = {
    "bare JSON": (json.dumps(_BARE_JOB).encode(), "not_an_envelope"),
    "a number": (b"17", "not_an_envelope"),
    "nothing at all": (b"", "bad_json"),
    "bytes": (b"\x00\xff\x80 no message\n", "bad_json"),
    "10 MB of JSON": (json.dumps({"x": "y" * 10_000_000}).encode(), "too_large"),
    "a deep nest": (b"[" * 100_000, "too_deep"),
    "properties that are a list": (b'{"body": "e30=", "headers": {}, "properties": []}', "not_an_envelope"),
    "a body that is a number": (envelope(b"", body=17), "not_an_envelope"),
    "a body that is no base64": (envelope(b"", body="a"), "bad_base64"),
    "an unknown body encoding": (envelope(b"", properties={"body_encoding": "rot13"}), "wrong_encoding"),
    "a lone surrogate": (
        b'{"body": "\\ud800", "headers": {}, "properties": {"body_encoding": "utf-8"}}',
        "bad_base64",
    ),
    "a compressed body": (envelope(_VALID, headers(compression="zlib")), "compressed"),
}
"""Items that kombu can make no message of, or that it must not touch: name, item, reason."""

NO_TASKS: Final[dict[str, tuple[bytes, str]]] = {
    "no task header": (envelope(_VALID, {"id": "an-id"}), "no_task"),
    "an unknown task": (envelope(_VALID, headers(task="worker.make_coffee")), "unknown_task"),
    "a task of Celery's own": (envelope(_VALID, headers(task="celery.backend_cleanup")), "unknown_task"),
    "a task header that is an object": (envelope(_VALID, headers(task={"a": 1})), "unknown_task"),
    "no task id": (envelope(_VALID, {"task": JOB_TASK}), "bad_task_id"),
    "due in a hundred years": (envelope(_VALID, headers(eta="2126-01-01T00:00:00Z")), "bad_eta"),
    "due at no time": (envelope(_VALID, headers(eta={"a": 1})), "bad_eta"),
    "retries that are a word": (envelope(_VALID, headers(retries="twice")), "bad_retries"),
    "a task header with an object as body": (envelope(b'{"member_id": "m1"}'), "wrong_body"),
    "two values as body": (envelope(b"[1, 2]"), "wrong_body"),
    "bytes as body": (envelope(b"\x00\xff"), "bad_json"),
    "a deep body": (envelope(b"[" * 20_000 + b"]" * 20_000), "too_deep"),
    "pickle": (envelope(b"\x80\x04.", content_type="application/x-python-serialize"), "wrong_content_type"),
    "yaml": (envelope(b"a: 1", content_type="application/x-yaml"), "wrong_content_type"),
    "UTF-16": (envelope(_VALID, content_encoding="utf-16"), "wrong_encoding"),
    "arguments of another task": (envelope(json.dumps([[1, 2], {}, {}]).encode()), "wrong_arguments"),
    "a retraining with arguments": (envelope(_VALID, headers(task="worker.retrain")), "wrong_arguments"),
    "a sweep on a queue of members": (envelope(b"[[], {}, {}]", headers(task="worker.sweep")), "wrong_queue"),
    "a typed value of kombu's": (
        envelope(b'[[], {"job": {"__type__": "uuid", "__value__": 1}}, {}]'),
        "bad_json",
    ),
    "null bytes in the headers": (envelope(_VALID, headers(task="worker.\x00")), "unknown_task"),
    "a forged mark of ours": (envelope(b"x", {"worker_garbage": {"code": ["\x00"]}}), "bad_burial"),
    "a forged dead letter": (
        envelope(json.dumps([[], {"dead": [1]}, {}]).encode(), headers(task="worker.bury")),
        "bad_burial",
    ),
}
"""Messages that Celery can make no task of, or would drop, or would end at."""

NO_JOBS: Final[dict[str, tuple[bytes, str]]] = {
    "an empty job": (job_message({}), "missing_field"),
    "a job that is a list": (envelope(body_of([1])), "not_an_object"),
    "an unknown schema version": (job_message({"schema": 99}), "unknown_schema"),
    "a schema version that is a word": (job_message({"schema": "1"}), "wrong_type"),
}
"""Tasks whose job is none."""

BATCHES: Final[dict[str, tuple[bytes, str]]] = {
    "a batch that is a word": (envelope(body_of("all"), headers(task="worker.bulk_embed")), "not_an_object"),
    "a batch without a number": (
        envelope(body_of({"schema": 1, "run_id": 1}), headers(task="worker.bulk_embed")),
        "missing_field",
    ),
}
"""Tasks for the queue `bulk` whose job is none."""

EVERYTHING: Final = {**NO_MESSAGES, **NO_TASKS, **NO_JOBS}
