"""A database that is away, busy or restarted: kept jobs, no lost ones, and clear words."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from support.jobs import LEASE, MOST, NOW, a_job, a_verdict
from support.together import together
from worker.errors import RetryableError, StoreUnavailable
from worker.store import Attempt, Store, build_engine
from worker.store.tables.states import State


def unavailable(url: str) -> str:
    with pytest.raises(StoreUnavailable) as away:
        Store(build_engine(url)).requests.accept(a_job(), "verify", NOW)
    assert isinstance(away.value, RetryableError)
    return str(away.value)


def test_a_server_that_is_away_is_a_reason_to_try_again() -> None:
    text = unavailable("mysql+pymysql://app:hunter2@127.0.0.1:1/verify?charset=utf8mb4")
    assert "hunter2" not in text


def test_a_wrong_password_and_a_missing_database_are_no_lost_job(mariadb_url: str) -> None:
    url = sa.make_url(mariadb_url)
    unavailable(
        url.set(username="nobody", password="hunter2", database="x").render_as_string(hide_password=False)
    )
    unavailable(url.set(database="there_is_none").render_as_string(hide_password=False))


def test_connections_that_the_server_has_closed_are_replaced(migrated_mariadb: sa.Engine) -> None:
    """As after a quiet night: "MySQL server has gone away"."""
    store = Store(migrated_mariadb)
    store.reports.status(NOW)
    with migrated_mariadb.connect() as c:
        mine = c.scalar(sa.text("SELECT CONNECTION_ID()"))
        others = c.scalars(sa.text("SELECT id FROM information_schema.processlist WHERE db = DATABASE()"))
        for other in others.all():
            if other != mine:
                c.execute(sa.text(f"KILL {other}"))
    assert store.reports.status(NOW).members >= 0


def test_a_deadlock_is_tried_again_and_both_get_through(store: Store, engine: sa.Engine) -> None:
    """Two who lock the same two members crosswise: one is chosen as the victim and starts over."""
    for i in range(2):
        store.requests.accept(a_job(f"r{i}", f"m{i}"), "verify", NOW)
    meet = threading.Barrier(2, timeout=60)
    tries: list[str] = []

    def cross(first: str, second: str) -> bool:
        def work(c: sa.Connection) -> bool:
            tries.append(first)
            store.database.lock_member(c, first)
            if len(tries) <= 2 and engine.dialect.name == "mysql":
                meet.wait()  # SQLite cannot deadlock: there the first has the whole file
            store.database.lock_member(c, second)
            return True

        return store.database.write(work)

    assert together([lambda: cross("m0", "m1"), lambda: cross("m1", "m0")]) == [True, True]
    assert len(tries) == (3 if engine.dialect.name == "mysql" else 2)


def test_a_work_that_breaks_off_leaves_nothing_behind(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    attempt = store.requests.acquire("r1", "w", LEASE, MOST, NOW)
    assert isinstance(attempt, Attempt)

    def finish_and_break(c: sa.Connection) -> None:
        store.requests._results.finish(c, attempt, a_verdict(), NOW)
        raise KeyboardInterrupt  # a killed process says no goodbye

    with pytest.raises(KeyboardInterrupt):
        store.database.write(finish_and_break)
    request = store.requests.find("r1")
    assert request is not None
    assert (request.state, request.status, request.selfie) == (State.RUNNING, None, None)
    assert store.requests.finish(attempt, a_verdict(), NOW)


def test_times_come_back_in_utc_to_the_microsecond_and_need_a_zone(store: Store, engine: sa.Engine) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    request = store.requests.find("r1")
    assert request is not None
    assert request.accepted_at == NOW
    assert request.accepted_at.microsecond == 123456
    with pytest.raises(sa.exc.StatementError, match="without a time zone"), engine.begin() as c:
        c.execute(sa.update(store.database.t.member).values(updated_at=NOW.replace(tzinfo=None)))


def test_names_and_signs_of_every_script_survive(store: Store) -> None:
    store.requests.accept(a_job(selfie_url="https://사진.example.com/셀카😀.jpg"), "verify", NOW)
    member = store.members.find("m1")
    assert member is not None
    assert member.selfie_url == "https://사진.example.com/셀카😀.jpg"
