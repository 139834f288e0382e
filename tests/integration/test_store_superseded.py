"""A request that a newer one has overtaken ends once, and nothing of it stays held."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from support.jobs import LEASE, MOST, NOW, a_job, a_verdict, later
from support.workers import rows
from worker.store import Attempt, Refusal, Refused, Store
from worker.store.tables.states import State


def row_of(store: Store, request_id: str) -> dict[str, Any]:
    (row,) = (row for row in rows(store, store.database.t.verification) if row["request_id"] == request_id)
    return row


def begin(store: Store, at: float) -> Attempt:
    attempt = store.requests.acquire("older", "w1", LEASE, MOST, later(at))
    assert isinstance(attempt, Attempt), attempt
    return attempt


def newer_arrives(store: Store, at: float) -> None:
    store.requests.accept(a_job("newer", at=later(at)), "verify", later(at))


def test_a_delivery_after_the_end_does_not_write_the_end_again(store: Store) -> None:
    store.requests.accept(a_job("older"), "verify", NOW)
    begin(store, 0)
    newer_arrives(store, 1)
    for delivery in (60, 99):
        answer = store.requests.acquire("older", "w2", LEASE, MOST, later(delivery))
        assert answer == Refused("older", Refusal.SUPERSEDED)
    ended = row_of(store, "older")
    assert ended["state"] == State.SUPERSEDED
    assert (ended["finished_at"], ended["lease_until"], ended["open_attempts"]) == (later(60), None, 0)


def test_what_waits_after_a_killed_attempt_is_not_held_when_it_is_overtaken(store: Store) -> None:
    store.requests.accept(a_job("older"), "verify", NOW)
    begin(store, 0)  # killed
    store.requests.postpone(begin(store, 61), later(90), "timeout", later(62))
    newer_arrives(store, 63)
    ended = row_of(store, "older")
    assert (ended["state"], ended["open_attempts"]) == (State.SUPERSEDED, 0)


# Clocks that differ


def states(store: Store) -> dict[str, State]:
    return {request.request_id: request.state for request in store.requests.of_member("m1")}


def test_what_the_app_sent_before_is_older_however_late_it_comes(store: Store) -> None:
    store.requests.accept(a_job("new", at=later(10)), "verify", later(20))
    store.pending.enqueue_members(["m1"], "bulk", later(30))
    late = store.requests.accept(a_job("old", at=later(5)), "verify", later(40))
    assert late.state is State.SUPERSEDED


def test_a_request_of_ours_does_not_make_an_older_one_of_what_the_app_sends(store: Store) -> None:
    """The sweep's host is five minutes ahead, or the app's message has waited on the broker."""
    store.requests.accept(a_job("first", at=later(0)), "verify", later(0))
    [ours] = store.pending.enqueue_members(["m1"], "bulk", later(300)).jobs
    changed = store.requests.accept(a_job("changed", at=later(20)), "verify", later(20))
    assert changed.state is State.QUEUED
    assert states(store)[ours.job.request_id] is State.SUPERSEDED
    attempt = store.requests.acquire("changed", "w", LEASE, MOST, later(21))
    assert isinstance(attempt, Attempt)
    assert store.requests.finish(attempt, a_verdict(), later(22))
    member = store.members.find("m1")
    assert member is not None
    assert member.request_id == "changed"


def test_no_request_counts_from_the_future(store: Store) -> None:
    store.requests.accept(a_job("ahead", at=later(23 * 3600)), "verify", later(0))
    assert row_of(store, "ahead")["requested_at"] == later(0)
    after = store.requests.accept(a_job("after", at=later(1)), "verify", later(1))
    assert after.state is State.QUEUED
    assert states(store)["ahead"] is State.SUPERSEDED


def test_pending_members_are_enqueued_once_whatever_a_clock_said_before(store: Store) -> None:
    store.requests.accept(a_job("ahead", at=later(3600)), "verify", later(0))
    with store.database.engine.begin() as c:
        m = store.database.t.member
        c.execute(sa.update(m).values(pending=True, requested_at=later(3600), sent_at=later(3600)))
        c.execute(
            sa.update(store.database.t.verification).values(
                requested_at=later(3600), state=State.DONE, due_at=None
            )
        )
    first = store.pending.enqueue("bulk", later(60))
    assert [queued.job.member_id for queued in first.jobs] == ["m1"]
    assert store.pending.enqueue("bulk", later(60)).jobs == ()
    assert states(store)[first.jobs[0].job.request_id] is State.QUEUED
