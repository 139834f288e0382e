"""What differs from broker to broker, for whoever connects: the worker and every sender."""

from __future__ import annotations

import ssl
from typing import Any, Final

_QUORUM: Final = {
    # On disk before it is confirmed and, in a cluster, on most of its hosts.
    "x-queue-type": "quorum",
    # From version 4 on RabbitMQ throws a message away at its 20th delivery. What comes again here ends
    # by our own count of attempts, and as a row in `dead_job`.
    "x-delivery-limit": 1000,
}


def scheme_of(broker_url: str) -> str:
    """`redis` of `redis://host/0;redis://other/0`."""
    return broker_url.partition("://")[0]


def is_redis(broker_url: str) -> bool:
    """Whether it is Redis, alone or behind Sentinel."""
    return scheme_of(broker_url) in ("redis", "rediss", "sentinel")


def is_rabbitmq(broker_url: str) -> bool:
    """Whether it speaks AMQP."""
    return scheme_of(broker_url) in ("amqp", "amqps")


def queue_arguments(broker_url: str) -> dict[str, Any] | None:
    """How RabbitMQ is to keep our queues; everybody who declares one must say the same.

    None on brokers that know of no such thing.
    """
    return dict(_QUORUM) if is_rabbitmq(broker_url) else None


def tls_options(broker_url: str) -> dict[str, Any] | None:
    """Neither `rediss://` nor `amqps://` would check the certificate by itself.

    For one of your own name its maker: `?ssl_ca_certs=FILE` in the URL (Redis), SSL_CERT_FILE (RabbitMQ).
    """
    match scheme_of(broker_url):
        case "rediss":
            return {"ssl_cert_reqs": ssl.CERT_REQUIRED}
        case "amqps":
            # The host name in the URL, whichever of several it is.
            return {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None}
    return None
