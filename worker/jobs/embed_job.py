"""The message `bulk_embed`: a batch of members whose photos a verify worker embeds for a retraining.

It holds numbers only, so a message on a queue says nothing about anybody. Whatever is wrong with it becomes a
`BadMessage` with a code of `worker.jobs.verify_job`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from worker.errors import BadMessage

SCHEMA: Final = 1
MOST: Final = 2**31
_FIELDS: Final = ("run_id", "batch")


@dataclass(frozen=True, slots=True)
class EmbedJob:
    """A batch of a retraining run."""

    run_id: int
    batch: int

    def to_message(self) -> dict[str, Any]:
        """The job as JSON primitives."""
        return {"schema": SCHEMA, "run_id": self.run_id, "batch": self.batch}


def parse_embed_job(body: object) -> EmbedJob:
    """The job in a message's body. Raises BadMessage, and nothing else, for whatever else may be in it."""
    if not isinstance(body, dict):
        raise BadMessage("not_an_object", "the message must be an object")
    if _number(body, "schema") != SCHEMA:
        raise BadMessage("unknown_schema", f"schema: only version {SCHEMA} is known here")
    return EmbedJob(*(_number(body, name) for name in _FIELDS))


def _number(body: dict[object, object], name: str) -> int:
    if name not in body:
        raise BadMessage("missing_field", f"{name}: Field required")
    value = body[name]
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadMessage("wrong_type", f"{name}: must be a whole number")
    if not 0 <= value < MOST:
        raise BadMessage("bad_value", f"{name}: must be 0 to {MOST - 1}")
    return value
