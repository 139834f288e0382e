"""Addresses of databases and brokers: what they mean, and the connection options that follow from them."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

_MYSQL = frozenset({"mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql"})
_SQLITE = frozenset({"sqlite", "sqlite+pysqlite"})
_NO_ADDRESS = (
    "is no address such as mysql://user:password@host:3306/database or sqlite:///path; in a password "
    "write / as %2F, : as %3A, @ as %40"
)
_PARAMETERS = (
    *("charset", "ssl_ca", "ssl_capath", "ssl_cert", "ssl_key", "ssl_cipher", "ssl_check_hostname"),
    "unix_socket",
)
"""What may follow `?`. The words of other drivers (`ssl-mode`, `useSSL`) would raise when it connects."""


def normalise_database_url(text: str) -> str:
    """`mysql://…` to `mysql+pymysql://…?charset=utf8mb4`; SQLite as it is, with its file named.

    Raises ValueError for every other database; the text holds no password.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # of a port that is no number, in whose place a password may stand
        raise ValueError(_NO_ADDRESS) from None
    if url.drivername in _MYSQL:
        url = _mysql(url)
    elif url.drivername not in _SQLITE:
        raise ValueError("must begin with mysql://, mariadb:// or sqlite://")
    elif not url.database or url.database == ":memory:":
        raise ValueError("must name a file after sqlite:///, for the processes of a worker share it")
    return url.render_as_string(hide_password=False)


def _mysql(url: URL) -> URL:
    after_the_password = (url.host, url.database, *url.query)
    if any("@" in part for part in after_the_password if part) or not 0 <= (url.port or 0) < 65_536:
        raise ValueError(_NO_ADDRESS)
    if not url.database:
        raise ValueError("must end with the name of the database: mysql://user:password@host/database")
    _check_parameters(url)
    # Said explicitly: a server's default (latin1 here and there) would turn names into question marks.
    return url.set(drivername="mysql+pymysql").update_query_dict({"charset": "utf8mb4"})


def _check_parameters(url: URL) -> None:
    unknown = sorted(url.query.keys() - set(_PARAMETERS))
    if unknown:
        raise ValueError(f"takes no parameter {', '.join(unknown)}; there are {', '.join(_PARAMETERS)}")
    if not all(isinstance(value, str) for value in url.query.values()):
        raise ValueError("must give each parameter once")
    if url.query.get("ssl_check_hostname", "true") not in ("true", "false"):
        raise ValueError("must have true or false for ssl_check_hostname")


_QUORUM: Final = {
    # On disk before it is confirmed and, in a cluster, on most of its hosts.
    "x-queue-type": "quorum",
    # From version 4 on RabbitMQ drops a message at its 20th delivery. Ours are limited by the attempts that
    # we count, and end as a row in `dead_job`.
    "x-delivery-limit": 1000,
}
_SENTINEL_SECONDS: Final = 5
"""After so long without a reply the next Sentinel is asked."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a connection to a broker needs besides its address."""

    ca: Path | None = None
    """The certificate of the authority that signed the broker's; None: one that the machine trusts."""
    master: str = ""
    """The name of the Redis that Sentinel is asked for."""
    sentinel_password: str = field(default="", repr=False)
    """Sentinel's own; that of Redis is in the address."""
    sentinel_tls: bool = False
    """Whether Sentinel and the Redis behind it use TLS."""
    queue_prefix: str = ""
    """Goes before the names of our queues."""


DEFAULT_ACCESS: Final = Access()


def scheme_of(broker_url: str) -> str:
    """`redis` of `redis://host/0;redis://other/0`."""
    return broker_url.partition("://")[0]


def is_redis(broker_url: str) -> bool:
    """Whether it is Redis, alone or behind Sentinel."""
    return scheme_of(broker_url) in ("redis", "rediss", "sentinel")


def is_rabbitmq(broker_url: str) -> bool:
    return scheme_of(broker_url) in ("amqp", "amqps")


def is_embedded(broker_url: str) -> bool:
    """Whether it is files on this host: one environment sends and serves everything."""
    return scheme_of(broker_url) == "filesystem"


def queue_arguments(broker_url: str) -> dict[str, Any] | None:
    """Arguments of our queues on RabbitMQ, the same for everybody who declares one; None on other brokers."""
    return dict(_QUORUM) if is_rabbitmq(broker_url) else None


def tls_options(broker_url: str, access: Access = DEFAULT_ACCESS) -> dict[str, Any] | None:
    """Options that check the certificate, which neither `rediss://` nor `amqps://` does by itself; None
    without TLS."""
    scheme, ca = scheme_of(broker_url), str(access.ca) if access.ca else None
    if scheme == "amqps":
        # The transport sets the host name, for there may be several.
        return {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": ca, "server_hostname": None}
    if scheme == "rediss" or (scheme == "sentinel" and access.sentinel_tls):
        return {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": ca}
    return None


def sentinel_options(broker_url: str, access: Access) -> dict[str, Any]:
    """Transport options by which `sentinel://` finds its Redis; empty for other brokers."""
    if scheme_of(broker_url) != "sentinel":
        return {}
    tls = tls_options(broker_url, access)
    return {
        "master_name": access.master,
        "sentinel_kwargs": {
            "socket_connect_timeout": _SENTINEL_SECONDS,
            "socket_timeout": _SENTINEL_SECONDS,
            "password": access.sentinel_password or None,
            **({"ssl": True, **tls} if tls else {}),
        },
    }
