"""What a worker's Redis transport says when its connection is gone."""

from __future__ import annotations

from typing import Any

import pytest
from kombu.connection import Connection


def test_a_channel_that_outlives_its_connection_meets_a_broken_connection(redis_url: str) -> None:
    transport = "worker.broker.redis:RedisTransport"
    connection: Any = Connection(redis_url, transport=transport)  # type: ignore[no-untyped-call]
    channel = connection.channel()
    connection.collect()  # as Celery does when a fail-over has broken it
    with pytest.raises(connection.connection_errors):
        channel._size("verify")
