"""The worker's main process shows that it lives, and ends itself when it has gone deaf."""

from __future__ import annotations

import logging
import os
from typing import Any, Final

from celery import bootsteps
from celery.worker import state

from worker.health import BEAT_SECONDS, HealthFiles, Hearing
from worker.settings import load_settings

logger = logging.getLogger(__name__)

DEAF_EXIT: Final = 69
"""EX_UNAVAILABLE: whoever supervises the worker starts a new one."""


class Heartbeat(bootsteps.StartStopStep):
    """A step of Celery's consumer: begins with each connection to the broker, ends with it."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._files = HealthFiles.of(load_settings().home, os.getpid())
        self._files.open()
        self._timer: Any = None
        self._hearing = Hearing()
        self._served: list[str] = []

    def start(self, consumer: Any) -> None:
        """The broker is connected, and will be asked through this very connection."""
        self._hearing = Hearing()
        # Known only now: a worker may start without `retrain` (`worker.runtime.servable`).
        self._served = self._served or list(consumer.app.amqp.queues.consume_from)
        self._timer = consumer.timer.call_repeatedly(BEAT_SECONDS, self._beat, (consumer,))
        self._files.beat()

    def stop(self, consumer: Any) -> None:
        """The connection is gone, or the worker ends."""
        if self._timer is not None:
            consumer.timer.cancel(self._timer)
            self._timer = None

    def shutdown(self, consumer: Any) -> None:
        """The worker ends in good order."""
        self.stop(consumer)
        self._files.close()

    def _beat(self, consumer: Any) -> None:
        self._files.beat()
        heard = sum(state.total_count.values())
        # One whom Redis tells to wait hears very well.
        busy = bool(state.reserved_requests) or getattr(consumer.task_consumer.channel, "refused", False)
        if self._hearing.deaf(waiting=_waiting(consumer), busy=busy, heard=heard):
            logger.critical("jobs wait and none arrives here: this worker has gone deaf and ends")
            state.should_stop = DEAF_EXIT
        if left := [name for name in self._served if not consumer.task_consumer.consuming_from(name)]:
            logger.critical("this worker takes nothing from %s any more and ends", ", ".join(left))
            state.should_stop = DEAF_EXIT


def _waiting(consumer: Any) -> int:
    """Jobs on this worker's queues; 0 on brokers that need more than a glance for it (AMQP)."""
    channel = consumer.task_consumer.channel
    if not hasattr(channel, "_size"):
        return 0
    return sum(channel._size(queue.name) for queue in consumer.task_consumer.queues)  # noqa: SLF001
