"""A request that a newer one has overtaken ends once, and nothing of it stays held."""

from __future__ import annotations

from typing import Any

from support.jobs import LEASE, MOST, NOW, a_job, later
from support.workers import rows
from worker.states import State
from worker.store import Attempt, Refusal, Refused, Store


def row_of(store: Store, request_id: str) -> dict[str, Any]:
    (row,) = (row for row in rows(store, store.t.verification) if row["request_id"] == request_id)
    return row


def begin(store: Store, at: float) -> Attempt:
    attempt = store.start_attempt("older", "w1", LEASE, MOST, later(at))
    assert isinstance(attempt, Attempt), attempt
    return attempt


def newer_arrives(store: Store, at: float) -> None:
    store.accept(a_job("newer", at=later(at)), "verify", later(at))


def test_a_delivery_after_the_end_does_not_write_the_end_again(store: Store) -> None:
    store.accept(a_job("older"), "verify", NOW)
    begin(store, 0)
    newer_arrives(store, 1)
    for delivery in (60, 99):
        answer = store.start_attempt("older", "w2", LEASE, MOST, later(delivery))
        assert answer == Refused("older", Refusal.SUPERSEDED)
    ended = row_of(store, "older")
    assert ended["state"] == State.SUPERSEDED
    assert (ended["finished_at"], ended["lease_until"], ended["open_attempts"]) == (later(60), None, 0)


def test_what_waits_after_a_killed_attempt_is_not_held_when_it_is_overtaken(store: Store) -> None:
    store.accept(a_job("older"), "verify", NOW)
    begin(store, 0)  # killed
    store.postpone(begin(store, 61), later(90), "timeout", later(62))
    newer_arrives(store, 63)
    ended = row_of(store, "older")
    assert (ended["state"], ended["open_attempts"]) == (State.SUPERSEDED, 0)
