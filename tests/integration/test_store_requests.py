"""The life of a request in the database, from the message to the verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pipeline.verdict import Gender, Outcome, PhotoFinding, Reason, Status
from support.jobs import LEASE, MOST, NOW, PHOTOS, SELFIE, a_job, a_verdict, later
from worker.errors import RequestConflict, StoreRefused
from worker.jobs.verify_job import VerifyJob
from worker.store import Attempt, MemberRecord, Refusal, Refused, RequestRecord, Store
from worker.store.tables.states import State

ERROR = a_verdict(Status.ERROR, Reason.SELFIE_NOT_FETCHED, similarity=None)


def begin(store: Store, request_id: str = "r1", at: float = 0, worker: str = "w1") -> Attempt:
    """Start an attempt that must be granted."""
    attempt = store.requests.acquire(request_id, worker, LEASE, MOST, later(at))
    assert isinstance(attempt, Attempt), attempt
    return attempt


def refused(store: Store, request_id: str = "r1", at: float = 0) -> Refusal:
    """Start an attempt that must be refused."""
    answer = store.requests.acquire(request_id, "w2", LEASE, MOST, later(at))
    assert isinstance(answer, Refused), answer
    return answer.why


def finished(store: Store, job: VerifyJob, **changes: Any) -> None:
    """The whole way of a job."""
    store.requests.accept(job, "verify", job.requested_at)
    attempt = store.requests.acquire(job.request_id, "w", LEASE, MOST, job.requested_at)
    assert isinstance(attempt, Attempt)
    assert store.requests.finish(attempt, a_verdict(**changes), job.requested_at)


def member(store: Store, member_id: str = "m1") -> MemberRecord:
    found = store.members.find(member_id)
    assert found is not None
    return found


def request(store: Store, request_id: str = "r1") -> RequestRecord:
    found = store.requests.find(request_id)
    assert found is not None
    return found


def test_a_job_of_an_unknown_member_makes_the_member(store: Store) -> None:
    accepted = store.requests.accept(a_job(), "verify", NOW)
    assert (accepted.state, accepted.new) == (State.QUEUED, True)
    made = member(store)
    assert made.declared_gender is Gender.FEMALE
    assert made.selfie_url == a_job().selfie_url
    assert made.photo_urls == a_job().photo_urls
    assert (made.status, made.request_id) == (None, "r1")


def test_the_same_message_twice_changes_nothing(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    begin(store)
    again = store.requests.accept(a_job(), "bulk", later(1))
    assert (again.state, again.new) == (State.RUNNING, False)
    assert request(store).queue == "verify"
    assert store.dead_jobs.latest() == []


def test_the_same_id_with_other_content_is_a_conflict_recorded_once(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    for _ in range(2):
        with pytest.raises(RequestConflict):
            store.requests.accept(a_job(why="operator"), "verify", NOW)
    with pytest.raises(RequestConflict):
        store.requests.accept(a_job(member_id="m2"), "verify", NOW)
    assert [(d.reason, d.request_id, d.member_id) for d in store.dead_jobs.latest()] == [
        ("conflict", "r1", "m2"),
        ("conflict", "r1", "m1"),
    ]
    assert store.members.find("m2") is None
    assert request(store).why == "signup"


def test_a_verdict_is_kept_whole(store: Store) -> None:
    finished(store, a_job())
    kept, verdict = request(store), a_verdict()
    assert (kept.selfie, kept.photos) == (SELFIE, PHOTOS)
    assert kept.timings == verdict.timings
    assert (kept.state, kept.status, kept.reason, kept.photo) == (
        State.DONE,
        Status.APPROVED,
        Reason.SAME_PERSON,
        1,
    )
    assert (kept.model_version, kept.policy_version, kept.decided_by) == ("base-1", "1", "machine")
    assert kept.finished_at == NOW
    latest = member(store)
    assert (latest.status, latest.same_person, latest.similarity) == (Status.APPROVED, True, 0.83)
    assert (latest.gender, latest.gender_probability) == (Gender.FEMALE, 0.98)
    assert (latest.reason, latest.model_version, latest.verified_at) == (Reason.SAME_PERSON, "base-1", NOW)


def test_numbers_that_no_database_holds_are_left_out(store: Store) -> None:
    odd = PhotoFinding(1, Outcome.UNSURE, quality={"sharpness": float("nan"), "yaw": 1.0})
    finished(store, a_job(), photos=(odd,), similarity=float("inf"), timings={"decode": float("nan")})
    kept = request(store)
    assert kept.similarity is None
    assert kept.photos[0].quality == {"yaw": 1.0}
    assert kept.timings == {}


def test_only_one_delivery_gets_the_attempt_and_a_late_one_finds_it_done(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    attempt = begin(store)
    assert refused(store, at=59) is Refusal.RUNNING
    assert store.requests.finish(attempt, a_verdict(), later(60))
    assert refused(store, at=61) is Refusal.DONE
    assert not store.requests.finish(attempt, ERROR, later(62))
    assert request(store).status is Status.APPROVED


def test_an_unknown_request_is_refused(store: Store) -> None:
    assert refused(store) is Refusal.UNKNOWN


def test_a_lapsed_lease_is_taken_over_and_the_first_worker_has_lost(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    first = begin(store)
    second = begin(store, at=60, worker="w2")
    assert second.number == first.number + 1
    assert not store.requests.extend(first, LEASE, later(61))
    assert not store.requests.postpone(first, later(90), "timeout", later(61))
    assert not store.requests.finish(first, ERROR, later(61))
    assert not store.requests.give_up("r1", "internal_error", "boom", later(61), attempt=first)
    assert store.requests.finish(second, a_verdict(), later(62))


def test_a_slow_worker_may_finish_when_nobody_took_over(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    attempt = begin(store)
    assert store.requests.finish(attempt, a_verdict(), later(500))


def test_an_extended_lease_holds(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    attempt = begin(store)
    assert store.requests.extend(attempt, LEASE, later(50))
    assert refused(store, at=109) is Refusal.RUNNING
    begin(store, at=110)


def test_the_sweep_takes_up_a_request_when_its_extended_lease_ends_and_not_before(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    store.requests.extend(begin(store), LEASE, later(50))
    assert store.requests.unfinished(later(109)) == []
    assert [queued.job.request_id for queued in store.requests.unfinished(later(110))] == ["r1"]


def test_whoever_extends_or_postpones_touches_no_other_request(store: Store) -> None:
    for name in ("r1", "r2", "r3"):
        store.requests.accept(a_job(name, f"m-{name}"), "verify", NOW)
    extended, postponed, _ = [begin(store, name) for name in ("r1", "r2", "r3")]
    assert store.requests.extend(extended, LEASE, later(50))
    assert store.requests.postpone(postponed, later(55), "timeout", later(50))
    assert refused(store, "r1", at=60) is Refusal.RUNNING
    assert request(store, "r3").state is State.RUNNING
    begin(store, "r3", at=60)


def test_what_has_ended_is_neither_extended_nor_postponed(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    attempt = begin(store)
    store.requests.finish(attempt, a_verdict(), later(1))
    assert not store.requests.extend(attempt, LEASE, later(2))
    assert not store.requests.postpone(attempt, later(9), "timeout", later(2))
    assert request(store).state is State.DONE
    assert store.requests.unfinished(later(9999)) == []


def test_a_postponed_request_waits_until_it_is_due(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    assert store.requests.postpone(begin(store), later(30), "timeout", later(1))
    assert request(store).state is State.RETRY_WAIT
    assert request(store).problem == "timeout"
    assert refused(store, at=29) is Refusal.NOT_DUE
    assert begin(store, at=30).postponed == 1


def test_attempts_that_never_end_are_counted_and_capped(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    numbers = [begin(store, at=60 * i).number for i in range(MOST)]
    assert numbers == [1, 2, 3]
    assert refused(store, at=60 * MOST) is Refusal.EXHAUSTED
    assert store.requests.give_up("r1", "poison", "started 3 times, never ended", later(181))
    assert refused(store, at=999) is Refusal.DEAD
    assert (request(store).state, request(store).status) == (State.DEAD, Status.ERROR)
    [dead] = store.dead_jobs.latest()
    assert (dead.reason, dead.request_id, dead.member_id, dead.attempts) == ("poison", "r1", "m1", 3)
    assert member(store).status is Status.ERROR


def test_waiting_for_a_photo_server_uses_up_no_attempt(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    for i in range(2 * MOST):
        store.requests.postpone(begin(store, at=i), later(i), "timeout", later(i))
    assert begin(store, at=99).postponed == 2 * MOST


def test_waiting_gives_no_attempt_back_that_was_used_up_before(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    for i in range(MOST - 1):
        begin(store, at=60 * i)  # and its process dies
    store.requests.postpone(begin(store, at=200), later(210), "timeout", later(201))
    begin(store, at=210)
    assert refused(store, at=300) is Refusal.EXHAUSTED


def test_a_request_that_somebody_works_on_or_that_ended_is_not_given_up(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    attempt = begin(store)
    assert not store.requests.give_up("r1", "poison", "boom", later(1))
    assert not store.requests.give_up("unknown", "poison", "boom", later(1))
    assert store.requests.give_up("r1", "internal_error", "boom", later(1), attempt=attempt)
    assert not store.requests.give_up("r1", "internal_error", "boom", later(2), attempt=attempt)
    assert len(store.dead_jobs.latest()) == 1


@pytest.mark.parametrize("standing", [Status.APPROVED, Status.REVIEW, Status.REJECTED])
def test_an_error_of_ours_never_wipes_a_standing_verdict(store: Store, standing: Status) -> None:
    finished(store, a_job("r1"), status=standing)
    finished(store, a_job("r2", at=later(1)), status=Status.ERROR, reason=Reason.SELFIE_NOT_FETCHED)
    assert member(store).status is standing
    assert member(store).request_id == "r2"
    assert request(store, "r2").status is Status.ERROR
    store.requests.accept(a_job("r3", at=later(2)), "verify", later(2))
    assert store.requests.give_up("r3", "poison", "boom", later(3))
    assert member(store).status is standing


def test_an_error_takes_the_place_of_a_wish_for_another_photo(store: Store) -> None:
    finished(store, a_job("r1"), status=Status.RETRY_PHOTO, reason=Reason.SELFIE_NO_FACE)
    finished(store, a_job("r2", at=later(1)), status=Status.ERROR, reason=Reason.SELFIE_NOT_FETCHED)
    assert member(store).status is Status.ERROR


def test_a_newer_verdict_takes_the_place_of_a_standing_one(store: Store) -> None:
    finished(store, a_job("r1"))
    finished(store, a_job("r2", at=later(1)), status=Status.REVIEW, reason=Reason.DIFFERENT_PERSON)
    assert member(store).status is Status.REVIEW


def test_the_standing_verdict_is_seen_until_the_new_one_is_there(store: Store) -> None:
    finished(store, a_job("r1"))
    store.requests.accept(a_job("r2", at=later(1), photo_urls=["https://h/new.jpg"]), "verify", later(1))
    begin(store, "r2", at=2)
    assert member(store).status is Status.APPROVED
    assert member(store).photo_urls == ("https://h/new.jpg",)


def test_a_newer_request_ends_older_ones_that_wait(store: Store) -> None:
    store.requests.accept(a_job("r1"), "verify", NOW)
    store.requests.accept(a_job("r2", at=later(1)), "verify", later(1))
    store.requests.postpone(begin(store, "r2", at=2), later(30), "timeout", later(2))
    store.requests.accept(a_job("r3", at=later(3)), "verify", later(3))
    states = {r.request_id: r.state for r in store.requests.of_member("m1")}
    assert states == {"r1": State.SUPERSEDED, "r2": State.SUPERSEDED, "r3": State.QUEUED}
    assert refused(store, "r1", at=99) is Refusal.SUPERSEDED
    assert refused(store, "r2", at=99) is Refusal.SUPERSEDED


def test_an_older_request_that_runs_writes_nothing_over_the_newer_one(store: Store) -> None:
    store.requests.accept(a_job("r1"), "verify", NOW)
    old = begin(store, "r1")
    finished(store, a_job("r2", at=later(1)))
    assert store.requests.finish(old, a_verdict(Status.REVIEW, Reason.DIFFERENT_PERSON), later(2))
    assert member(store).status is Status.APPROVED
    late = request(store, "r1")
    assert (late.state, late.status) == (State.SUPERSEDED, Status.REVIEW)
    assert late.photos == PHOTOS


def test_an_older_request_that_arrives_late_is_superseded_at_once(store: Store) -> None:
    finished(store, a_job("r2", at=later(5), selfie_url="https://h/new.jpg"))
    accepted = store.requests.accept(a_job("r1", at=later(4)), "verify", later(6))
    assert accepted.state is State.SUPERSEDED
    assert refused(store, "r1", at=7) is Refusal.SUPERSEDED
    assert member(store).selfie_url == "https://h/new.jpg"
    assert member(store).request_id == "r2"


def test_a_superseded_request_whose_process_died_is_not_begun_again(store: Store) -> None:
    store.requests.accept(a_job("r1"), "verify", NOW)
    begin(store, "r1")
    store.requests.accept(a_job("r2", at=later(1)), "verify", later(1))
    assert refused(store, "r1", at=60) is Refusal.SUPERSEDED
    assert request(store, "r1").state is State.SUPERSEDED


@pytest.mark.parametrize(("first", "second"), [("a", "B"), ("r1", "r10"), ("Z", "a")])
def test_requests_of_the_same_moment_are_ordered_by_the_bytes_of_their_ids(
    store: Store, first: str, second: str
) -> None:
    older, newer = sorted([first, second])
    store.requests.accept(a_job(newer), "verify", NOW)
    assert store.requests.accept(a_job(older), "verify", NOW).state is State.SUPERSEDED


def test_requests_of_other_members_do_not_meet(store: Store) -> None:
    store.requests.accept(a_job("r1", "m1"), "verify", NOW)
    finished(store, a_job("r2", "m2", at=later(1)))
    assert request(store, "r1").state is State.QUEUED
    assert member(store, "m1").status is None


def test_an_empty_gallery_is_one(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    finished(store, a_job("r2", at=later(1), photo_urls=[]), photos=())
    assert member(store).photo_urls == ()
    assert request(store, "r2").photos == ()


def test_what_the_database_refuses_is_no_reason_to_try_again(store: Store) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    attempt = begin(store)
    with pytest.raises(StoreRefused) as refusal:
        store.requests.finish(attempt, replace(a_verdict(), model_version="v" * 65, status="no status"), NOW)  # type: ignore[arg-type]
    assert "no status" not in str(refusal.value)
    assert request(store).state is State.RUNNING
    assert store.requests.finish(attempt, a_verdict(), NOW)
