"""Whole systems: MariaDB and Redis as in production, SQLite and queue files as with nothing set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from support.photo_server import PhotoServer
from support.portraits import OBAMA, smaller
from support.system import SHORT, Put, System, in_files, on_redis
from support.workers import open_empty_store

Make = Callable[[str, str, Put], System]


@pytest.fixture
def couple(portraits: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two small photos of one person."""
    one, other = (smaller(portraits / name, tmp_path / name) for name in (OBAMA[0], OBAMA[2]))
    return one, other


@pytest.fixture
def make_system(
    tmp_path: Path, bundle_dir: Path, photo_server: PhotoServer, couple: tuple[Path, Path]
) -> Iterator[Make]:
    """Makes a system of a database, a broker and a way to put things on its queues."""
    with ExitStack() as stack:

        def make(database_url: str, broker_url: str, put: Put) -> System:
            store = open_empty_store(database_url)
            stack.callback(store.close)
            settings = {
                "VERIFY_HOME": str(tmp_path / "var"),
                "VERIFY_DATABASE_URL": database_url,
                "VERIFY_BROKER_URL": broker_url,
                "VERIFY_BUNDLE": str(bundle_dir.absolute()),
                "VERIFY_ALLOW_HTTP": "true",
                "VERIFY_ALLOW_PRIVATE_ADDRESSES": "true",
                "VERIFY_BLIND_AUDIT_SHARE": "0",
                "VERIFY_REVIEW_REUSED_PHOTOS": "false",
                "VERIFY_CONCURRENCY": "1",
            }
            return System(settings, tmp_path, store, put, photo_server, couple, stack)

        yield make


@pytest.fixture
def broker(redis_url: str) -> Iterator[redis.Redis]:
    """A client of the test's empty Redis."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def system(make_system: Make, mariadb_database_url: str, redis_url: str, broker: redis.Redis) -> System:
    """On MariaDB and Redis, as in production."""
    return make_system(mariadb_database_url, redis_url, on_redis(broker))


@pytest.fixture
def embedded(make_system: Make, tmp_path: Path) -> System:
    """On SQLite and queue files, as with nothing set."""
    put = in_files(tmp_path / "var" / "broker" / "queues")
    return make_system(f"sqlite:///{tmp_path / 'var' / 'verify.db'}", "filesystem://", put)


@pytest.fixture
def hasty(system: System) -> System:
    """As `system`, with short leases, and with a worker for the sweep."""
    system.settings |= SHORT
    system.start("--queues", "maintenance", "--beat")
    return system


@pytest.fixture
def hasty_embedded(embedded: System) -> System:
    """As `embedded`, with short leases."""
    embedded.settings |= SHORT
    return embedded
