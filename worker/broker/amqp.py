"""AMQP transports that survive every message, and that do not wait for RabbitMQ without a limit.

A message whose properties py-amqp cannot read (a content type that is no UTF-8, a header of an unknown type,
a date beyond the calendar) would end a worker, and then the next one, for RabbitMQ delivers it again. Here
such properties are replaced before py-amqp reads them, by headers that mark the message as invalid
(`worker.broker.envelope`). The same is done to compressed bodies, which kombu would unpack to whatever size.

RabbitMQ confirms nothing while its memory or its disk is short, and neither does one that hangs: py-amqp
would wait for the confirm all that time, a sign-up in its web thread. Here the sender gets BrokerUnavailable.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

from amqp.basic_message import Message
from amqp.exceptions import IrrecoverableConnectionError
from amqp.method_framing import frame_handler
from kombu.transport import pyamqp

from worker.broker.envelope import invalid_headers

REPLY_SECONDS: Final = 5.0
"""How long a broker may take to confirm a message: a quorum queue takes milliseconds."""
_HEADER_FRAME: Final = 2
_HEADER: Final = struct.Struct(">HxxQ")  # class, weight, size of the body


def sanitizing_frame_handler(connection: Any, callback: Callable[..., Any]) -> Callable[[Any], Any]:
    """py-amqp's reader of frames; headers go through `sanitize_header` first."""
    read = frame_handler(connection, callback)

    def on_frame(frame: tuple[int, int, Any]) -> Any:
        kind, channel, buffer = frame
        return read((kind, channel, sanitize_header(buffer) if kind == _HEADER_FRAME else buffer))

    return on_frame


def sanitize_header(buffer: Any) -> Any:
    """This content header, or one that marks the message as invalid if kombu could not use it."""
    message = Message()
    try:
        message.inbound_header(buffer)
    except Exception:  # noqa: BLE001 - py-amqp raises whatever its parsing ran into: it must not end the worker
        invalid = invalid_headers("bad_properties")
    else:
        if not (message.properties.get("application_headers") or {}).get("compression"):
            return buffer
        invalid = invalid_headers("compressed")
    properties = Message(application_headers=invalid)._serialize_properties()  # noqa: SLF001
    return _HEADER.pack(*_HEADER.unpack_from(buffer)) + properties


class BrokerUnavailable(IrrecoverableConnectionError):
    """RabbitMQ does not answer, or has blocked its senders. A retry would take as long, so there is none."""


class _TimedWait:
    """A channel or a connection of py-amqp's whose waits have a time limit."""

    connection: Any

    def wait(self, method: Any, callback: Any = None, timeout: float | None = None, **options: Any) -> Any:
        """Wait for a reply of RabbitMQ's. Raises BrokerUnavailable."""
        try:
            return super().wait(method, callback, timeout or REPLY_SECONDS, **options)  # type: ignore[misc]
        except TimeoutError:
            self.connection.collect()  # a late reply would be taken for the reply to the next command
            raise BrokerUnavailable(f"no answer from RabbitMQ within {REPLY_SECONDS:.0f} s") from None


class _Channel(_TimedWait, pyamqp.Channel):
    pass


class _Connection(_TimedWait, pyamqp.Connection):
    Channel = _Channel

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, frame_handler=sanitizing_frame_handler, **options)

    def _on_blocked(self) -> None:
        """RabbitMQ reads nothing more from this connection until its alarm is over, acknowledgements neither.

        It blocks only connections that send: a consumer goes on with another one.
        """
        self.collect()
        raise BrokerUnavailable("RabbitMQ takes no messages: its memory or its disk is short")


class AmqpTransport(pyamqp.Transport):
    """`amqp://`."""

    Connection = _Connection


class AmqpsTransport(pyamqp.SSLTransport):
    """`amqps://`."""

    Connection = _Connection

    def establish_connection(self) -> Any:
        """Each of several hosts must show a certificate for its own name; kombu would expect the first one's
        name of all of them, and refuse the others."""
        connection: Any = self.client
        connection.ssl = {**connection.ssl, "server_hostname": connection.hostname}
        return super().establish_connection()  # type: ignore[no-untyped-call]
