"""Processes on different machines go by one clock, the database's."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from worker import clock
from worker.store import build_engine

NEAR = timedelta(minutes=2)
"""No test here asks for more than that: machines may be slow."""


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    clock.follow(clock.machine_time())


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> timedelta:
    """This machine's clock is a day ahead."""
    ahead = timedelta(days=1)
    monkeypatch.setattr(clock, "machine_time", lambda: datetime.now(UTC) + ahead)
    return ahead


def test_a_machine_whose_clock_is_wrong_goes_by_the_databases_from_its_first_connection_on(
    wrong: timedelta, mariadb_database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert clock.utc_now() - datetime.now(UTC) > wrong - NEAR
    engine = build_engine(mariadb_database_url)
    with caplog.at_level(logging.WARNING), engine.connect():
        assert abs(clock.utc_now() - datetime.now(UTC)) < NEAR
    engine.dispose()
    assert "this machine's clock differs by -86" in caplog.text


def test_a_machine_whose_clock_is_right_goes_by_its_own(mariadb_database_url: str) -> None:
    engine = build_engine(mariadb_database_url)
    with engine.connect():
        assert abs(clock.utc_now() - clock.machine_time()) < NEAR
    engine.dispose()
