"""Messages of Celery's protocol 2: names of queues and tasks that an app may use, headers and body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

VERIFY: Final = "verify"
"""Sign-ups that somebody waits for."""
BULK: Final = "bulk"
"""Imports and re-verification; served only when `verify` is empty."""
VERIFY_MEMBER: Final = "worker.verify_member"
RECORD_OBJECTION: Final = "worker.record_objection"


def task_content(kwargs: Mapping[str, Any], args: Sequence[Any] = ()) -> list[Any]:
    """The body before it is encoded: arguments, and no callbacks."""
    return [args, kwargs, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]


def task_headers(name: str, task_id: str) -> dict[str, Any]:
    """All headers. `argsrepr` and `kwargsrepr` are empty: Celery would log them, and the arguments hold
    URLs."""
    return {
        **dict.fromkeys(("parent_id", "shadow", "eta", "expires", "group", "group_index", "stamped_headers")),
        **dict.fromkeys(("argsrepr", "kwargsrepr", "origin"), ""),
        "lang": "py",
        "task": name,
        "id": task_id,
        "root_id": task_id,
        "ignore_result": True,
        "retries": 0,
        "timelimit": [None, None],
        "replaced_task_nesting": 0,
        "stamps": {},
    }
