"""Sends task messages to the broker from any process: the app's, a command's. Needs kombu, not Celery.

A message counts as sent when the broker has confirmed it: RabbitMQ by a publisher confirm, Redis by its
reply.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from kombu.connection import Connection, ConnectionPool, PooledConnection
from kombu.entity import Queue
from kombu.exceptions import KombuError, OperationalError
from kombu.pools import ProducerPool
from kombu.transport import get_transport_cls
from redis import RedisError

from amqp import AMQPError

from .amqp import REPLY_SECONDS, BrokerUnavailable
from .broker import (
    DEFAULT_ACCESS,
    Access,
    filesystem_options,
    is_embedded,
    is_redis,
    queue_arguments,
    sentinel_options,
    tls_options,
)
from .errors import NotSent
from .redis_errors import as_transient
from .task_message import task_content, task_headers

RETRIES: Final = {"max_retries": 2, "interval_start": 0.1, "interval_step": 0.2, "interval_max": 0.5}
"""A sign-up waits for this: a broker that is away must be reported within seconds."""
_BROKEN: Final = (RedisError, BrokerUnavailable, AttributeError)
"""Raised by a Redis that is full or a replica, by a RabbitMQ that blocks its senders and, while either is
replaced, by kombu, whose channel has lost its connection."""
_CONNECTIONS: Final = 4
_CONNECT_SECONDS: Final = 2
_POOL_SECONDS: Final = 5
_TRANSPORTS: Final = {
    "filesystem": f"{__package__}.filesystem:WholeFileTransport",
    "amqp": f"{__package__}.amqp:AmqpTransport",
    "amqps": f"{__package__}.amqp:AmqpsTransport",
}
"""In place of kombu's, for our own connections only: the app may use kombu as well."""
_S = TypeVar("_S", bound="Sender")


class _Connection(PooledConnection):
    def get_transport_cls(self) -> Any:
        wanted = self.transport_cls
        return get_transport_cls(_TRANSPORTS.get(wanted, wanted))


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


class Sender:
    """Sends messages. Threads may share it, and it works on in a forked process."""

    def __init__(self, broker_url: str, folder: Path | None = None, access: Access = DEFAULT_ACCESS) -> None:
        """``folder`` is that of the filesystem broker."""
        self._url, self._folder, self._access = broker_url, folder, access
        self._lock = threading.Lock()
        self._producers: Any = None
        self._pid = 0

    def send_task(
        self, task: str, arguments: Mapping[str, Any], queue: str, traceparent: str | None = None
    ) -> None:
        """Put a task message on a queue. Raises NotSent."""
        trace = {"traceparent": traceparent} if traceparent else {}
        ours = self._queue(queue)
        with self._producer() as producer:
            producer.publish(
                task_content(arguments),
                serializer="json",
                headers={**task_headers(task, str(uuid.uuid4())), **trace},
                exchange="",  # the default exchange: straight to the queue of that name
                routing_key=ours.name,
                declare=[ours],
                delivery_mode="persistent",
                retry=True,
                retry_policy=RETRIES,
            )

    def close(self) -> None:
        """Close the connections; sending opens new ones."""
        with self._lock:
            producers, self._producers = self._producers, None
        if producers is not None and self._pid == os.getpid():
            producers.force_close_all()
            producers.connections.force_close_all()

    def __enter__(self: _S) -> _S:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _queue(self, name: str) -> Any:
        return kombu_queue(self._url, self._access, name)

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
            if isinstance(cause, RedisError) and as_transient(cause):
                raise NotSent(f"the broker takes nothing just now ({_name(cause)})") from error
            raise NotSent(f"the broker cannot be reached ({_name(cause)})") from error

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
        """Those of a worker, but with shorter time limits."""
        if is_embedded(self._url):
            return filesystem_options(self._folder or Path("var/broker"))
        if is_redis(self._url):
            limits = {"socket_connect_timeout": _CONNECT_SECONDS, "socket_timeout": REPLY_SECONDS}
            return {**limits, **sentinel_options(self._url, self._access)}
        return {"confirm_publish": True}
