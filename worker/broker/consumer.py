"""Celery's consumer with our own steps: no message ends a worker, is dropped, or stalls it unnoticed.

Found in Celery 5.7 with kombu 5.7: bare JSON on the Redis list makes kombu reconnect and lose it; bytes that
are no JSON, or a `task` header with a dict as body, end the worker; a missing or unknown task is dropped with
a log line. The transports replace raw items that are no messages (`worker.broker.redis`,
`worker.broker.filesystem`); here the messages of every broker are validated before Celery sees them
(`worker.broker.envelope`). An invalid message is replaced by a task `worker.bury`, and acknowledged when that
is recorded.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from celery import Celery, bootsteps
from celery.worker import state
from celery.worker.consumer import Consumer, control
from celery.worker.control import Panel
from celery.worker.request import Request
from kombu.message import Message

from worker.broker import monitoring
from worker.broker.envelope import RawMessage, TaskMessage, dead_letter, validate
from worker.broker.redis_client import check
from worker.client.identifiers import is_identifier
from worker.clock import utc_now
from worker.errors import BadMessage
from worker.health import HealthFiles, StallDetector
from worker.logs import about
from worker.settings import load_settings

logger = logging.getLogger(__name__)

BEAT_SECONDS: Final = 5.0
STALLED_EXIT: Final = 69
"""EX_UNAVAILABLE: whoever supervises the worker starts a new one."""
_READ_ONLY: Final = (
    *("ping", "active", "active_queues", "clock", "query_task", "registered", "reserved", "revoked"),
    "scheduled",
)
"""Commands of remote control that are answered; not `hello`, which revokes jobs, nor `conf` and `report`,
which show settings."""


class ValidatingConsumer(Consumer):
    """Makes every message a task that this worker has."""

    class Blueprint(Consumer.Blueprint):
        """Without RabbitMQ's delayed delivery, which would keep 28 more queues there: no task here has a due
        time. Remote control can only read."""

        default_steps = (
            *(s for s in Consumer.Blueprint.default_steps if "delayed" not in s and "control" not in s),
            "worker.broker.consumer:RemoteControl",
            "worker.broker.consumer:Heartbeat",
        )

    def __init__(self, *args: Any, **options: Any) -> None:
        # Workers hear nothing of each other: that could revoke jobs. Events go to Celery's tools only.
        options |= {"without_gossip": True, "without_mingle": True}
        super().__init__(*args, **options, without_heartbeat=not options.get("task_events"))

    def connect(self) -> Any:
        """Checks Redis at each connection: a fail-over may lead to another one."""
        connection = super().connect()
        if connection.transport.driver_type == "redis":
            check(connection.default_channel.client, self.app.amqp.queues.consume_from)
        return connection

    def connection_for_write(self, url: str | None = None, heartbeat: float | None = None) -> Any:
        """That of the monitoring events: a broker that hangs may not take the time of the worker's own."""
        options = {"heartbeat": heartbeat, "transport_options": monitoring.LIMITS}
        return self.ensure_connected(self.app.connection_for_write(url=url, **options))

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Message], Any]:
        """Called once for each connection; the handler is called for each message."""
        handle = super().create_task_handler(*args, **kwargs)

        def on_message(message: Message) -> Any:
            rewrite(message, self._validated(raw_message(self.app, message)))
            return handle(message)

        return on_message

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        """Called when kombu cannot make a message of the bytes (AMQP: a wrong `compression`, for one)."""
        bad = BadMessage("undecodable", f"cannot be decoded: {type(exc).__name__}")
        rewrite(message, dead_letter(raw_message(self.app, message), bad, utc_now()))
        super().create_task_handler()(message)

    def _validated(self, message: RawMessage) -> TaskMessage:
        now = utc_now()
        try:
            return validate(message, self.app.tasks, now)
        except BadMessage as bad:
            logger.warning("a message on %s is no job and goes to dead_job: %s", message.queue, bad)
            return dead_letter(message, bad, now)


def alias_of(app: Celery, queue: str) -> str:
    """The name by which this program calls a queue of the broker; the broker's own name for any other
    queue."""
    known = app.amqp.queues.get(queue)
    return str(known.alias) if known is not None else queue


def raw_message(app: Celery, message: Message) -> RawMessage:
    """What kombu received, with the body as bytes and our own name of the queue."""
    body = message.body
    raw = body.encode(errors="backslashreplace") if isinstance(body, str) else bytes(body or b"")
    queue = alias_of(app, str(message.delivery_info.get("routing_key") or ""))
    return RawMessage(message.headers, raw, message.content_type, message.content_encoding, queue)


def rewrite(message: Message, task: TaskMessage) -> None:
    """Replace what is in a message; its acknowledgement stays that of what arrived."""
    message.headers, message.body = task.headers, task.body
    message.content_type, message.content_encoding = "application/json", "utf-8"
    message.errors = []
    message._decoded_cache = task.content  # noqa: SLF001 - kombu would decode the body once more


class PrivateRequest(Request):
    """Celery's request for a task; remote control does not show its arguments, signed links among them.

    What the main process logs of its end (a killed pool process, a time limit) names the job.
    """

    def on_failure(self, *args: Any, **options: Any) -> Any:
        """Called when the task has raised, or its process has ended."""
        with self._about_its_job():
            return super().on_failure(*args, **options)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Called when a time limit is over."""
        with self._about_its_job():
            super().on_timeout(soft, timeout)

    def _about_its_job(self) -> AbstractContextManager[None]:
        found = self.kwargs.get("job")
        job = found if isinstance(found, dict) else {}
        request, member = str(job.get("request_id", "")), str(job.get("member_id", ""))
        return about(request, member) if is_identifier(request) and is_identifier(member) else nullcontext()

    def info(self, safe: bool = False) -> dict[str, Any]:
        """What remote control shows."""
        return {**super().info(safe), "args": "", "kwargs": ""}


class RemoteControl(control.Control):
    """Celery's step, limited to commands that read.

    Anybody who reaches the broker can send commands. Celery's own end a worker, take a queue from it or make
    it drop a job.
    """

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        commands = {name: Panel.data[name] for name in _READ_ONLY}
        self.box.node.handlers = {**commands, "stats": _stats}


def _stats(state: Any, **options: Any) -> dict[str, Any]:
    """Without the connection: a second address would be shown with its password."""
    shown = Panel.data["stats"](state, **options)
    return {name: value for name, value in shown.items() if name != "broker"}


class Heartbeat(bootsteps.StartStopStep):
    """Keeps the worker's health files current, and ends a worker that gets no messages any more."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._files = HealthFiles.of(load_settings().home, os.getpid())
        self._files.open()
        self._timer: Any = None
        self._detector = StallDetector()
        self._served: list[str] = []

    def start(self, consumer: Any) -> None:
        """Called after each connection to the broker; `_beat` uses this very connection."""
        self._detector = StallDetector()
        # Known only now: a worker may start without `retrain` (`worker.runtime.servable`).
        self._served = self._served or list(consumer.app.amqp.queues.consume_from)
        self._timer = consumer.timer.call_repeatedly(BEAT_SECONDS, self._beat, (consumer,))
        self._files.beat()

    def stop(self, consumer: Any) -> None:
        """Called when the connection is lost, and when the worker ends."""
        if self._timer is not None:
            consumer.timer.cancel(self._timer)
            self._timer = None

    def shutdown(self, consumer: Any) -> None:
        self.stop(consumer)
        self._files.close()

    def _beat(self, consumer: Any) -> None:
        self._files.beat()
        received = sum(state.total_count.values())
        # A worker whom Redis refuses for now has a working connection.
        busy = bool(state.reserved_requests) or getattr(consumer.task_consumer.channel, "refused", False)
        if self._detector.stalled(waiting=_waiting(consumer), busy=busy, received=received):
            logger.critical("jobs wait and none arrives: the connection is stalled, and this worker ends")
            state.should_stop = STALLED_EXIT
        if left := [name for name in self._served if not consumer.task_consumer.consuming_from(name)]:
            logger.critical("this worker takes nothing from %s any more and ends", ", ".join(left))
            state.should_stop = STALLED_EXIT


def _waiting(consumer: Any) -> int:
    """Jobs on this worker's queues; 0 on brokers where counting them is not cheap (AMQP)."""
    channel = consumer.task_consumer.channel
    if not hasattr(channel, "_size"):
        return 0
    return sum(channel._size(queue.name) for queue in consumer.task_consumer.queues)  # noqa: SLF001
