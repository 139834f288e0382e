"""Members: whose ID is whose, imports, wishes for a request, erasure, and the counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from pipeline.verdict import Gender, Reason, Status
from support.jobs import LEASE, MOST, NOW, PHOTOS, a_job, a_verdict, later
from worker.errors import MemberForgotten
from worker.jobs.verify_job import Why
from worker.store import Attempt, Change, DeadJob, NewMember, Refusal, Refused, Store
from worker.store.tables.schema import tables
from worker.store.tables.states import State

LOOKALIKES = ["Ab1", "ab1", "AB1", "aB1", "ab1.", "ab1~", "ab1!"]


def a_new(member_id: str = "m1", **changes: object) -> NewMember:
    new = NewMember(member_id, Gender.MALE, "https://h/s.jpg", ("https://h/1.jpg", "https://h/2.jpg"))
    return replace(new, **changes)  # type: ignore[arg-type]


def insert(engine: sa.Engine, sql: str, **values: object) -> None:
    with engine.begin() as c:
        c.execute(sa.text(sql), values)


def verified(store: Store, request_id: str, member_id: str, status: Status = Status.APPROVED) -> None:
    store.requests.accept(a_job(request_id, member_id), "verify", NOW)
    attempt = store.requests.acquire(request_id, "w", LEASE, MOST, NOW)
    assert isinstance(attempt, Attempt)
    assert store.requests.finish(attempt, a_verdict(status), NOW)


def test_ids_that_a_careless_database_takes_for_one_are_different_members_and_requests(store: Store) -> None:
    for i, like in enumerate(LOOKALIKES):
        store.requests.accept(a_job(like, like, selfie_url=f"https://h/{i}.jpg"), "verify", NOW)
    assert store.reports.status(NOW).members == len(LOOKALIKES)
    for i, like in enumerate(LOOKALIKES):
        member, request = store.members.find(like), store.requests.find(like)
        assert member is not None
        assert request is not None
        assert (member.member_id, member.selfie_url) == (like, f"https://h/{i}.jpg")
        assert (request.member_id, request.request_id) == (like, like)


@pytest.mark.parametrize("padded", ["ab1 ", " ab1", "ab1\t"])
def test_an_id_with_a_space_is_nobodys(store: Store, padded: str) -> None:
    store.requests.accept(a_job("ab1", "ab1"), "verify", NOW)
    assert store.members.find(padded) is None
    assert store.requests.find(padded) is None
    assert store.requests.acquire(padded, "w", LEASE, MOST, NOW) == Refused(padded, Refusal.UNKNOWN)
    assert store.pending.enqueue_members([padded], "verify", NOW).refused == {padded: "no such member"}
    with pytest.raises(ValueError, match="not a member ID"):
        store.members.forget(padded, NOW)
    assert store.members.find("ab1") is not None


@pytest.mark.parametrize("table", ["member (member_id)", "photo (position, url, member_id)"])
def test_the_tables_themselves_take_no_id_with_a_space(store: Store, engine: sa.Engine, table: str) -> None:
    store.requests.accept(a_job("r1", "ab1", photo_urls=[]), "verify", NOW)
    values = "('ab1 ')" if "photo" not in table else "(1, 'https://h/1.jpg', 'ab1 ')"
    with pytest.raises(sa.exc.DBAPIError):
        insert(engine, f"INSERT INTO {table} VALUES {values}")


def test_an_import_says_what_became_of_each_member_in_the_order_given(store: Store) -> None:
    store.members.import_list([a_new("m2"), a_new("m3")], NOW)
    store.members.forget("m4", NOW)
    changes = store.members.import_list(
        [a_new("m9"), a_new("m3", photo_urls=("https://h/new.jpg",)), a_new("m4"), a_new("m2")], later(1)
    )
    assert changes == [Change.CREATED, Change.CHANGED, Change.FORGOTTEN, Change.UNCHANGED]
    assert store.members.find("m4") is None
    member = store.members.find("m3")
    assert member is not None
    assert member.photo_urls == ("https://h/new.jpg",)


def test_an_import_larger_than_one_transaction_is_whole(store: Store) -> None:
    news = [a_new(f"m{i:03}") for i in range(173)]
    assert store.members.import_list(list(reversed(news)), NOW) == [Change.CREATED] * 173
    assert store.members.import_list(news, NOW) == [Change.UNCHANGED] * 173
    assert [pending.member_id for pending in store.pending.members(1000)] == [new.member_id for new in news]


def test_fresh_links_in_a_list_are_taken_and_verify_nobody_again_for_whom_there_is_a_verdict(
    store: Store,
) -> None:
    def listed(signature: str) -> list[NewMember]:
        photos = (f"https://h/1.jpg?sig={signature}", f"https://h/2.jpg?sig={signature}")
        return [NewMember(i, None, f"https://h/{i}.jpg?sig={signature}", photos) for i in ("m1", "m2")]

    store.members.import_list(listed("a"), NOW)
    for queued in store.pending.enqueue("bulk", NOW, 10).jobs:
        attempt = store.requests.acquire(queued.job.request_id, "w", LEASE, MOST, NOW)
        assert isinstance(attempt, Attempt)
        approved = queued.job.member_id == "m1"
        verdict = a_verdict() if approved else a_verdict(Status.ERROR, Reason.SELFIE_NOT_FETCHED)
        assert store.requests.finish(attempt, verdict, NOW)
    assert store.members.import_list(listed("b"), NOW) == [Change.UNCHANGED, Change.CHANGED]
    [queued] = [job for at in (NOW, later(15)) for job in store.pending.enqueue("bulk", at, 10).jobs]
    assert (queued.job.member_id, queued.job.selfie_url) == ("m2", "https://h/m2.jpg?sig=b")
    record = store.members.find("m1")
    assert record is not None
    assert (record.selfie_url, record.photo_urls) == ("https://h/m1.jpg?sig=b", listed("b")[0].photo_urls)
    assert store.pending.members() == []


def test_a_member_twice_in_one_import_is_a_mistake(store: Store) -> None:
    with pytest.raises(ValueError, match="twice"):
        store.members.import_list([a_new(), a_new()], NOW)


def test_a_pending_member_gets_one_request_and_is_pending_no_more(store: Store) -> None:
    store.members.import_list([a_new()], NOW)
    [queued] = store.pending.enqueue("bulk", NOW).jobs
    assert (queued.queue, queued.job.member_id, queued.job.why) == ("bulk", "m1", Why.SIGNUP)
    assert (queued.job.selfie_url, queued.job.photo_urls) == (a_new().selfie_url, a_new().photo_urls)
    assert queued.job.declared_gender is Gender.MALE
    assert store.pending.enqueue("bulk", NOW).jobs == ()
    request = store.requests.find(queued.job.request_id)
    assert request is not None
    assert (request.state, request.queue) == (State.QUEUED, "bulk")
    assert store.requests.accept(queued.job, "bulk", NOW).new is False


def test_a_member_whose_photos_changed_wants_a_new_request(store: Store) -> None:
    store.members.import_list([a_new()], NOW)
    [first] = store.pending.enqueue("bulk", NOW).jobs
    store.members.import_list([a_new(photo_urls=("https://h/3.jpg",))], later(1))
    [second] = store.pending.enqueue("bulk", later(1)).jobs
    assert (second.job.why, second.job.photo_urls) == (Why.PHOTOS_CHANGED, ("https://h/3.jpg",))
    superseded = store.requests.find(first.job.request_id)
    assert superseded is not None
    assert superseded.state is State.SUPERSEDED


def test_a_row_that_the_app_inserted_itself_becomes_a_job(store: Store, engine: sa.Engine) -> None:
    insert(engine, "INSERT INTO member (member_id, selfie_url) VALUES ('app-7', 'https://h/s.jpg')")
    insert(engine, "INSERT INTO photo (member_id, position, url) VALUES ('app-7', 1, 'https://h/1.jpg')")
    insert(engine, "INSERT INTO member (member_id) VALUES ('no-selfie-yet')")
    [queued] = store.pending.enqueue("bulk", NOW).jobs
    assert (queued.job.member_id, queued.job.photo_urls) == ("app-7", ("https://h/1.jpg",))


def test_a_row_that_cannot_become_a_job_is_recorded_once_and_harms_no_other(
    store: Store, engine: sa.Engine
) -> None:
    insert(engine, "INSERT INTO member (member_id, selfie_url) VALUES ('a\tb', 'https://h/s.jpg')")
    insert(engine, "INSERT INTO member (member_id, selfie_url) VALUES ('m2', 'no address')")
    insert(engine, "INSERT INTO member (member_id, selfie_url) VALUES ('m3', 'https://h/s.jpg')")
    assert store.pending.enqueue("bulk", NOW).jobs == ()  # their photos may be on their way
    enqueued = store.pending.enqueue("bulk", later(300))
    assert [queued.job.member_id for queued in enqueued.jobs] == ["m3"]
    assert set(enqueued.refused) == {"a\tb", "m2"}
    assert sorted(dead.reason for dead in store.dead_jobs.latest()) == ["bad_id", "bad_url"]
    assert store.pending.enqueue("bulk", later(300)).refused == {}


def test_more_pending_members_than_one_transaction_holds_are_enqueued_up_to_the_limit(store: Store) -> None:
    store.members.import_list([a_new(f"m{i:03}") for i in range(120)], NOW)
    assert len(store.pending.enqueue("bulk", NOW, limit=110).jobs) == 110
    assert len(store.pending.enqueue("bulk", NOW, limit=110).jobs) == 10


def test_a_request_from_a_clock_that_runs_ahead_is_overtaken_by_what_comes_after_it(store: Store) -> None:
    store.requests.accept(a_job("r1", at=later(3600)), "verify", NOW)
    [queued] = store.pending.enqueue_members(["m1"], "bulk", NOW).jobs
    assert store.requests.accept(a_job("r3", at=later(1)), "verify", later(1)).state is State.QUEUED
    states = {request.request_id: request.state for request in store.requests.of_member("m1")}
    assert states == {
        "r1": State.SUPERSEDED,
        queued.job.request_id: State.SUPERSEDED,
        "r3": State.QUEUED,
    }


def test_chosen_members_are_enqueued_again_and_unknown_ones_named(store: Store) -> None:
    verified(store, "r1", "m1")
    enqueued = store.pending.enqueue_members(["m1", "M1", "m1"], "verify", later(1))
    assert [(q.job.member_id, q.job.why) for q in enqueued.jobs] == [("m1", Why.OPERATOR)]
    assert enqueued.refused == {"M1": "no such member"}


def test_a_forgotten_member_leaves_nothing_but_a_hash(store: Store, engine: sa.Engine) -> None:
    verified(store, "r1", "member-zero")
    verified(store, "r2", "other")
    store.dead_jobs.add(DeadJob("bad_url", "x", b"member-zero", "verify", "r1", "member-zero"), NOW)
    gone = store.members.forget("member-zero", NOW)
    assert gone.removed == {
        "label": 0,
        "decision": 0,
        "review_vote": 0,
        "review_case": 0,
        "objection": 0,
        "verification_photo": 1 + len(PHOTOS),
        "photo_reuse": 2,
        "verification": 1,
        "result": 1,
        "event": 0,
        "dead_job": 1,
        "photo": 2,
        "consent": 0,
        "shadow_verdict": 0,
        "training_member": 0,
        "training_face": 0,
        "member": 1,
    }
    with engine.connect() as c:
        everything = {t.name: c.execute(sa.select(t)).all() for t in tables().metadata.sorted_tables}
    assert "member-zero" not in repr(everything)
    assert len(everything["tombstone"]) == 1
    assert store.members.find("other") is not None
    assert set(store.members.forget("member-zero", NOW).removed.values()) == {0}


def test_nothing_brings_a_forgotten_member_back(store: Store, engine: sa.Engine) -> None:
    store.requests.accept(a_job(), "verify", NOW)
    running = store.requests.acquire("r1", "w", LEASE, MOST, NOW)
    assert isinstance(running, Attempt)
    store.members.forget("m1", NOW)
    assert not store.requests.finish(running, a_verdict(), NOW)
    assert not store.requests.give_up("r1", "poison", "boom", NOW)
    assert store.requests.acquire("r1", "w", LEASE, MOST, NOW) == Refused("r1", Refusal.UNKNOWN)
    with pytest.raises(MemberForgotten):
        store.requests.accept(a_job(), "verify", NOW)
    assert store.members.import_list([a_new("m1")], NOW) == [Change.FORGOTTEN]
    insert(engine, "INSERT INTO member (member_id, selfie_url) VALUES ('m1', 'https://h/s.jpg')")
    assert store.pending.enqueue("bulk", NOW).refused == {"m1": "the member was forgotten"}
    assert store.members.find("m1") is None
    assert [dead.reason for dead in store.dead_jobs.latest()] == [
        "forgotten"
    ] * 2  # all but the import say so here


def test_a_tombstone_cannot_be_read_without_the_key(store: Store, engine: sa.Engine) -> None:
    store.members.forget("m1", NOW)
    with pytest.raises(MemberForgotten):
        store.requests.accept(a_job(), "verify", NOW)
    other_key = Store(engine, tombstone_key=b"another key")
    assert other_key.requests.accept(a_job(), "verify", NOW).new


def test_the_status_adds_up(store: Store) -> None:
    verified(store, "r1", "m1")
    verified(store, "r2", "m2", Status.REVIEW)
    store.requests.accept(a_job("r3", "m3"), "verify", NOW)
    store.requests.accept(a_job("r4", "m3", at=later(1)), "verify", later(1))
    store.requests.accept(a_job("r5", "m5"), "bulk", later(10))
    store.requests.acquire("r5", "w", LEASE, MOST, later(10))
    store.requests.accept(a_job("r6", "m6"), "bulk", later(10))
    store.requests.give_up("r6", "poison", "boom", later(11))
    store.members.import_list([a_new("m7")], NOW)
    status = store.reports.status(later(100))
    assert status.members == 6
    assert status.pending == 1
    assert status.requests == {
        State.QUEUED: 1,
        State.RUNNING: 1,
        State.RETRY_WAIT: 0,
        State.DONE: 2,
        State.DEAD: 1,
        State.SUPERSEDED: 1,
    }
    assert status.verdicts == {
        Status.APPROVED: 1,
        Status.REVIEW: 1,
        Status.RETRY_PHOTO: 0,
        Status.REJECTED: 0,
        Status.ERROR: 1,
    }
    assert status.queued == {"verify": 1, "bulk": 1}
    assert (status.lapsed, status.dead_jobs) == (1, 1)
    assert status.oldest_waiting == timedelta(seconds=99)


def test_the_history_of_a_member_is_told_from_the_newest(store: Store) -> None:
    for i in range(4):
        store.requests.accept(a_job(f"r{i}", at=later(i % 2)), "verify", later(2))
    assert [request.request_id for request in store.requests.of_member("m1", limit=3)] == ["r3", "r1", "r2"]
    assert store.requests.of_member("m2") == []
