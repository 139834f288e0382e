"""Sends jobs to the broker from any process of ours: a command's, a worker's. Needs kombu, not Celery."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Self

from worker.broker.depths import QueueDepth, file_depths, redis_depths
from worker.client.broker import is_embedded, is_redis
from worker.client.sender import RETRIES, Sender
from worker.jobs.queues import DELIVER_EVENTS, IN_ORDER, MAINTENANCE, RETRAIN, RETRAIN_STEP, VERIFY_MEMBER
from worker.jobs.verify_job import VerifyJob
from worker.settings import Settings


class Publisher(Sender):
    """Sends jobs. Threads may share it, and it works on in a forked process."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """For the broker in the settings."""
        return cls(settings.broker_url.get_secret_value(), settings.broker_folder, settings.access)

    def send(self, job: VerifyJob, queue: str) -> None:
        """Put a job on a queue. Raises NotSent."""
        self.send_task(VERIFY_MEMBER, {"job": job.to_message()}, queue)

    def send_retrain(self) -> None:
        """Tell the retrain worker that a run may be due. Raises NotSent."""
        self.send_task(RETRAIN_STEP, {}, RETRAIN)

    def send_delivery(self) -> None:
        """Ask for a delivery of events, unless the queue of such work is not empty. Raises NotSent."""
        if not self.waiting(MAINTENANCE):
            self.send_task(DELIVER_EVENTS, {}, MAINTENANCE)

    def add_to_stream(self, stream: str, fields: Mapping[str, str | bytes], since: datetime) -> None:
        """Add an entry to a Redis stream, and let those from before ``since`` go. Raises NotSent."""
        oldest = int(since.timestamp() * 1000)  # an entry's ID begins with its time in milliseconds

        def add() -> None:
            with producer.channel.conn_or_acquire() as client:
                client.xadd(stream, dict(fields), minid=oldest, approximate=True)

        with self._producer() as producer:
            producer.connection.ensure(producer, add, **RETRIES)()

    def waiting(self, queue: str) -> int:
        """How many messages on a queue no worker has fetched yet. Raises NotSent."""

        def count() -> int:
            ours = self._queue(queue)
            reply = producer.channel.queue_declare(
                queue=ours.name, durable=True, auto_delete=False, arguments=ours.queue_arguments
            )
            return int(reply.message_count)

        with self._producer() as producer:
            return int(producer.connection.ensure(producer, count, **RETRIES)())

    def depths(self, now: datetime) -> dict[str, QueueDepth]:
        """The messages of each queue, wherever they are. Raises NotSent."""
        prefix = self._access.queue_prefix
        if is_embedded(self._url):
            return file_depths((self._folder or Path()) / "queues", prefix, now)
        waiting = {name: self.waiting(name) for name in IN_ORDER}
        if not is_redis(self._url):
            return {name: QueueDepth(count) for name, count in waiting.items()}

        def read() -> dict[str, QueueDepth]:
            with producer.channel.conn_or_acquire() as client:
                return redis_depths(client, prefix, waiting, now)

        with self._producer() as producer:
            depths: dict[str, QueueDepth] = producer.connection.ensure(producer, read, **RETRIES)()
            return depths
