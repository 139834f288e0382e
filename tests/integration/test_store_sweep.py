"""What is unfinished comes back, what is dead can be put back."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import sqlalchemy as sa

from pipeline.verdict import Reason, Status
from support.jobs import LEASE, MOST, NOW, a_job, a_message, a_verdict, later
from worker.errors import NotRequeueable, RequestConflict
from worker.jobs.verify_job import decode_job
from worker.store import Attempt, DeadJob, Queued, Store
from worker.store.tables.states import State


def begin(store: Store, request_id: str = "r1", at: float = 0) -> Attempt:
    attempt = store.requests.acquire(request_id, "w", LEASE, MOST, later(at))
    assert isinstance(attempt, Attempt), attempt
    return attempt


def swept(store: Store, at: float, **limits: Any) -> list[str]:
    return [queued.job.request_id for queued in store.requests.unfinished(later(at), **limits)]


def a_dead_job(body: bytes, **changes: Any) -> DeadJob:
    return DeadJob(**{"reason": "bad_json", "error": "not JSON", "body": body, "queue": "verify", **changes})


def test_a_queued_job_whose_message_was_lost_comes_back_whole(store: Store) -> None:
    store.requests.accept(a_job(), "bulk", NOW)
    assert swept(store, 119) == []
    assert store.requests.unfinished(later(120)) == [Queued(a_job(), "bulk")]


def test_a_request_whose_process_died_comes_back_when_its_lease_ends(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    begin(store)
    assert swept(store, 59) == []
    assert swept(store, 60) == ["r1"]


def test_a_postponed_request_comes_back_when_it_is_due(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    store.requests.postpone(begin(store), later(30), "timeout", later(1))
    assert swept(store, 29) == []
    assert swept(store, 30) == ["r1"]


def test_what_has_ended_never_comes_back(store: Store) -> None:
    for i in range(3):
        store.requests.accept(a_job(f"r{i}", f"m{i}"), "verify", NOW)
    store.requests.finish(begin(store, "r0"), a_verdict(), NOW)
    store.requests.give_up("r1", "poison", "boom", NOW)
    store.requests.accept(a_job("r9", "m2", at=later(1)), "verify", NOW)
    store.requests.finish(begin(store, "r9"), a_verdict(), NOW)
    assert swept(store, 10**6) == []


def test_a_request_on_a_long_queue_is_asked_after_less_and_less_often(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    minutes = [minute for minute in range(121) if swept(store, 60 * minute)]
    assert minutes == [2, 4, 8, 16, 32, 64]


def test_the_longest_overdue_come_first_and_the_rest_next_time(store: Store) -> None:
    for i in range(3):
        store.requests.accept(a_job(f"r{i}", f"m{i}"), "verify", later(-i))
    assert swept(store, 200, limit=2) == ["r2", "r1"]
    assert swept(store, 200, limit=2) == ["r0"]
    assert swept(store, 200, limit=2) == []


def test_a_sweep_takes_more_than_one_transaction_holds(store: Store) -> None:
    for i in range(120):
        store.requests.accept(a_job(f"r{i:03}", f"m{i:03}"), "verify", NOW)
    assert len(swept(store, 200, limit=110)) == 110
    assert len(swept(store, 200)) == 10


def test_a_message_that_cannot_be_read_any_more_stops_no_other(store: Store, engine: sa.Engine) -> None:
    store.requests.accept(a_job("r1", "m1"), "verify", NOW)
    store.requests.accept(a_job("r2", "m2"), "verify", NOW)
    with engine.begin() as c:
        c.execute(sa.text("UPDATE verification SET message = '{\"schema\": 9}' WHERE request_id = 'r1'"))
    assert swept(store, 200) == ["r2"]
    [dead] = store.dead_jobs.latest()
    assert (dead.reason, dead.request_id) == ("unknown_schema", "r1")


def test_an_invalid_message_is_kept_as_hash_and_length_only(store: Store, engine: sa.Engine) -> None:
    body = bytes(range(256)) * 40_000
    number = store.dead_jobs.add(
        a_dead_job(body, request_id="a b", member_id="회원", error="x" * 5000, queue="verify"), NOW
    )
    [dead] = store.dead_jobs.latest()
    assert (dead.id, dead.message_length) == (number, len(body))
    assert (dead.request_id, dead.member_id, dead.created_at) == (None, None, NOW)
    assert dead.message_sha256 == hashlib.sha256(body).hexdigest()
    with engine.connect() as c:
        head = c.scalar(sa.text("SELECT message_head FROM dead_job"))
    assert head == b""


def test_a_poisoned_request_that_was_put_back_gets_all_its_attempts_again(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    last = [begin(store, at=60 * i) for i in range(MOST)][-1]
    store.requests.give_up("r1", "poison", "boom", later(200))
    [dead] = store.dead_jobs.latest()
    assert store.dead_jobs.requeue(dead.id, later(300)) == Queued(a_job(), "verify")
    assert store.dead_jobs.latest() == []
    assert [d.requeued_at for d in store.dead_jobs.latest(closed=True)] == [later(300)]
    attempts = [begin(store, at=300 + 60 * i) for i in range(MOST)]
    assert attempts[0].number == last.number + 1  # so that a process from before cannot end it
    assert not store.requests.finish(last, a_verdict(), later(500))
    assert store.requests.finish(attempts[-1], a_verdict(), later(500))


def test_a_request_that_was_put_back_and_whose_message_is_lost_is_swept(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    store.requests.give_up("r1", "poison", "boom", NOW)
    store.dead_jobs.requeue(store.dead_jobs.latest()[0].id, NOW)
    assert swept(store, 120) == ["r1"]


def test_a_request_that_ended_in_an_error_can_be_put_back(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    store.requests.finish(begin(store), a_verdict(Status.ERROR, Reason.SELFIE_NOT_FETCHED), NOW)
    assert store.requests.requeue("r1", later(1)).job == a_job()
    assert store.requests.finish(begin(store, at=2), a_verdict(), later(3))
    found = store.requests.find("r1")
    assert found is not None
    assert (found.state, found.status, len(found.photos)) == (State.DONE, Status.APPROVED, 3)


def test_a_verdict_cannot_be_put_back(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    store.requests.finish(begin(store), a_verdict(), NOW)
    with pytest.raises(NotRequeueable, match="done"):
        store.requests.requeue("r1", NOW)
    with pytest.raises(NotRequeueable, match="no such request"):
        store.requests.requeue("r2", NOW)


def test_a_dead_request_is_not_put_back_behind_a_newer_one(store: Store) -> None:
    store.requests.accept(a_job("r1"), "verify", NOW)
    store.requests.give_up("r1", "poison", "boom", NOW)
    store.requests.accept(a_job("r2", at=later(1)), "verify", NOW)
    with pytest.raises(NotRequeueable, match="newer"):
        store.dead_jobs.requeue(store.dead_jobs.latest()[0].id, NOW)
    assert store.dead_jobs.latest()[0].requeued_at is None


@pytest.mark.parametrize("extra", [0, 60_000])
def test_a_message_that_was_not_understood_is_accepted_once_it_is(store: Store, extra: int) -> None:
    body = json.dumps(a_message(note="x" * extra)).encode()
    number = store.dead_jobs.add(a_dead_job(body, reason="unknown_schema"), NOW)
    assert store.dead_jobs.requeue(number, NOW).job == decode_job(body)
    found = store.requests.find("r1")
    assert found is not None
    assert found.state is State.QUEUED


@pytest.mark.parametrize("body", [b"\xff no job", json.dumps(a_message(note="x" * 70_000)).encode()])
def test_an_invalid_message_stays_dead(store: Store, body: bytes) -> None:
    number = store.dead_jobs.add(a_dead_job(body), NOW)
    with pytest.raises(NotRequeueable):
        store.dead_jobs.requeue(number, NOW)
    assert len(store.dead_jobs.latest()) == 1


def test_a_conflict_stays_dead_and_nothing_is_put_back_twice(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    with pytest.raises(RequestConflict):
        store.requests.accept(a_job(why="operator"), "verify", NOW)
    with pytest.raises(NotRequeueable, match="new one"):
        store.dead_jobs.requeue(store.dead_jobs.latest()[0].id, NOW)
    store.requests.give_up("r1", "poison", "boom", NOW)
    number = store.dead_jobs.latest()[0].id
    store.dead_jobs.requeue(number, NOW)
    with pytest.raises(NotRequeueable, match="before"):
        store.dead_jobs.requeue(number, NOW)
    with pytest.raises(NotRequeueable, match="no dead job"):
        store.dead_jobs.requeue(number + 100, NOW)


def test_a_forgotten_member_does_not_come_back_with_a_dead_job(store: Store) -> None:
    number = store.dead_jobs.add(a_dead_job(json.dumps(a_message()).encode(), reason="unknown_schema"), NOW)
    store.members.forget("m1", NOW)
    assert store.dead_jobs.latest() == []
    with pytest.raises(NotRequeueable):
        store.dead_jobs.requeue(number, NOW)
    assert store.members.find("m1") is None
