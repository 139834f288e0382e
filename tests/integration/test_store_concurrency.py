"""Races on real databases, with real threads and connections of their own."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest
import sqlalchemy as sa

from pipeline.verdict import Reason, Status, Verdict
from support.jobs import LEASE, MOST, NOW, a_job, a_verdict, later
from support.together import together, while_open
from worker.errors import MemberForgotten, RequestConflict
from worker.store import Accepted, Attempt, Change, NewMember, Refusal, Refused, Store
from worker.store.tables.states import State

CROWD = 6


def begin(store: Store, worker: str, at: float = 0, request_id: str = "r1") -> Attempt | Refused:
    return store.requests.acquire(request_id, worker, LEASE, MOST, later(at))


def test_two_deliveries_of_a_new_job_at_once_accept_it_once(store: Store) -> None:
    for round_ in range(5):
        job = a_job(f"r{round_}", f"m{round_}")
        answers = together([partial(store.requests.accept, job, "verify", NOW)] * CROWD)
        accepted = [answer for answer in answers if isinstance(answer, Accepted)]
        assert len(accepted) == CROWD, answers
        assert [a.new for a in accepted].count(True) == 1
        assert len(store.requests.of_member(f"m{round_}")) == 1


@pytest.mark.parametrize("engine", ["mariadb"], indirect=True)
def test_the_sign_up_of_a_new_member_waits_for_no_other_ones(store: Store) -> None:
    """A server's default, REPEATABLE READ, locks the gap where a row is missing: all new ones lie in it."""
    with store.database.engine.begin() as other:
        assert store.database.lock_member(other, "m1") is None
        assert store.requests.accept(a_job("r2", "m2"), "verify", NOW).new


def test_of_many_deliveries_at_once_one_gets_the_attempt(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    answers = together([partial(begin, store, f"w{i}") for i in range(CROWD)])
    assert Counter(type(answer) for answer in answers) == {Attempt: 1, Refused: CROWD - 1}
    assert {a.why for a in answers if isinstance(a, Refused)} == {Refusal.RUNNING}
    found = store.requests.find("r1")
    assert found is not None
    assert found.attempts == 1


def test_of_many_who_take_over_a_lapsed_lease_one_succeeds(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    begin(store, "dead")
    answers = together([partial(begin, store, f"w{i}", 60) for i in range(CROWD)])
    assert Counter(type(answer) for answer in answers) == {Attempt: 1, Refused: CROWD - 1}


def test_of_the_slow_first_and_the_second_worker_one_result_stands(store: Store) -> None:
    """The first finishes in the moment when another takes over: one of them, never both."""
    for round_ in range(5):
        job = a_job(f"r{round_}", f"m{round_}")
        store.requests.accept(job, "verify", NOW)
        first = begin(store, "slow", 0, job.request_id)
        assert isinstance(first, Attempt)
        done, taken = together(
            [
                partial(store.requests.finish, first, a_verdict(), later(61)),
                partial(begin, store, "w2", 61, job.request_id),
            ]
        )
        assert isinstance(done, Verdict) != isinstance(taken, Attempt), (done, taken)


def test_many_finishing_the_same_attempt_write_it_once(store: Store, engine: sa.Engine) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    attempt = begin(store, "w")
    assert isinstance(attempt, Attempt)
    answers = together([partial(store.requests.finish, attempt, a_verdict(), NOW)] * CROWD)
    assert [answer for answer in answers if answer is not None] == [a_verdict()]
    with engine.connect() as c:
        assert c.scalar(sa.text("SELECT COUNT(*) FROM verification_photo")) == 4


def test_an_older_and_a_newer_request_that_finish_at_once_leave_the_newer(store: Store) -> None:
    for round_ in range(5):
        old, new = f"r{round_}a", f"r{round_}b"
        store.requests.accept(a_job(old, f"m{round_}"), "verify", NOW)
        older = begin(store, "w1", 0, old)
        store.requests.accept(a_job(new, f"m{round_}", at=later(1)), "verify", NOW)
        newer = begin(store, "w2", 0, new)
        assert isinstance(older, Attempt)
        assert isinstance(newer, Attempt)
        review = a_verdict(Status.REVIEW, Reason.DIFFERENT_PERSON)
        assert together(
            [
                partial(store.requests.finish, older, review, NOW),
                partial(store.requests.finish, newer, a_verdict(), NOW),
            ]
        ) == [review, a_verdict()]
        member = store.members.find(f"m{round_}")
        assert member is not None
        assert member.status is Status.APPROVED


def test_requests_of_one_member_accepted_at_once_leave_only_the_newest(store: Store) -> None:
    jobs = [a_job(f"r{i}", at=later(i)) for i in range(CROWD)]
    answers = together([partial(store.requests.accept, job, "verify", later(CROWD)) for job in jobs])
    assert all(isinstance(answer, Accepted) for answer in answers), answers
    states = {r.request_id: r.state for r in store.requests.of_member("m1")}
    assert states.pop(f"r{CROWD - 1}") is State.QUEUED
    assert set(states.values()) == {State.SUPERSEDED}
    member = store.members.find("m1")
    assert member is not None
    assert member.request_id == f"r{CROWD - 1}"


def test_one_request_id_with_two_contents_at_once_is_one_request_and_one_conflict(store: Store) -> None:
    for round_ in range(5):
        one, other = a_job(f"r{round_}", "m1"), a_job(f"r{round_}", "m2")
        answers = together([partial(store.requests.accept, job, "verify", NOW) for job in (one, other)])
        assert Counter(type(answer) for answer in answers) == {Accepted: 1, RequestConflict: 1}
    assert [dead.reason for dead in store.dead_jobs.latest()] == ["conflict"] * 5


def test_two_sweeps_at_once_hand_out_each_request_once(store: Store) -> None:
    for i in range(40):
        store.requests.accept(a_job(f"r{i:02}", f"m{i:02}"), "verify", NOW)
    answers = together([partial(store.requests.unfinished, later(200))] * 3)
    found = [queued.job.request_id for answer in answers if isinstance(answer, list) for queued in answer]
    missed = store.requests.unfinished(later(200))  # what one had locked while another looked past it
    handed_out = Counter(found + [queued.job.request_id for queued in missed])
    assert handed_out == {f"r{i:02}": 1 for i in range(40)}


def test_two_who_enqueue_the_pending_share_the_members(store: Store) -> None:
    news = [NewMember(f"m{i:03}", None, "https://h/s.jpg", ("https://h/1.jpg",)) for i in range(120)]
    store.members.import_list(news, NOW)
    answers = together([partial(store.pending.enqueue, "bulk", NOW, 1000)] * 3)
    ids = [q.job.member_id for answer in answers if not isinstance(answer, Exception) for q in answer.jobs]
    ids += [queued.job.member_id for queued in store.pending.enqueue("bulk", NOW, 1000).jobs]
    assert Counter(ids) == {new.member_id: 1 for new in news}


def test_an_import_and_sign_ups_of_the_same_members_do_not_break_each_other(store: Store) -> None:
    news = [NewMember(f"m{i:02}", None, "https://h/s.jpg", ("https://h/1.jpg",)) for i in range(30)]
    backwards = list(reversed(news))
    jobs = [a_job(f"r{i:02}", f"m{i:02}") for i in range(30)]

    def sign_up() -> int:
        return sum(store.requests.accept(job, "verify", NOW).new for job in jobs)

    answers = together(
        [
            lambda: len(store.members.import_list(news, NOW)),
            lambda: len(store.members.import_list(backwards, NOW)),
            sign_up,
        ]
    )
    assert answers == [30, 30, 30]
    assert store.reports.status(NOW).members == 30


def test_a_member_who_is_forgotten_while_a_job_arrives_stays_forgotten(store: Store) -> None:
    for round_ in range(8):
        job = a_job(f"r{round_}", f"m{round_}")
        accepted, _ = together(
            [
                partial(store.requests.accept, job, "verify", NOW),
                partial(store.members.forget, job.member_id, NOW),
            ]
        )
        assert isinstance(accepted, Accepted | MemberForgotten)
        assert store.members.find(job.member_id) is None
        assert store.requests.find(job.request_id) is None


def test_a_member_who_is_forgotten_while_a_verdict_is_written_stays_forgotten(store: Store) -> None:
    for round_ in range(8):
        job = a_job(f"r{round_}", f"m{round_}")
        store.requests.accept(job, "verify", NOW)
        attempt = begin(store, "w", 0, job.request_id)
        assert isinstance(attempt, Attempt)
        answers = together(
            [
                partial(store.requests.finish, attempt, a_verdict(), NOW),
                partial(store.members.forget, job.member_id, NOW),
            ]
        )
        assert answers[0] in (a_verdict(), None)
        assert store.members.find(job.member_id) is None
        assert store.requests.find(job.request_id) is None


def test_a_verdict_waits_for_a_newer_request_that_is_being_written(store: Store) -> None:
    store.requests.accept(a_job("r1"), "verify", NOW)
    attempt = begin(store, "w")
    assert isinstance(attempt, Attempt)
    newer = a_job("r2", at=later(1))
    assert while_open(
        store.database.engine,
        lambda c: store.requests._acceptance.accept(c, newer, "verify", NOW),
        partial(store.requests.finish, attempt, a_verdict(), NOW),
    )
    member, request = store.members.find("m1"), store.requests.find("r1")
    assert member is not None
    assert request is not None
    assert (member.request_id, member.status) == ("r2", None)
    assert request.state is State.SUPERSEDED


def test_a_new_member_waits_for_an_erasure_that_is_being_written(store: Store) -> None:
    refused = while_open(
        store.database.engine,
        lambda c: store.members._forget(c, "m1", NOW),
        partial(store.requests.accept, a_job(), "verify", NOW),
    )
    assert isinstance(refused, MemberForgotten)
    assert store.members.find("m1") is None


def test_an_erasure_waits_for_a_new_member_who_is_being_written(store: Store) -> None:
    gone = while_open(
        store.database.engine,
        lambda c: store.requests._acceptance.accept(c, a_job(), "verify", NOW),
        partial(store.members.forget, "m1", NOW),
    )
    assert tuple(gone.removed[name] for name in ("member", "verification", "photo")) == (1, 1, 2)
    assert store.members.find("m1") is None


def test_an_import_waits_for_an_erasure_that_is_being_written(store: Store) -> None:
    new = NewMember("m1", None, "https://h/s.jpg", ("https://h/1.jpg",))
    changes = while_open(
        store.database.engine,
        lambda c: store.members._forget(c, "m1", NOW),
        partial(store.members.import_list, [new], NOW),
    )
    assert changes == [Change.FORGOTTEN]
    assert store.members.find("m1") is None
