"""What the app is told: the member's row, the table `result` and the events say the same at every moment."""

from __future__ import annotations

import json
from datetime import timedelta
from operator import itemgetter
from typing import Any

import pytest
import sqlalchemy as sa

from pipeline.verdict import Outcome, PhotoFinding, Reason, Status
from support import reviews
from support.jobs import LEASE, MOST, NOW, SELFIE, a_comparison, a_job, a_message, a_verdict, later
from support.workers import rows
from worker.errors import MemberForgotten, RequestConflict, StoreUnavailable
from worker.store import Attempt, DeadJob, Store

HOLD = timedelta(seconds=60)
STRANGER = PhotoFinding(1, Outcome.DIFFERENT, sha256="d" * 64, faces=1, comparison=a_comparison(0.1))


@pytest.fixture
def store(engine: sa.Engine) -> Store:
    """With an app that listens."""
    return Store(engine, tombstone_key=b"key", listening=True, decision_hold=HOLD)


def begin(store: Store, request_id: str, at: float = 0) -> Attempt:
    attempt = store.requests.acquire(request_id, "w", LEASE, MOST, later(at))
    assert isinstance(attempt, Attempt), attempt
    return attempt


def judged(store: Store, request_id: str, at: float = 0, **verdict: Any) -> None:
    store.requests.accept(a_job(request_id, at=later(at)), "verify", later(at))
    assert store.requests.finish(begin(store, request_id, at), a_verdict(**verdict), later(at))


def result_of(store: Store, request_id: str) -> dict[str, Any]:
    (row,) = (row for row in rows(store, store.database.t.result) if row["request_id"] == request_id)
    return row


def member_of(store: Store) -> dict[str, Any]:
    (row,) = rows(store, store.database.t.member)
    return row


def events(store: Store) -> list[dict[str, Any]]:
    """Their payloads in the order in which they were numbered."""
    found: list[dict[str, Any]] = rows(store, store.database.t.event)
    return [{**row["payload"]["data"], "type": row["type"]} for row in sorted(found, key=itemgetter("id"))]


def types(store: Store) -> list[str]:
    return [event["type"] for event in events(store)]


def test_a_standing_approval_is_told_apart_from_photos_that_nobody_has_seen(store: Store) -> None:
    """The member was approved under r-b1 and sends new photos, whose host is in trouble."""
    names = ("request_id", "requested_state", "verification_status", "verified_request_id")

    def row() -> tuple[Any, ...]:
        return tuple(member_of(store)[name] for name in names)

    def result(request_id: str) -> tuple[Any, ...]:
        told = result_of(store, request_id)
        return told["state"], told["status"], told["waiting_until"]

    judged(store, "r-b1")
    assert row() == ("r-b1", "done", "approved", "r-b1")
    store.requests.accept(a_job("r-b2", at=later(10)), "verify", later(10))
    assert row() == ("r-b2", "queued", "approved", "r-b1")
    assert result("r-b2") == ("queued", None, None)
    store.requests.postpone(begin(store, "r-b2", 11), later(700), "a photo host is in trouble", later(12))
    assert row() == ("r-b2", "retry_wait", "approved", "r-b1")
    assert result("r-b2") == ("retry_wait", None, later(700))
    assert result("r-b1") == ("done", "approved", None)
    again = begin(store, "r-b2", 701)
    assert (row()[1], result("r-b2")) == ("queued", ("queued", None, None))
    refused = a_verdict(Status.REVIEW, Reason.DIFFERENT_PERSON, photos=(STRANGER,))
    assert store.requests.finish(again, refused, later(702))
    assert row() == ("r-b2", "done", "review", "r-b2")
    assert result("r-b2") == ("done", "review", None)
    standing = [(event["request_id"], event["status"], event["member"]["status"]) for event in events(store)]
    assert standing == [("r-b1", "approved", "approved"), ("r-b2", "review", "review")]


def test_a_result_says_of_each_photo_what_the_app_may_show_and_what_the_member_reads(store: Store) -> None:
    judged(store, "r1")
    told = result_of(store, "r1")
    assert (told["reason"], told["decided_by"], told["photo"], told["similarity"]) == (
        *("same_person", "machine", 1),
        0.83,
    )
    assert "인증이 완료" in told["text_ko"]
    assert "verified" in told["text_en"]
    assert [(p["position"], p["outcome"], p["verified"], p["fault"]) for p in told["photos"]] == [
        (0, "usable", False, None),
        (1, "same", True, None),
        (2, "too_dark", False, "member"),
        (3, "not_fetched", False, "host"),
    ]
    assert "2번 사진" in told["photos"][2]["text_ko"]
    assert (told["accepted_at"], told["finished_at"], told["changed_at"]) == (NOW, NOW, NOW)


def test_an_event_has_no_address_no_gender_and_no_suspicion(store: Store) -> None:
    judged(store, "r1", status=Status.REVIEW, reason=Reason.DIFFERENT_PERSON, photos=(STRANGER,))
    judged(store, "r2", 5, status=Status.REVIEW, reason=Reason.GENDER_CONFLICT)
    for event in events(store):
        assert (event["status"], event["reason"], event["photo"]) == ("review", None, None)
        text = json.dumps(event)
        assert not [word for word in ("http", "male", "different", "conflict", "similar") if word in text]
    assert events(store)[0]["photos"] == [
        {"position": 1, "verified": False, "problem": None, "fault": None},
    ]


def test_no_photo_is_verified_while_a_person_has_to_look(store: Store) -> None:
    judged(store, "r1", status=Status.REVIEW, reason=Reason.SAME_PICTURE)
    assert not any(photo["verified"] for photo in result_of(store, "r1")["photos"])


def test_a_review_that_stands_is_told_of_the_newest_request_as_well(store: Store) -> None:
    """The member is not approved before a person has looked, whatever the later request came to."""
    judged(store, "r1", status=Status.REVIEW, reason=Reason.SAME_PICTURE)
    judged(store, "r2", 5)
    assert (result_of(store, "r2")["status"], result_of(store, "r2")["reason"]) == ("review", "same_picture")
    assert (events(store)[-1]["status"], events(store)[-1]["member"]["verified_request_id"]) == (
        "review",
        "r1",
    )
    reviews.decide(store, "m1", Status.APPROVED, "kim", later(9))
    told = result_of(store, "r2")
    assert (told["status"], told["reason"], told["decided_by"]) == (
        "approved",
        "approved_by_person",
        "person",
    )
    assert [photo["verified"] for photo in told["photos"]][:2] == [False, True]


def test_of_decisions_within_the_hold_the_app_hears_the_last(store: Store) -> None:
    judged(store, "r1", status=Status.REVIEW, reason=Reason.SAME_PICTURE)
    reviews.decide(store, "m1", Status.REJECTED, "kim", later(1))
    reviews.decide(store, "m1", Status.APPROVED, "kim", later(30))
    assert types(store) == ["verification.completed", "verification.decided"]
    assert events(store)[-1]["status"] == "approved"
    (held,) = (row for row in rows(store, store.database.t.event) if row["not_before"])
    assert held["not_before"] == later(30) + HOLD
    reviews.decide(store, "m1", Status.REJECTED, "kim", later(91))
    assert [event["status"] for event in events(store)] == ["review", "approved", "rejected"]


def test_each_request_ends_with_one_event(store: Store) -> None:
    store.requests.accept(a_job("r1"), "verify", NOW)
    store.requests.accept(a_job("r2", at=later(1)), "verify", later(1))
    late = begin(store, "r2", 2)
    store.requests.accept(a_job("r3", at=later(3)), "verify", later(3))
    assert store.requests.finish(late, a_verdict(), later(4))
    store.requests.accept(a_job("r0", at=later(-9)), "verify", later(5))  # sent before the others
    assert store.requests.give_up("r3", "poison", "begun 3 times", later(6))
    assert [(event["request_id"], event["type"].split(".")[1]) for event in events(store)] == [
        *(("r1", "superseded"), ("r2", "superseded"), ("r0", "superseded")),
        ("r3", "failed"),
    ]
    ended = result_of(store, "r3")
    assert (ended["state"], ended["status"], ended["problem"]) == ("dead", "error", "poison")
    assert (result_of(store, "r2")["status"], member_of(store)["requested_state"]) == (None, "dead")


def test_a_dead_request_that_is_put_back_waits_again(store: Store) -> None:
    store.requests.accept(a_job("r1"), "verify", NOW)
    store.requests.give_up("r1", "poison", "begun 3 times", later(1))
    store.requests.requeue("r1", later(2))
    told = result_of(store, "r1")
    assert (told["state"], told["status"], told["problem"], told["finished_at"]) == ("queued", *(None,) * 3)
    assert member_of(store)["requested_state"] == "queued"
    assert store.requests.finish(begin(store, "r1", 3), a_verdict(), later(4))
    assert types(store) == ["verification.failed", "verification.completed"]


def test_a_message_that_cannot_become_a_request_is_told_by_its_id(store: Store) -> None:
    message = json.dumps(a_message(schema=99)).encode()
    store.dead_jobs.add(DeadJob("unknown_schema", "no job", message, "verify", "r1", "m1"), NOW)
    told = result_of(store, "r1")
    assert (told["state"], told["status"], told["problem"]) == ("dead", None, "unknown_schema")
    (event,) = events(store)
    assert (event["type"], event["problem"], event["member"]) == (
        *("verification.refused", "unknown_schema"),
        None,
    )
    judged(store, "r1", 5)  # the same ID with a message that can be read
    assert (result_of(store, "r1")["status"], result_of(store, "r1")["problem"]) == ("approved", None)


def test_a_conflict_leaves_the_result_of_the_first_content(store: Store) -> None:
    judged(store, "r1")
    for _ in range(2):
        with pytest.raises(RequestConflict):
            store.requests.accept(a_job("r1", why="operator"), "verify", later(1))
    assert result_of(store, "r1")["status"] == "approved"
    assert [(e["type"], e["problem"]) for e in events(store)][1:] == [("verification.refused", "conflict")]


def test_of_a_forgotten_member_only_the_event_stays_that_says_so(store: Store) -> None:
    judged(store, "r1")
    store.members.forget("m1", later(1))
    assert types(store) == ["member.erased"]
    assert rows(store, store.database.t.result) == []
    with pytest.raises(MemberForgotten):
        store.requests.accept(a_job("r9"), "verify", later(2))
    assert (events(store)[-1]["member_id"], events(store)[-1]["problem"]) == (None, "forgotten")


def test_there_is_no_event_of_what_was_rolled_back(store: Store) -> None:
    store.requests.accept(a_job("r1"), "verify", NOW)
    attempt = begin(store, "r1")

    def break_off(connection: sa.Connection) -> None:
        raise sa.exc.OperationalError("COMMIT", {}, Exception("gone"))

    sa.event.listen(store.database.engine, "commit", break_off)
    with pytest.raises(StoreUnavailable):
        store.requests.finish(attempt, a_verdict(selfie=SELFIE), later(1))
    sa.event.remove(store.database.engine, "commit", break_off)
    assert events(store) == []
    assert result_of(store, "r1")["state"] == "queued"


def test_without_anybody_to_tell_no_event_is_kept(engine: sa.Engine) -> None:
    store = Store(engine, tombstone_key=b"key")
    judged(store, "r1")
    assert events(store) == []
    assert result_of(store, "r1")["status"] == "approved"


def test_what_a_worker_of_an_earlier_version_has_ended_is_told_late_and_once(store: Store) -> None:
    for request_id in ("r1", "r2", "r3"):
        judged(store, request_id, int(request_id[1]))
    t = store.database.t
    with store.database.engine.begin() as c:  # it writes neither of the two
        c.execute(sa.delete(t.event))
        c.execute(sa.delete(t.result).where(t.result.c.request_id == "r1"))
        c.execute(
            sa.update(t.result).where(t.result.c.request_id == "r2").values(state="queued", status=None)
        )
    assert store.untold.tell(later(9)) == 2
    assert [event["request_id"] for event in events(store)] == ["r1", "r2"]
    assert {result_of(store, request_id)["status"] for request_id in ("r1", "r2", "r3")} == {"approved"}
    assert store.untold.tell(later(10)) == 0


def test_a_request_that_a_worker_of_an_earlier_version_accepted_gets_its_result(store: Store) -> None:
    store.requests.accept(a_job("r1"), "verify", NOW)
    with store.database.engine.begin() as c:
        c.execute(sa.delete(store.database.t.result))
    assert store.requests.finish(begin(store, "r1"), a_verdict(), later(1))
    assert (result_of(store, "r1")["status"], result_of(store, "r1")["accepted_at"]) == ("approved", NOW)
