"""Addresses of brokers: what they mean, and the connection options that follow from them."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

_TLS: Final = ("ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname")
_AMQP: Final = ("heartbeat", "login_method")
_SCHEMES: Final[Mapping[str, tuple[str, ...]]] = {
    "redis": (),
    "rediss": _TLS,
    "sentinel": (),
    "amqp": _AMQP,
    "amqps": _AMQP,
    "filesystem": (),
}
"""Schemes of broker addresses, with the parameters after `?`: any other raises when kombu connects."""
_QUORUM: Final = {
    # On disk before it is confirmed and, in a cluster, on most of its hosts.
    "x-queue-type": "quorum",
    # From version 4 on RabbitMQ drops a message at its 20th delivery. Ours are limited by the attempts that
    # we count, and end as a row in `dead_job`.
    "x-delivery-limit": 1000,
}
_SENTINEL_SECONDS: Final = 5
"""After so long without a reply the next Sentinel is asked."""


@dataclass(frozen=True)
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


def check_broker_url(url: str) -> str:
    """The value if it is a broker's address, or several with `;`. Raises ValueError, whose text shows no
    password."""
    for address in url.split(";"):
        if scheme_of(address) not in _SCHEMES or "://" not in address:
            raise ValueError(f"must begin with {', '.join(f'{scheme}://' for scheme in _SCHEMES)}")
        if not _is_address(address):
            raise ValueError(
                "is no address such as redis://:password@host:6379/0; in a password write / as %2F, "
                "# as %23, ? as %3F, @ as %40"
            )
        _check_path_and_query(address)
    return url


def check_queue_prefix(prefix: str) -> str:
    """The value if it may go before the names of queues. Raises ValueError."""
    if not re.fullmatch(r"(?a:[\w.:-]{0,32})", prefix):
        raise ValueError("must be up to 32 letters, digits and the signs _ . : -")
    return prefix


def _check_path_and_query(address: str) -> None:
    parts = urlsplit(address)
    if is_redis(address) and not re.fullmatch(r"/?|/\d+", parts.path):
        raise ValueError("must end with the number of a Redis database: redis://host:6379/0")
    unknown = parse_qs(parts.query, keep_blank_values=True).keys() - set(_SCHEMES[parts.scheme])
    if unknown:
        raise ValueError(f"takes no parameter {', '.join(sorted(unknown))} with {parts.scheme}://")


def _is_address(url: str) -> bool:
    """Whether it can be split into user, password, host and port."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return not parts.fragment and "@" not in parts.path + parts.query


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


def filesystem_options(folder: Path) -> dict[str, Any]:
    """Transport options of the filesystem broker in this folder, which is made."""
    queues = folder / "queues"
    queues.mkdir(parents=True, exist_ok=True)
    both = {"data_folder_in": str(queues), "data_folder_out": str(queues)}
    return {**both, "control_folder": str(folder / "control")}
