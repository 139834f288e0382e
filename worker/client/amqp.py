"""AMQP transports that do not wait for RabbitMQ without a limit.

RabbitMQ confirms nothing while its memory or its disk is short, and neither does one that hangs: py-amqp
would wait for the confirm all that time, a sign-up in its web thread. Here the sender gets BrokerUnavailable.
"""

from __future__ import annotations

import socket
from typing import Any, Final

from amqp.exceptions import IrrecoverableConnectionError
from kombu.transport import pyamqp

REPLY_SECONDS: Final = 5.0
"""How long a broker may take to confirm a message: a quorum queue takes milliseconds."""


class BrokerUnavailable(IrrecoverableConnectionError):
    """RabbitMQ does not answer, or has blocked its senders. A retry would take as long, so there is none."""


class _TimedWait:
    """A channel or a connection of py-amqp's whose waits have a time limit."""

    connection: Any

    def wait(self, method: Any, callback: Any = None, timeout: float | None = None, **options: Any) -> Any:
        """Wait for a reply of RabbitMQ's. Raises BrokerUnavailable."""
        try:
            return super().wait(method, callback, timeout or REPLY_SECONDS, **options)  # type: ignore[misc]
        except socket.timeout:  # TimeoutError from Python 3.10 on
            self.connection.collect()  # a late reply would be taken for the reply to the next command
            raise BrokerUnavailable(f"no answer from RabbitMQ within {REPLY_SECONDS:.0f} s") from None


class _Channel(_TimedWait, pyamqp.Channel):
    pass


class TimedConnection(_TimedWait, pyamqp.Connection):
    """A connection to RabbitMQ."""

    Channel = _Channel

    def _on_blocked(self) -> None:
        """RabbitMQ reads nothing more from this connection until its alarm is over, acknowledgements neither.

        It blocks only connections that send: a consumer goes on with another one.
        """
        self.collect()
        raise BrokerUnavailable("RabbitMQ takes no messages: its memory or its disk is short")


class AmqpTransport(pyamqp.Transport):
    """`amqp://`."""

    Connection = TimedConnection


class AmqpsTransport(pyamqp.SSLTransport):
    """`amqps://`."""

    Connection = TimedConnection

    def establish_connection(self) -> Any:
        """Each of several hosts must show a certificate for its own name; kombu would expect the first one's
        name of all of them, and refuse the others."""
        connection: Any = self.client
        connection.ssl = {**connection.ssl, "server_hostname": connection.hostname}
        return super().establish_connection()  # type: ignore[no-untyped-call]
