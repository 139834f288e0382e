"""A private RabbitMQ: on free ports, with a name server of its own, killed at will."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import amqp

from support.servers import PrivateServer, ServerMissing, find_program, free_port

_PROGRAMS: Final = "/usr/lib/rabbitmq/bin"  # what lies on the PATH insists on the user `rabbitmq`
INSTALL_HINT: Final = "to test with RabbitMQ as well: apt-get install -y rabbitmq-server"


class RabbitMq(PrivateServer):
    """rabbitmq-server without plugins; what is on its disk outlives a kill.

    Erlang's nodes find each other through epmd, a daemon that would outlive the tests: this one is ours.
    """

    name = "rabbitmq-server"
    start_seconds = 90.0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        try:
            self._program = find_program(f"{_PROGRAMS}/rabbitmq-server")
            self._epmd_program = find_program("epmd")
        except ServerMissing:
            raise ServerMissing(f"RabbitMQ is not installed; {INSTALL_HINT}") from None
        self._node = f"verify-{uuid.uuid4().hex[:8]}@localhost"
        self._epmd_port, self._node_port = free_port(), free_port()
        self._epmd: subprocess.Popen[bytes] | None = None
        for name in ("plugins", "env.conf"):
            (folder / name).write_text("[]." if name == "plugins" else "")

    def command(self) -> Sequence[str]:
        """The server's own script, in the foreground."""
        return [self._program]

    def environment(self) -> dict[str, str]:
        """Everything that it would look for elsewhere on the machine."""
        return {
            **os.environ,
            "HOME": str(self.folder),  # its cookie
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._node_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "env.conf"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def start(self) -> None:
        """Start it, after its name server; some seconds."""
        if self._epmd is None:
            words = [self._epmd_program, "-port", str(self._epmd_port), "-address", "127.0.0.1"]
            self._epmd = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        super().start()

    def close(self) -> None:
        """Kill it and its name server, for good."""
        self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
            self._epmd = None

    def answers(self) -> bool:
        """Whether a client can log in."""
        try:
            with self.connect():
                return True
        except (OSError, amqp.AMQPError):
            return False

    def connect(self) -> Any:
        """A connection of py-amqp's."""
        connection = amqp.Connection(f"127.0.0.1:{self.port}", connect_timeout=2, read_timeout=10)
        connection.connect()
        return connection

    def alarm(self, *, on: bool) -> None:
        """Its memory is short, or is not any more."""
        share = "0.0001" if on else "0.4"
        words = [f"{_PROGRAMS}/rabbitmqctl", "-n", self._node, "set_vm_memory_high_watermark", share]
        subprocess.run(words, env=self.environment(), capture_output=True, check=True)

    @property
    def url(self) -> str:
        """URL of its first virtual host."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def depth(self, queue: str) -> int:
        """Messages that wait there, those that a worker holds not among them."""
        with self.connect() as connection, connection.channel() as channel:
            return int(channel.queue_declare(queue, passive=True).message_count)
