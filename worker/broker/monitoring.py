"""Monitoring events: what Celery's own tools (Flower) hear of workers and tasks.

Celery's own hold what the sender wrote about the arguments, what the task returned, and the text of
exceptions, and whoever listens on the broker hears them. Here an event holds what `_SHOWN` names. Events are
no record: while the broker takes none they are dropped, for a worker that waited would do nothing else.
"""

from __future__ import annotations

import logging
import re
from time import monotonic
from typing import Any, Final

from celery.app import events
from celery.events.dispatcher import EventDispatcher

logger = logging.getLogger(__name__)

LIMITS: Final = {"socket_timeout": 2, "socket_connect_timeout": 2, "max_retries": 1, "interval_start": 0}
"""For the connection of events. While the broker takes its time for one the worker stands still."""
PAUSE_SECONDS: Final = 30.0
"""For so long nothing is sent after an event was not taken."""
_SHOWN: Final = frozenset(
    (
        *("uuid", "name", "retries", "runtime", "exception", "requeue", "terminated", "signum", "expired"),
        *("freq", "active", "processed", "loadavg", "sw_ident", "sw_ver", "sw_sys"),
    )
)


class Dispatcher(EventDispatcher):
    """Celery's sender of events, which shows little and never holds up the worker for long.

    Events of tasks go with the next heartbeat (two seconds), or by two dozen: one message in place of three
    for each job.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "on_send_buffered": None})
        self.buffer_while_offline = False  # Celery's buffer has no limit
        self._silent_until = 0.0

    def send(self, type: str, **fields: Any) -> None:  # noqa: A002 - Celery's name
        """Send an event with those of the fields that are shown. Never raises, never retries."""
        shown = {name: value for name, value in fields.items() if name in _SHOWN}
        if "exception" in shown:
            shown["exception"] = kind_of(shown["exception"])
        if type.startswith("worker-"):
            self.flush()
        super().send(type, **shown)

    def _publish(self, event: Any, producer: Any, routing_key: str, **_: Any) -> None:
        if monotonic() < self._silent_until:
            return
        try:
            super()._publish(event, producer, routing_key)
        except Exception as error:  # noqa: BLE001 - whatever it is: the worker must go on
            self._silent_until = monotonic() + PAUSE_SECONDS
            logger.info("no monitoring events for %.0f s: %s", PAUSE_SECONDS, error)
            self.connection.collect()  # RabbitMQ has closed what it blocked
            producer.revive(self.connection)


def kind_of(exception: object) -> str:
    """The class in an exception's `repr`, without its text."""
    found = re.match(r"\w+", str(exception))
    return found[0] if found else ""


class Events(events.Events):
    """Celery's, with our sender."""

    dispatcher_cls = f"{__name__}:Dispatcher"
