"""Servers that are spoken to over TLS only, with the certificates of the production set-up."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import amqp
import redis

from support.bundle import ROOT
from support.rabbitmq import RabbitMq
from support.sentinel import Sentinel
from support.servers import Redis

SCRIPT: Final = ROOT / "worker" / "production" / "certificates.sh"


def make_certificates(folder: Path) -> Path:
    """An authority and what it signs, as the operator's script makes them, or renews them."""
    subprocess.run(["sh", str(SCRIPT), str(folder)], check=True)
    return folder


def _lines(server: Redis, tls: Path) -> list[str]:
    """What a Redis or Sentinel must be told to speak TLS, with clients and with each other."""
    files = {"cert": "server.crt", "key": "server.key", "ca-cert": "ca.crt"}
    return [
        *("port 0", f"tls-port {server.port}", "tls-auth-clients no", "tls-replication yes"),
        *(f"tls-{kind}-file {tls / 'redis' / name}" for kind, name in files.items()),
    ]


class TlsRedis(Redis):
    """Redis with a password and without a port in the clear."""

    def __init__(self, folder: Path, tls: Path) -> None:
        super().__init__(folder, password="redis-word")
        self.tls = tls

    def command(self) -> Sequence[str]:
        """As ever, and then told otherwise about its port."""
        words = [word for line in _lines(self, self.tls) for word in f"--{line}".split(" ", 1)]
        return [*super().command(), *words]

    def answers(self) -> bool:
        """Whether it says PONG to one who checks its certificate."""
        return _pong(self, self.tls)


class TlsSentinel(Sentinel):
    """One that watches it, alone."""

    def __init__(self, folder: Path, watched: TlsRedis) -> None:
        super().__init__(folder, watched, 1)
        self.tls = watched.tls
        with self.file.open("a") as file:
            file.write("\n".join(_lines(self, self.tls)) + "\n")

    def answers(self) -> bool:
        """Whether it says PONG to one who checks its certificate."""
        return _pong(self, self.tls)


def _pong(server: Redis, tls: Path) -> bool:
    word, ca = server.password, str(tls / "ca.crt")
    try:
        with redis.Redis(port=server.port, password=word, ssl=True, ssl_ca_certs=ca) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


class TlsRabbitMq(RabbitMq):
    """RabbitMQ without a port in the clear, and without the user `guest`."""

    user, password = "faces", "rabbit-word"

    def __init__(self, folder: Path, tls: Path) -> None:
        super().__init__(folder)
        self.tls = tls
        home = tls / "redis"  # any certificate for this machine
        lines = (
            "listeners.tcp = none",
            f"listeners.ssl.default = 127.0.0.1:{self.port}",
            f"ssl_options.cacertfile = {home / 'ca.crt'}",
            f"ssl_options.certfile = {home / 'server.crt'}",
            f"ssl_options.keyfile = {home / 'server.key'}",
            f"default_user = {self.user}",
            f"default_pass = {self.password}",
        )
        (folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")

    def environment(self) -> dict[str, str]:
        """With a settings file, and without what would open a port beside it."""
        words = {**super().environment(), "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf")}
        del words["RABBITMQ_NODE_PORT"], words["RABBITMQ_NODE_IP_ADDRESS"]
        return words

    def connect(self) -> Any:
        """A connection of py-amqp's."""
        checked = {
            "ca_certs": str(self.tls / "ca.crt"),
            "cert_reqs": ssl.CERT_REQUIRED,
            "server_hostname": "127.0.0.1",
        }
        where = {"host": f"127.0.0.1:{self.port}", "userid": self.user, "password": self.password}
        connection = amqp.Connection(**where, ssl=checked, connect_timeout=2, read_timeout=10)
        connection.connect()
        return connection

    @property
    def url(self) -> str:
        """URL of its first virtual host."""
        return f"amqps://{self.user}:{self.password}@127.0.0.1:{self.port}//"
