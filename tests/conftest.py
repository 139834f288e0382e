"""Fixtures for every speed of test: real servers, real photos, the real bundle.

With VERIFY_TEST_DATABASE_URL and VERIFY_TEST_BROKER_URL set, those servers are used; otherwise each
test process starts a private MariaDB and a private Redis when the first test asks for one.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
import redis
from hypothesis import HealthCheck, settings

from support.bundle import ensure_bundle
from support.databases import fresh_database
from support.labelled import EXPLAINED, WANTED, heading, labelled_folder, need
from support.photo_server import PhotoServer
from support.portraits import gather_portraits
from support.servers import MariaDb, Redis, ServerMissing, quick_folder
from worker.demo.photos import PhotosMissing

# Hypothesis calls an example or its making slow after a second or less; on a machine that others use
# that says nothing.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

_Server = TypeVar("_Server", MariaDb, Redis)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """All that is skipped for want of labelled photos is one line at the end, which says where to read on."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason.startswith(WANTED):
            report.longrepr = str(EXPLAINED), heading(), f"{reason}: this part tells how to make it"
    return report


@pytest.fixture(scope="session")
def portraits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a few public portraits; their names are in `support.portraits`."""
    try:
        return gather_portraits(tmp_path_factory.mktemp("portraits"))
    except PhotosMissing as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture(scope="session")
def faces() -> Path:
    """The folder of labelled photos of many people; LFW, at least, is in it."""
    folder = labelled_folder()
    need(folder)
    return folder


@pytest.fixture(scope="session")
def bundle_dir() -> Path:
    """The folder of the model bundle."""
    return ensure_bundle()


def _running(server: _Server) -> Iterator[_Server]:
    """The server while the tests run; where it is not installed they fail in one line."""
    try:
        server.start()
    except ServerMissing as missing:
        pytest.fail(str(missing), pytrace=False)
    yield server
    server.kill()


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDb]:
    """The test process's own MariaDB. Whoever kills it must start it again."""
    with quick_folder() as folder:
        try:
            server = MariaDb(folder)
        except ServerMissing as missing:
            pytest.fail(str(missing), pytrace=False)
        yield from _running(server)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """The test process's own Redis. Whoever kills it must start it again."""
    yield from _running(Redis(tmp_path_factory.mktemp("redis")))


@pytest.fixture(scope="session")
def mariadb_url(request: pytest.FixtureRequest) -> str:
    """SQLAlchemy URL of a MariaDB or MySQL server on which databases may be created."""
    if url := os.environ.get("VERIFY_TEST_DATABASE_URL"):
        return url
    server: MariaDb = request.getfixturevalue("mariadb_server")
    return server.url


@pytest.fixture
def mariadb_database_url(mariadb_url: str) -> Iterator[str]:
    """SQLAlchemy URL of an empty MariaDB database of this test's own."""
    with fresh_database(mariadb_url) as url:
        yield url


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """SQLAlchemy URL of an empty database; every test that asks for it runs on both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'verify.sqlite'}"
    url: str = request.getfixturevalue("mariadb_database_url")
    return url


@pytest.fixture
def redis_url(request: pytest.FixtureRequest) -> str:
    """URL of an empty Redis database. One that VERIFY_TEST_BROKER_URL names is emptied!"""
    url: str = os.environ.get("VERIFY_TEST_BROKER_URL") or request.getfixturevalue("redis_server").url
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def photo_server() -> Iterator[PhotoServer]:
    """A photo host that answers as the test tells it."""
    with PhotoServer() as server:
        yield server
