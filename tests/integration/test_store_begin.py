"""A delivery accepts its request and acquires an attempt in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from support.jobs import LEASE, MOST, NOW, a_job, a_verdict, later
from worker.errors import ConsentWithdrawn, RequestConflict
from worker.jobs.verify_job import VerifyJob
from worker.store import Attempt, Refusal, Refused, Store
from worker.store.tables.states import State

STATEMENTS = 20
"""Of a new member's job from its message to its verdict; each takes a round trip and half a millisecond."""


def begin(store: Store, job: VerifyJob, at: float = 0) -> Attempt | Refused:
    return store.requests.begin(job, "verify", "w1", LEASE, MOST, now=later(at))


@contextmanager
def statements(store: Store) -> Iterator[list[str]]:
    """What the database is asked inside of the block."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(store.database.engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(store.database.engine, "before_cursor_execute", note)


def test_a_new_request_runs_at_once(store: Store) -> None:
    attempt = begin(store, a_job())
    assert isinstance(attempt, Attempt)
    assert [link.url for link in attempt.links] == [a_job().selfie_url, *a_job().photo_urls]
    found = store.requests.find("r1")
    assert found is not None
    assert (found.state, found.attempts) == (State.RUNNING, 1)


def test_a_second_delivery_of_what_runs_is_refused(store: Store) -> None:
    begin(store, a_job())
    assert begin(store, a_job(), at=1) == Refused("r1", Refusal.RUNNING)


def test_an_attempt_that_never_ended_is_counted(store: Store) -> None:
    after = LEASE.total_seconds() + 1
    for number in range(MOST):
        attempt = begin(store, a_job(), at=number * after)
        assert isinstance(attempt, Attempt)
        assert attempt.number == number + 1
    assert begin(store, a_job(), at=MOST * after) == Refused("r1", Refusal.EXHAUSTED)


def _conflict(store: Store) -> VerifyJob:
    store.requests.accept(a_job(), "verify", NOW)
    return a_job(why="operator")


def _withdrawn(store: Store) -> VerifyJob:
    store.requests.accept(a_job("r0"), "verify", NOW)
    m = store.database.t.member
    store.database.write(lambda c: c.execute(sa.update(m).values(verification_consent=False)))
    return a_job(at=later(1))


@pytest.mark.parametrize(
    ("make", "error", "reason"),
    [(_conflict, RequestConflict, "conflict"), (_withdrawn, ConsentWithdrawn, "no_consent")],
)
def test_what_is_not_accepted_does_not_run_and_is_written_down(
    store: Store, make: Callable[[Store], VerifyJob], error: type[Exception], reason: str
) -> None:
    job = make(store)
    with pytest.raises(error):
        begin(store, job, at=2)
    assert [dead.reason for dead in store.dead_jobs.latest()] == [reason]
    found = store.requests.find("r1")
    assert found is None or (found.state, found.attempts) == (State.QUEUED, 0)


def test_a_job_asks_the_database_no_more_often_than_it_must(store: Store) -> None:
    with statements(store) as asked:
        attempt = begin(store, a_job())
        assert isinstance(attempt, Attempt)
        store.models.in_use()
        assert store.requests.finish(attempt, a_verdict(), later(1))
    assert len([one for one in asked if not one.startswith("BEGIN")]) <= STATEMENTS, asked
