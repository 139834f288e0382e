"""Why a message that is no job becomes a dead letter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

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
