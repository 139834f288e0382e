"""AMQP transports that no message can end, and that wait for no answer for ever.

A worker would end at a message whose properties py-amqp cannot read (a content type that is no UTF-8,
a header of an unknown kind, a date beyond the calendar), and so would the next one, for RabbitMQ
delivers it again. Here such properties are put aside before py-amqp looks at them; what is left is
sealed as garbage and goes the way of all garbage (`worker.broker.envelope`). The same befalls compressed
bodies, which kombu would unpack to whatever size.

RabbitMQ answers nobody who sends while its memory or its disk is short, nor does one that hangs: py-amqp
would wait for the confirm as long as that lasts, a sign-up in its web thread. Here the sender is told.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

from amqp.basic_message import Message
from amqp.exceptions import IrrecoverableConnectionError
from amqp.method_framing import frame_handler
from kombu.transport import pyamqp

from worker.broker.envelope import seal

ANSWER_SECONDS: Final = 5.0
"""A confirm of a quorum queue takes milliseconds."""
_HEADER_FRAME: Final = 2
_HEAD: Final = struct.Struct(">HxxQ")  # class, weight, size of the body


def guarded_frames(connection: Any, callback: Callable[..., Any]) -> Callable[[Any], Any]:
    """py-amqp's reader of frames, behind `sound_header`."""
    read = frame_handler(connection, callback)

    def on_frame(frame: tuple[int, int, Any]) -> Any:
        kind, channel, buffer = frame
        return read((kind, channel, sound_header(buffer) if kind == _HEADER_FRAME else buffer))

    return on_frame


def sound_header(buffer: Any) -> Any:
    """A content header that kombu can take: this one, or one that says what was wrong with it."""
    message = Message()
    try:
        message.inbound_header(buffer)
    except Exception:  # noqa: BLE001 - whatever it is, it must not end the worker
        sealed = seal("bad_properties")
    else:
        if not (message.properties.get("application_headers") or {}).get("compression"):
            return buffer
        sealed = seal("compressed")  # kombu would unpack any bomb
    properties = Message(application_headers=sealed)._serialize_properties()  # noqa: SLF001
    return _HEAD.pack(*_HEAD.unpack_from(buffer)) + properties


class NotTaken(IrrecoverableConnectionError):
    """RabbitMQ does not answer, or has said that it takes nothing. Not tried again: it would take as long."""


class _Patient:
    """A channel of py-amqp's, or the connection, whose waiting ends."""

    connection: Any

    def wait(self, method: Any, callback: Any = None, timeout: float | None = None, **options: Any) -> Any:
        """For an answer of RabbitMQ's. Raises NotTaken."""
        try:
            return super().wait(method, callback, timeout or ANSWER_SECONDS, **options)  # type: ignore[misc]
        except TimeoutError:
            self.connection.collect()  # an answer that comes now would be taken for that to the next question
            raise NotTaken(f"no answer from RabbitMQ within {ANSWER_SECONDS:.0f} s") from None


class _GuardedChannel(_Patient, pyamqp.Channel):
    pass


class _GuardedConnection(_Patient, pyamqp.Connection):
    Channel = _GuardedChannel

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, frame_handler=guarded_frames, **options)

    def _on_blocked(self) -> None:
        """RabbitMQ reads nothing more from this connection until its alarm is over, acknowledgements neither.

        It blocks only who sends: whoever takes messages goes on with another connection.
        """
        self.collect()
        raise NotTaken("RabbitMQ takes no messages: its memory or its disk is short")


class AmqpTransport(pyamqp.Transport):
    """`amqp://`."""

    Connection = _GuardedConnection


class AmqpsTransport(pyamqp.SSLTransport):
    """`amqps://`."""

    Connection = _GuardedConnection

    def establish_connection(self) -> Any:
        """Each of several hosts must show a certificate for its own name; kombu would go on asking for the
        first one's, and refuse all others."""
        connection: Any = self.client
        connection.ssl = {**connection.ssl, "server_hostname": connection.hostname}
        return super().establish_connection()  # type: ignore[no-untyped-call]
