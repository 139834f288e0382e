"""What the database says is unfinished goes back to the broker."""

from __future__ import annotations

from datetime import timedelta

from support.jobs import LEASE, MOST, NOW, a_job, a_verdict, later
from worker.messages import VerifyJob
from worker.store import Attempt, NewMember, Store
from worker.sweep import Swept, sweep

Sent = list[tuple[VerifyJob, str]]


def swept(store: Store, at: float) -> tuple[Swept, Sent]:
    """A sweep so many seconds after `NOW`, and what it sent."""
    sent: Sent = []
    return sweep(store, lambda job, queue: sent.append((job, queue)), later(at)), sent


def test_a_job_whose_message_was_lost_is_sent_again_to_its_queue(store: Store) -> None:
    store.accept(a_job(), "bulk", NOW)
    assert swept(store, 60)[1] == []
    assert swept(store, 125)[1] == [(a_job(), "bulk")]


def test_a_job_is_not_sent_again_by_every_sweep(store: Store) -> None:
    store.accept(a_job(), "verify", NOW)
    assert [len(swept(store, at)[1]) for at in (125, 140, 155)] == [1, 0, 0]


def test_a_job_whose_worker_was_killed_is_sent_again_when_its_lease_ends(store: Store) -> None:
    store.accept(a_job(), "verify", NOW)
    store.start_attempt("r1", "killed", LEASE, MOST, NOW)
    assert swept(store, 59)[1] == []
    assert len(swept(store, 61)[1]) == 1


def test_a_job_that_ended_is_never_sent_again(store: Store) -> None:
    store.accept(a_job(), "verify", NOW)
    attempt = store.start_attempt("r1", "w", LEASE, MOST, NOW)
    assert isinstance(attempt, Attempt)
    store.finish(attempt, a_verdict(), NOW)
    assert swept(store, timedelta(days=2).total_seconds())[1] == []


def test_members_in_the_database_without_a_request_get_one_on_the_bulk_queue(store: Store) -> None:
    store.import_members([NewMember("new", None, "https://a/s.jpg", ("https://a/1.jpg",))], NOW)
    counts, sent = swept(store, 0)
    assert counts == Swept(unfinished=0, pending=1)
    assert [(job.member_id, queue) for job, queue in sent] == [("new", "bulk")]
    assert swept(store, 1)[1] == []


def test_a_member_who_cannot_become_a_job_does_not_stop_the_others(store: Store) -> None:
    broken, sound = (
        NewMember(name, None, url, ()) for name, url in [("a", "no url"), ("b", "https://a/s.jpg")]
    )
    store.import_members([broken, sound], NOW)
    assert [job.member_id for job, _ in swept(store, 0)[1]] == ["b"]
    assert [dead.reason for dead in store.dead_jobs()] == ["bad_url"]
