"""The counts of many members and requests, which the sweep keeps; and what is counted at each question."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa
from integration.conftest import Cli

from pipeline.verdict import Reason, Status
from support.jobs import LEASE, MOST, NOW, a_job, a_verdict, later
from worker.store import Attempt, Store
from worker.store.counts.tally import Tally
from worker.store.tables.states import State

SANDBOX = "test-"


@pytest.fixture
def served(engine: sa.Engine) -> Store:
    """With members in every state, two of them in the sandbox."""
    store = Store(engine, sandbox_prefix=SANDBOX)
    for number, status in enumerate(Status):
        finished(store, f"r{number}", f"m{number}", status)
    finished(store, "s1", f"{SANDBOX}1", Status.APPROVED)
    finished(store, "r1-again", "m1", Status.APPROVED)
    store.requests.accept(a_job("s2", f"{SANDBOX}2"), "verify", NOW)
    for request_id in ("q1", "q2"):
        store.requests.accept(a_job(request_id, "queued", later(int(request_id[1]))), "verify", later(2))
    store.requests.accept(a_job("d1", "dead"), "verify", NOW)
    store.requests.give_up("d1", "poison", "boom", NOW)
    return store


def finished(store: Store, request_id: str, member_id: str, status: Status) -> None:
    reason = Reason.SAME_PERSON if status is Status.APPROVED else Reason.PRIMARY_UNSURE
    store.requests.accept(a_job(request_id, member_id), "verify", NOW)
    attempt = store.requests.acquire(request_id, "w", LEASE, MOST, NOW)
    assert isinstance(attempt, Attempt)
    assert store.requests.finish(attempt, a_verdict(status, reason), NOW)


def test_what_is_kept_is_what_there_is(served: Store) -> None:
    tally, db = Tally(served.database, counted_now=0), served.database
    assert tally.renew(NOW)
    counts, counted_at = db.read(tally.counts_on)
    m, v, number = db.t.member, db.t.verification, sa.func.count()
    with db.engine.connect() as c:
        verdicts = c.execute(
            sa.select(m.c.verification_status, number).where(~m.c.sandbox).group_by(sa.text("1"))
        )
        states = c.execute(sa.select(v.c.state, number).where(~v.c.sandbox).group_by(sa.text("1")))
        assert {word: n for word, n in counts.verdicts.items() if n} == {k: n for k, n in verdicts if k}
        assert {word: n for word, n in counts.requests.items() if n} == dict(map(tuple, states))
    assert (counts.members, counts.sandbox, counted_at) == (len(Status) + 2, 2, NOW)


def test_few_are_counted_at_each_question_and_many_every_ten_minutes(served: Store) -> None:
    few, many = Tally(served.database), Tally(served.database, counted_now=0)
    read = served.database.read
    before, counted_at = read(many.counts_on)
    assert counted_at is None  # nobody has counted yet
    assert many.renew(NOW)
    served.requests.accept(a_job("r-new", "m-new"), "verify", NOW)
    assert read(many.counts_on) == (before, NOW)
    now, counted_at = read(few.counts_on)
    assert (now.members, counted_at) == (before.members + 1, None)
    assert not many.renew(later(599))
    assert many.renew(later(600))
    assert read(many.counts_on) == (now, later(600))
    assert many.renew(NOW)  # the clock was set back


def test_a_status_says_when_it_was_counted(here: Cli, served: Store) -> None:
    assert json.loads(here("status", "--json").stdout)["counted_at"] is None
    served.tally.renew(NOW)
    t = served.database.t.tally
    with served.database.engine.begin() as c:
        counts = c.execute(sa.select(t.c.counts)).scalar_one()
        counts["requests"][State.DONE] = 1_000_000
        c.execute(sa.update(t).values(counts=counts))
    found = json.loads(here("status", "--json").stdout)
    assert (found["requests"]["done"], found["counted_at"]) == (1_000_000, "2026-11-24T07:00:00.123456+00:00")
    assert found["queued"] == {"verify": 1}  # is of now
    assert "Counted at 07:00:00 UTC" in here("status").stdout


def test_a_failure_that_a_worker_of_the_version_before_has_written_is_found_within_a_day(
    engine: sa.Engine,
) -> None:
    store = Store(engine)
    finished(store, "r1", "m1", Status.APPROVED)
    finished(store, "r2", "m2", Status.APPROVED)
    for request_id, member_id in (("r3", "m1"), ("r4", "m3")):
        store.requests.accept(a_job(request_id, member_id, later(1)), "verify", later(1))
        store.requests.give_up(request_id, "poison", "boom", later(2))
    assert store.reports.status(later(3)).failed_requests == ("r3",)
    m = store.database.t.member
    store.database.write(lambda c: c.execute(sa.update(m).values(failed_at=None)))
    assert store.reports.status(later(3)).failed_since_verdict == 0
    assert store.missed_failures.follow(later(4)) == 1
    assert store.missed_failures.follow(later(4)) == 0
    assert store.reports.status(later(5)).failed_requests == ("r3",)


def test_a_worker_of_the_version_before_that_ends_the_request_well_leaves_no_failure(
    engine: sa.Engine,
) -> None:
    store = Store(engine)
    finished(store, "r1", "m1", Status.APPROVED)
    store.requests.accept(a_job("r2", "m1", later(1)), "verify", later(1))
    store.requests.give_up("r2", "poison", "boom", later(2))
    m = store.database.t.member
    store.requests.requeue("r2", later(3))
    store.database.write(lambda c: c.execute(sa.update(m).values(failed_at=later(2))))
    assert store.reports.status(later(4)).failed_since_verdict == 0
    attempt = store.requests.acquire("r2", "w", LEASE, MOST, later(4) + timedelta(seconds=1))
    assert isinstance(attempt, Attempt)
    store.requests.finish(attempt, a_verdict(), later(5))
    store.database.write(lambda c: c.execute(sa.update(m).values(failed_at=later(2))))
    assert store.reports.status(later(6)).failed_since_verdict == 0
