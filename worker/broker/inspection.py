"""Remote control that only looks, and sees nothing of a member.

Whoever reaches the broker can send control commands. Those of Celery end a worker, take a queue from it
or make it drop a job; and what `celery inspect active` prints are arguments, signed links among them.
"""

from __future__ import annotations

from typing import Any, Final

from celery.worker.consumer import control
from celery.worker.control import Panel
from celery.worker.request import Request

_LOOKS: Final = (
    *("ping", "active", "active_queues", "clock", "query_task", "registered", "reserved", "revoked"),
    "scheduled",
)
"""Commands that are answered; not `hello`, which revokes jobs, nor `conf` and `report`: settings."""


class DiscreetRequest(Request):
    """Celery's request for a task, which keeps its arguments to itself."""

    def info(self, safe: bool = False) -> dict[str, Any]:
        """For remote control."""
        return {**super().info(safe), "args": "", "kwargs": ""}


class Inspection(control.Control):
    """In place of Celery's step of a consumer."""

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        looks = {name: Panel.data[name] for name in _LOOKS}
        self.box.node.handlers = {**looks, "stats": _stats}


def _stats(state: Any, **options: Any) -> dict[str, Any]:
    """Without the connection: a second address would be shown with its password."""
    told = Panel.data["stats"](state, **options)
    return {name: value for name, value in told.items() if name != "broker"}
