"""Sends jobs to the broker from any process: the app's, a command's. Needs kombu, not Celery.

A message counts as sent when the broker has confirmed it: RabbitMQ by a publisher confirm, Redis by its
reply.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, Self

from amqp import AMQPError
from kombu.connection import Connection, ConnectionPool, PooledConnection
from kombu.entity import Queue
from kombu.exceptions import KombuError, OperationalError
from kombu.pools import ProducerPool
from kombu.transport import get_transport_cls
from redis import RedisError

from worker.broker.amqp import REPLY_SECONDS, BrokerUnavailable
from worker.broker.envelope import task_content, task_headers
from worker.broker.redis_client import TransientRedisError, as_transient
from worker.errors import RetryableError
from worker.jobs.queues import RETRAIN, RETRAIN_STEP, VERIFY_MEMBER
from worker.jobs.verify_job import VerifyJob
from worker.settings import Settings
from worker.urls import (
    DEFAULT_ACCESS,
    Access,
    is_embedded,
    is_redis,
    queue_arguments,
    sentinel_options,
    tls_options,
)

_RETRIES: Final = {"max_retries": 2, "interval_start": 0.1, "interval_step": 0.2, "interval_max": 0.5}
"""A sign-up waits for this: a broker that is away must be reported within seconds."""
_BROKEN: Final = (RedisError, BrokerUnavailable, AttributeError)
"""Raised by a Redis that is full or a replica, by a RabbitMQ that blocks its senders and, while either is
replaced, by kombu, whose channel has lost its connection."""
_CONNECTIONS: Final = 4
_CONNECT_SECONDS: Final = 2
_POOL_SECONDS: Final = 5

TRANSPORTS: Final = {
    "filesystem": "worker.broker.filesystem:Transport",
    "amqp": "worker.broker.amqp:AmqpTransport",
    "amqps": "worker.broker.amqp:AmqpsTransport",
}
"""In place of kombu's, for sending and receiving. A sender uses them for its own connections only: the app
may use kombu as well."""


class _Connection(PooledConnection):
    def get_transport_cls(self) -> Any:
        wanted = self.transport_cls
        return get_transport_cls(TRANSPORTS.get(wanted, wanted))


class _Connections(ConnectionPool):
    def new(self) -> Any:
        """Another connection, with our transports."""
        return _Connection(self, **dict(self.connection._info(resolve=False)))  # type: ignore[no-untyped-call] # noqa: SLF001


def kombu_queue(broker_url: str, access: Access, name: str) -> Any:
    """A queue of ours as kombu declares it; its alias is the name that this program uses."""
    on_broker = access.queue_prefix + name
    return Queue(  # type: ignore[no-untyped-call]
        on_broker, alias=name, routing_key=on_broker, queue_arguments=queue_arguments(broker_url)
    )


def _name(error: BaseException) -> str:
    if isinstance(error, BrokerUnavailable):
        return str(error)
    transient = as_transient(error) if isinstance(error, RedisError) else None
    return transient.code if transient else type(error).__name__


class NotSent(RetryableError):
    """The broker has not confirmed the job. Sending it again, with the same request ID, is safe."""


class Publisher(AbstractContextManager["Publisher"]):
    """Sends jobs. Threads may share it, and it works on in a forked process."""

    def __init__(self, broker_url: str, folder: Path | None = None, access: Access = DEFAULT_ACCESS) -> None:
        """``folder`` is that of the filesystem broker (`Settings.broker_folder`)."""
        self._url, self._folder, self._access = broker_url, folder, access
        self._lock = threading.Lock()
        self._producers: Any = None
        self._pid = 0

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """For the broker in the settings."""
        return cls(settings.broker_url.get_secret_value(), settings.broker_folder, settings.access)

    def send(self, job: VerifyJob, queue: str) -> None:
        """Put a job on a queue. Raises NotSent."""
        self._publish(VERIFY_MEMBER, {"job": job.to_message()}, queue)

    def send_retrain(self) -> None:
        """Tell the retrain worker that a run may be due. Raises NotSent."""
        self._publish(RETRAIN_STEP, {}, RETRAIN)

    def waiting(self, queue: str) -> int:
        """How many messages on a queue no worker has fetched yet. Raises NotSent."""

        def count() -> int:
            ours = kombu_queue(self._url, self._access, queue)
            reply = producer.channel.queue_declare(
                queue=ours.name, durable=True, auto_delete=False, arguments=ours.queue_arguments
            )
            return int(reply.message_count)

        with self._producer() as producer:
            return int(producer.connection.ensure(producer, count, **_RETRIES)())

    def _publish(self, task: str, arguments: Mapping[str, Any], queue: str) -> None:
        ours = kombu_queue(self._url, self._access, queue)
        with self._producer() as producer:
            producer.publish(
                task_content(arguments),
                serializer="json",
                headers=task_headers(task, str(uuid.uuid4())),
                exchange="",  # the default exchange: straight to the queue of that name
                routing_key=ours.name,
                declare=[ours],
                delivery_mode="persistent",
                retry=True,
                retry_policy=_RETRIES,
            )

    @contextmanager
    def _producer(self) -> Iterator[Any]:
        """A producer of this process. Raises NotSent, whatever is wrong with the broker."""
        try:
            with self._pool().acquire(block=True, timeout=_POOL_SECONDS) as producer:
                yield producer
        except _BROKEN as error:
            self.close()  # the connection cannot be used after that
            raise NotSent(f"the broker takes nothing just now ({_name(error)})") from error
        except (OperationalError, KombuError, AMQPError, OSError) as error:
            cause = error.__cause__ or error
            if isinstance(cause, TransientRedisError):
                raise NotSent(f"the broker takes nothing just now ({cause.code})") from error
            raise NotSent(f"the broker cannot be reached ({_name(cause)})") from error

    def close(self) -> None:
        """Close the connections; sending opens new ones."""
        with self._lock:
            producers, self._producers = self._producers, None
        if producers is not None and self._pid == os.getpid():
            producers.force_close_all()
            producers.connections.force_close_all()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _pool(self) -> Any:
        """The pool of this process: two processes that write to one socket would mix their bytes."""
        with self._lock:
            if self._producers is None or self._pid != os.getpid():
                connections = _Connections(self._connection(), limit=_CONNECTIONS)  # type: ignore[no-untyped-call]
                self._producers = ProducerPool(connections, limit=_CONNECTIONS)  # type: ignore[no-untyped-call]
                self._pid = os.getpid()
            return self._producers

    def _connection(self) -> Any:
        return Connection(  # type: ignore[no-untyped-call]
            self._url,
            connect_timeout=_CONNECT_SECONDS,
            transport_options=self._transport_options(),
            ssl=tls_options(self._url, self._access) or False,
        )

    def _transport_options(self) -> dict[str, Any]:
        """Those of `celeryconfig`, but with shorter time limits."""
        if is_embedded(self._url):
            return filesystem_options(self._folder or Path("var/broker"))
        if is_redis(self._url):
            limits = {"socket_connect_timeout": _CONNECT_SECONDS, "socket_timeout": REPLY_SECONDS}
            return {**limits, **sentinel_options(self._url, self._access)}
        return {"confirm_publish": True}


def filesystem_options(folder: Path) -> dict[str, Any]:
    """Transport options of the filesystem broker in this folder, which is made."""
    queues = folder / "queues"
    queues.mkdir(parents=True, exist_ok=True)
    both = {"data_folder_in": str(queues), "data_folder_out": str(queues)}
    return {**both, "control_folder": str(folder / "control")}
