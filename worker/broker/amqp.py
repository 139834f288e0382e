"""AMQP transports that survive every message.

A message whose properties py-amqp cannot read (a content type that is no UTF-8, a header of an unknown type,
a date beyond the calendar) would end a worker, and then the next one, for RabbitMQ delivers it again. Here
such properties are replaced before py-amqp reads them, by headers that mark the message as invalid
(`worker.broker.envelope`). The same is done to compressed bodies, which kombu would unpack to whatever size.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

from amqp.basic_message import Message
from amqp.method_framing import frame_handler

from worker.broker.envelope import invalid_headers
from worker.client import amqp
from worker.client.amqp import TimedConnection

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


class _Connection(TimedConnection):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, frame_handler=sanitizing_frame_handler, **options)


class AmqpTransport(amqp.AmqpTransport):
    """`amqp://`."""

    Connection = _Connection


class AmqpsTransport(amqp.AmqpsTransport):
    """`amqps://`."""

    Connection = _Connection
