"""What the database says is unfinished goes back to the broker."""

from __future__ import annotations

from datetime import timedelta

import pytest

from support.broker import Lists
from support.jobs import LEASE, MOST, NOW, PHOTOS, a_job, a_verdict, later
from worker.client.errors import NotSent
from worker.jobs.verify_job import VerifyJob
from worker.store import Attempt, NewMember, Store
from worker.verification.maintenance import Swept, sweep

Sent = list[tuple[VerifyJob, str]]


class Broker(Lists):
    """One that is swept."""

    def sweep(self, store: Store, at: float) -> list[str]:
        """A sweep so many seconds after `NOW`; the requests that it sent."""
        before = len(self.sent)
        sweep(store.requests, store.pending, self, later(at))
        return [job.request_id for job, _ in self.sent[before:]]


def swept(store: Store, at: float) -> tuple[Swept, Sent]:
    """A sweep so many seconds after `NOW` where the broker has lost everything, and what it sent."""
    broker = Broker()
    return sweep(store.requests, store.pending, broker, later(at)), broker.sent


def test_a_job_whose_message_was_lost_is_sent_again_to_its_queue(store: Store) -> None:
    store.requests.accept(a_job(), "bulk", NOW)
    assert swept(store, 60)[1] == []
    assert swept(store, 125)[1] == [(a_job(), "bulk")]


def test_a_job_is_not_sent_again_by_every_sweep(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    assert [len(swept(store, at)[1]) for at in (125, 140, 155)] == [1, 0, 0]


def test_a_job_whose_worker_was_killed_is_sent_again_when_its_lease_ends(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    store.requests.acquire("r1", "killed", LEASE, MOST, NOW)
    assert swept(store, 59)[1] == []
    assert len(swept(store, 61)[1]) == 1


def test_a_job_that_ended_is_never_sent_again(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    attempt = store.requests.acquire("r1", "w", LEASE, MOST, NOW)
    assert isinstance(attempt, Attempt)
    store.requests.finish(attempt, a_verdict(photos=PHOTOS[:2]), NOW)
    assert swept(store, timedelta(days=2).total_seconds())[1] == []


def test_members_in_the_database_without_a_request_get_one_on_the_bulk_queue(store: Store) -> None:
    store.members.import_list([NewMember("new", None, "https://a/s.jpg", ("https://a/1.jpg",))], NOW)
    counts, sent = swept(store, 0)
    assert counts == Swept(unfinished=0, pending=1)
    assert [(job.member_id, queue) for job, queue in sent] == [("new", "bulk")]
    assert swept(store, 1)[1] == []


def test_a_member_who_cannot_become_a_job_does_not_stop_the_others(store: Store) -> None:
    broken, sound = (
        NewMember(name, None, url, ()) for name, url in [("a", "no url"), ("b", "https://a/s.jpg")]
    )
    store.members.import_list([broken, sound], NOW)
    assert [job.member_id for job, _ in swept(store, 0)[1]] == ["b"]
    assert [dead.reason for dead in store.dead_jobs.latest()] == ["bad_url"]


def accepted(store: Store, broker: Broker, count: int, queue: str = "bulk") -> list[str]:
    """Jobs that are in the database and on the broker, one second after the other; their requests."""
    names = [f"{queue}-{number}" for number in range(count)]
    for number, name in enumerate(names):
        store.requests.accept(a_job(request_id=name, member_id=name), queue, later(number))
    broker.held[queue] += count
    return names


def test_what_the_broker_still_holds_is_not_sent_again_however_long_it_lies_there(store: Store) -> None:
    broker = Broker()
    accepted(store, broker, 5)
    assert [broker.sweep(store, minutes * 60) for minutes in (3, 10, 60, 24 * 60)] == [[], [], [], []]


def test_of_what_the_broker_lost_in_part_no_more_is_sent_than_is_missing(store: Store) -> None:
    broker = Broker()
    names = accepted(store, broker, 5)
    broker.held["bulk"] = 3
    assert broker.sweep(store, 200) == names[:2]
    assert broker.sweep(store, 400) == []


def test_a_job_that_was_lost_behind_others_is_sent_when_they_are_done(store: Store) -> None:
    broker = Broker()
    *others, lost = accepted(store, broker, 3)
    broker.held["bulk"] = 2
    assert broker.sweep(store, 200) == others[:1]  # nobody can know which one it was
    for name in others:
        store.requests.acquire(name, "w", LEASE, MOST, later(210))
    broker.held["bulk"] = 0
    assert lost in broker.sweep(store, 215)


def test_what_lies_on_one_queue_says_nothing_of_another(store: Store) -> None:
    broker = Broker()
    accepted(store, broker, 2, queue="verify")
    lost = accepted(store, broker, 2, queue="bulk")
    broker.held["bulk"] = 0
    assert broker.sweep(store, 200) == lost


def test_messages_that_are_not_in_the_database_yet_hold_nothing_back_when_they_are_taken(
    store: Store,
) -> None:
    broker = Broker()
    names = accepted(store, broker, 1, queue="verify")
    assert broker.sweep(store, 200) == []
    broker.held["verify"] = 0
    assert broker.sweep(store, 215) == names


def test_a_job_that_waited_for_a_photo_host_is_sent_once_however_long_the_queue_is(store: Store) -> None:
    broker = Broker()
    (name,) = accepted(store, broker, 1)
    attempt = store.requests.acquire(name, "w", LEASE, MOST, NOW)
    assert isinstance(attempt, Attempt)
    store.requests.postpone(attempt, later(30), "timeout", NOW)
    broker.held["bulk"] = 100
    assert [broker.sweep(store, at) for at in (29, 31, 46, 1000)] == [[], [name], [], []]


def test_a_job_whose_worker_was_killed_is_sent_once_however_long_the_queue_is(store: Store) -> None:
    broker = Broker()
    (name,) = accepted(store, broker, 1)
    store.requests.acquire(name, "killed", LEASE, MOST, NOW)
    broker.held["bulk"] = 100
    assert [broker.sweep(store, at) for at in (59, 61, 76, 1000)] == [[], [name], [], []]


def test_what_a_full_broker_did_not_take_is_sent_when_it_does(store: Store) -> None:
    broker = Broker(most=2)
    names = accepted(store, broker, 5)
    broker.held["bulk"] = 0
    with pytest.raises(NotSent):
        broker.sweep(store, 200)
    broker.most = 1000
    broker.held["bulk"] = 0
    assert sorted({*names[:2], *broker.sweep(store, 500)}) == names


def test_a_sweep_sends_no_more_than_it_may_whatever_was_lost(store: Store) -> None:
    broker = Broker()
    for queue in ("verify", "bulk"):
        accepted(store, broker, 2, queue)
    store.requests.acquire("bulk-0", "killed", LEASE, MOST, NOW)
    broker.held.clear()
    sweep(store.requests, store.pending, broker, later(200), limit=3)
    assert len(broker.sent) == 3
    broker.held.clear()
    assert len(broker.sweep(store, 201)) == 1
