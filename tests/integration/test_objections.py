"""Objections: a member asks for a person, whose decision is the answer."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result

from pipeline.verdict import Reason, Status
from support import reviews
from support.cases import APPROVE, REJECT, a_store, answered, claimed, events, judged, looked, rows, standing
from support.jobs import KIM, LEASE, MOST, NOW, a_job, a_verdict, later
from support.schemas import problems, schema
from support.together import together
from worker.broker.envelope import RawMessage, decode_item, validate
from worker.client import BadIdentifier, BadTime, Client
from worker.clock import utc_now
from worker.errors import BadMessage, MemberForgotten, NotPossible, ObjectionRefused
from worker.store import Attempt, CaseCounts, NewObjection, Objection, ObjectionCounts, Store
from worker.store.tables.states import Cause, ObjectionWay, Purpose
from worker.tasks import record_objection
from worker.verification.objections import ObjectionDelivery

Cli = Callable[..., Result]
TASKS = {record_objection.name: record_objection}
DAY = timedelta(days=1)
RETRY: dict[str, Any] = {"status": Status.RETRY_PHOTO, "reason": Reason.NO_USABLE_PHOTO}


@pytest.fixture
def store(engine: sa.Engine) -> Store:
    """With an app that listens, which hears of a decision after a minute."""
    return a_store(engine)


def objects(
    store: Store,
    member_id: str = "m1",
    objection_id: str | None = "o1",
    at: float = 0,
    by: str | None = None,
) -> bool:
    """By message; by a person where one is named."""
    return store.reviews.objections.record(NewObjection(member_id, later(at), objection_id, by), later(at))


def of(store: Store, member_id: str = "m1") -> list[Objection]:
    return list(store.reviews.objections.of_member(member_id))


def counts(store: Store, at: datetime = NOW) -> ObjectionCounts:
    report = store.reports.status(at).objections
    assert report == store.reviews.queue.page(at, limit=1).objections
    return report


def test_who_objects_comes_first_keeps_the_verdict_until_a_person_decides_and_hears_the_answer(
    store: Store,
) -> None:
    judged(store, "r0", "m0")
    judged(store, at=5, **RETRY)
    assert objects(store, at=10)
    assert standing(store) == (Status.RETRY_PHOTO, Reason.NO_USABLE_PHOTO)
    first = [one.member_id for one in store.reviews.queue.page(later(10)).cases]
    assert first == ["m1", "m0"]
    claim, view = looked(store, at=11)
    assert (claim.member_id, view.evidence) == ("m1", None)  # nothing tells why before the answers
    store.reviews.queue.release(claim, later(11))
    claim = answered(store, at=12)
    evidence = store.reviews.queue.look(claim, KIM, later(12)).evidence
    assert evidence is not None
    assert (evidence.cause, evidence.objected_at) == (Cause.OBJECTION, later(10))
    store.reviews.decisions.decide(claim, APPROVE, later(20))
    assert of(store) == [
        Objection(
            *(later(10), ObjectionWay.MESSAGE, None, later(10) + 30 * DAY, Status.APPROVED),
            answered_by="kim",
            answered_at=later(20),
        )
    ]
    assert events(store)[-1] == ("decided", "approved")
    assert counts(store).open == 0


def test_an_open_case_comes_first_and_better_photos_end_it_no_more(store: Store) -> None:
    judged(store, "r0", "m0")
    judged(store, at=5, reason=Reason.PRIMARY_UNSURE)
    objects(store, at=6)
    judged(store, "r2", at=7, status=Status.APPROVED, reason=Reason.SAME_PERSON)
    assert standing(store)[0] is Status.APPROVED
    claim = answered(store, at=8)
    assert (claim.member_id, claim.request_id) == ("m1", "r2")
    store.reviews.decisions.decide(claim, APPROVE, later(9))
    assert [one.answer for one in of(store)] == [Status.APPROVED]


@pytest.mark.parametrize("end", ["finish", "give_up", "by a worker of an earlier version"])
def test_while_a_request_runs_an_objection_waits_and_is_not_lost(store: Store, end: str) -> None:
    judged(store, **RETRY)
    store.requests.accept(a_job("r2", at=later(5)), "verify", later(5))
    attempt = store.requests.acquire("r2", "w", LEASE, MOST, later(5))
    assert isinstance(attempt, Attempt)
    objects(store, at=6)
    assert (store.reviews.queue.is_open("m1"), counts(store).open) == (False, 1)
    if end == "give_up":
        store.requests.give_up("r2", "poison", "boom", later(7), attempt=attempt)
    else:
        store.requests.finish(attempt, a_verdict(), later(7))
    if end == "by a worker of an earlier version":
        t = store.database.t
        with store.database.engine.begin() as c:
            c.execute(sa.delete(t.review_case))
            c.execute(sa.update(t.objection).values(case_id=None))
        assert store.reviews.missed.follow(later(8)) == 1
        assert store.reviews.missed.follow(later(8)) == 0
    claim = answered(store, at=9)
    assert (claim.member_id, claim.request_id) == ("m1", "r2")
    store.reviews.decisions.decide(claim, REJECT, later(10))
    assert [one.answer for one in of(store)] == [Status.REJECTED]


def test_the_same_message_twice_is_one_objection_and_a_second_one_is_kept_beside_it(store: Store) -> None:
    judged(store, **RETRY)
    done = together([partial(objects, store), partial(objects, store)])
    assert sorted(done) == [False, True]
    assert objects(store, objection_id="o2", at=5)
    assert (len(of(store)), counts(store).open) == (2, 1)
    reviews.decide(store, "m1", Status.APPROVED, at=later(6))
    assert {one.answered_at for one in of(store)} == {later(6)}
    assert not objects(store, at=7)  # the first message again, after its answer
    assert not store.reviews.queue.is_open("m1")
    assert objects(store, objection_id="o3", at=8)  # another wish, and another case
    assert (store.reviews.queue.is_open("m1"), counts(store).open) == (True, 1)


def test_a_person_who_writes_down_a_second_objection_is_told_of_the_first(store: Store) -> None:
    judged(store, **RETRY)
    objects(store, objection_id=None, by="lee")
    with pytest.raises(NotPossible, match=r"objected on 2026-11-24 .*\(as lee wrote down\).* by 2026-12-24"):
        objects(store, objection_id=None, by="choi", at=5)
    judged(store, "r2", "m2", **RETRY)
    objects(store, "m2", "o2")
    with pytest.raises(NotPossible, match="by message"):
        objects(store, "m2", None, by="lee")
    assert [len(of(store, member_id)) for member_id in ("m1", "m2")] == [1, 1]


def test_nobody_decides_about_an_objection_to_what_they_decided_or_voted_for(engine: sa.Engine) -> None:
    store = a_store(engine, rejection_votes=2)
    judged(store)
    for n, by in enumerate(("kim", "lee")):
        store.reviews.decisions.decide(answered(store, by, n), REJECT, later(n))
    objects(store, at=100)
    for by in ("kim", "Lee"):
        assert store.reviews.queue.claim_next(by, later(101)) is None
    case = store.database.t.review_case
    with engine.begin() as c:  # as if it had been theirs when the objection came
        until = {"lease_until": later(999), "claimed_at": later(101)}
        c.execute(sa.update(case).where(case.c.unfinished).values(reviewer="kim", attempts=1, **until))
    claim = store.reviews.queue.claim_of("kim")
    assert claim is not None
    store.reviews.queue.look(claim, KIM, later(102))
    with pytest.raises(NotPossible, match="objects to what you decided"):
        store.reviews.decisions.decide(claim, APPROVE, later(102))
    store.reviews.queue.release(claim, later(103))
    store.reviews.decisions.decide(answered(store, "choi", 104), APPROVE, later(105))
    objects(store, objection_id="o2", at=200)  # against choi's decision, not against the one before
    assert store.reviews.queue.claim_next("choi", later(201)) is None
    assert claimed(store, "kim", 202).member_id == "m1"


def test_a_single_reviewer_may_be_allowed_to_decide_again_and_what_was_undone_was_not_decided(
    engine: sa.Engine,
) -> None:
    alone = a_store(engine, other_person=False)
    judged(alone)
    alone.reviews.decisions.decide(answered(alone), REJECT, later(1))
    objects(alone, at=100)
    alone.reviews.decisions.decide(answered(alone, at=101), APPROVE, later(102))
    assert [one.answer for one in of(alone)] == [Status.APPROVED]
    store = a_store(engine)
    judged(store, "r2", "m2")
    store.reviews.decisions.decide(answered(store, at=200), REJECT, later(201))
    store.reviews.undoing.undo("kim", later(202))
    objects(store, "m2", "o2", 203)
    assert claimed(store, "kim", 204).member_id == "m2"


def test_an_answer_that_is_undone_is_none(store: Store) -> None:
    judged(store, **RETRY)
    objects(store)
    store.reviews.decisions.decide(answered(store, at=1), APPROVE, later(2))
    store.reviews.undoing.undo("kim", later(3))
    assert (of(store)[0].answer, counts(store).open) == (None, 1)
    store.reviews.decisions.decide(answered(store, at=4), REJECT, later(5))
    assert of(store)[0].answer is Status.REJECTED


def test_status_says_which_objections_come_near_their_end_and_which_are_beyond_it(store: Store) -> None:
    for n in range(3):
        judged(store, f"r{n}", f"m{n}", **RETRY)
        objects(store, f"m{n}", f"o{n}", n * 86400)
    assert counts(store, NOW) == ObjectionCounts(3, 0, 0)
    assert counts(store, NOW + 24 * DAY) == ObjectionCounts(3, 2, 0)
    assert counts(store, NOW + 30 * DAY) == ObjectionCounts(3, 2, 1)
    cases = store.reports.status(NOW + 2 * DAY).cases
    assert (cases.open, cases.overdue) == (3, 2)
    late = NewObjection("m0", NOW - 3 * DAY, "late")  # it lay in the queue, or the letter on a desk
    store.reviews.objections.record(late, NOW)
    assert counts(store, NOW + 27 * DAY) == ObjectionCounts(3, 2, 1)


def test_while_consent_is_withdrawn_nobody_is_late(store: Store) -> None:
    judged(store, **RETRY)
    objects(store)
    store.consents.record("m1", Purpose.VERIFICATION, NOW, given=False)
    assert counts(store, NOW + 99 * DAY) == ObjectionCounts(1, 0, 0)
    assert store.reports.status(NOW + 99 * DAY).cases == CaseCounts(1, 0)
    store.consents.record("m1", Purpose.VERIFICATION, NOW, given=True)
    assert counts(store, NOW + 99 * DAY) == ObjectionCounts(1, 0, 1)


def test_of_the_sandbox_nothing_is_counted(engine: sa.Engine) -> None:
    store = Store(engine, tombstone_key=b"key", sandbox_prefix="sandbox-")
    judged(store, member_id="sandbox-1")
    objects(store, "sandbox-1")
    assert counts(store) == ObjectionCounts(0, 0, 0)
    assert store.reports.status(NOW).cases.open == 0
    assert store.reviews.queue.claim_next("kim", NOW, sandbox=True) is not None


def test_nobody_objects_who_is_not_there_was_erased_or_has_asked_for_nothing(store: Store) -> None:
    for member_id in ("nobody", "m1 ", ""):
        with pytest.raises(ObjectionRefused, match="no member") as refusal:
            objects(store, member_id)
        assert refusal.value.code == "unknown_member"
    m = store.database.t.member
    with store.database.engine.begin() as c:
        c.execute(sa.insert(m).values(member_id="new", pending=False))
    with pytest.raises(ObjectionRefused, match="no request yet") as refusal:
        objects(store, "new")
    assert refusal.value.code == "no_request"
    judged(store, **RETRY)
    judged(store, "r2", "m2", **RETRY)
    objects(store)
    with pytest.raises(ObjectionRefused, match="another member's") as refusal:
        objects(store, "m2")
    assert refusal.value.code == "objection_conflict"
    with pytest.raises(NotPossible, match="own account"):
        objects(store, "m2", None, by="M2")
    removed = store.members.forget("m1", later(5)).removed
    assert (removed["objection"], rows(store, store.database.t.objection)) == (1, [])
    with pytest.raises(MemberForgotten):
        objects(store, at=6)
    assert rows(store, store.database.t.objection) == []


# The message


def delivered(store: Store, job: object, at: datetime = NOW) -> str:
    """As a worker handles it."""
    deliver = ObjectionDelivery(
        objections=store.reviews.objections, dead_jobs=store.dead_jobs, clock=lambda: at
    )
    return deliver.handle(job, "verify")


def an_objection(**changes: Any) -> dict[str, Any]:
    job = {"schema": 1, "objection_id": "o1", "requested_at": "2026-11-24T06:00:00Z", "member_id": "m1"}
    return {name: value for name, value in {**job, **changes}.items() if value is not ...}


def test_what_the_client_sends_is_an_objection_whose_time_is_the_members(
    store: Store, tmp_path: Path
) -> None:
    judged(store, **RETRY)
    with Client("filesystem://", folder=tmp_path) as client:
        sent = client.send_objection("m1", requested_at=NOW - DAY)
        with pytest.raises(BadIdentifier):
            client.send_objection("m 1")
        with pytest.raises(BadIdentifier):
            client.send_objection("m1", objection_id="")
        with pytest.raises(BadTime):
            client.send_objection("m1", requested_at=NOW + 9999 * DAY)
    (file,) = (tmp_path / "queues").glob("*.verify.msg")
    payload = decode_item(file.read_bytes(), "verify")
    body = base64.b64decode(payload["body"])
    raw = RawMessage(payload["headers"], body, "application/json", "utf-8", "verify")
    task = validate(raw, TASKS, utc_now())
    assert task.headers["task"] == "worker.record_objection"
    job = task.content[1]["job"]
    assert problems("record_objection", job) == []
    assert job.keys() == schema("record_objection")["properties"].keys()
    assert [delivered(store, job) for _ in range(2)] == ["recorded", "known"]
    assert [(one.received_at, one.way) for one in of(store)] == [(NOW - DAY, ObjectionWay.MESSAGE)]
    assert [one["objection_id"] for one in rows(store, store.database.t.objection)] == [sent]
    with pytest.raises(BadMessage, match="does not belong on this queue"):
        validate(replace(raw, queue="bulk"), TASKS, utc_now())


NO_OBJECTIONS: Sequence[tuple[object, str]] = (
    ([], "not_an_object"),
    (an_objection(schema=2), "unknown_schema"),
    (an_objection(schema=...), "missing_field"),
    (an_objection(objection_id=...), "missing_field"),
    (an_objection(objection_id="o 1"), "bad_id"),
    (an_objection(member_id=7), "wrong_type"),
    (an_objection(requested_at="2026-11-24T06:00:00"), "bad_time"),
    (an_objection(requested_at="2019-11-24T06:00:00Z"), "bad_time"),
    (an_objection(requested_at="2026-11-26T06:00:00Z"), "bad_time"),
    (an_objection(member_id="nobody"), "unknown_member"),
    (an_objection(member_id="erased"), "forgotten"),
    (an_objection(member_id="withdrawn"), "no_consent"),
)


def test_a_message_that_is_no_objection_is_a_dead_job_that_says_why(store: Store) -> None:
    judged(store, **RETRY)
    judged(store, "r2", "erased", **RETRY)
    store.members.forget("erased", NOW)
    judged(store, "r3", "withdrawn", **RETRY)
    store.consents.record("withdrawn", Purpose.VERIFICATION, NOW, given=False)
    for job, code in NO_OBJECTIONS:
        assert delivered(store, job) == "dead_letter"
        dead = store.dead_jobs.latest()[0]
        assert (dead.reason, dead.message_kept) == (code, False)
        told = max(rows(store, store.database.t.event), key=lambda row: row["id"])
        assert (told["type"], told["payload"]["data"]["problem"]) == ("verification.refused", code)
    assert (len(store.dead_jobs.latest()), of(store)) == (len(NO_OBJECTIONS), [])


# The commands


@pytest.fixture
def here(here: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The same with a key, as nobody in particular."""
    monkeypatch.setenv("VERIFY_TOMBSTONE_KEY", "test key")
    monkeypatch.setenv("VERIFY_SECOND_REVIEW_SHARE", "0")
    monkeypatch.delenv("VERIFY_OPERATOR", raising=False)
    return here


def test_a_letter_is_written_down_by_a_command_and_its_answer_is_shown(here: Cli, store: Store) -> None:
    judged(store, **RETRY)
    assert here("review", "object", "m1").exit_code == 2  # by whom?
    for day in ("2999-01-01", "2019-12-31", "yesterday"):
        assert here("review", "object", "m1", "--by", "lee", "--received", day).exit_code == 2
    done = here("review", "object", "m1", "--by", "lee", "--received", "2026-11-20")
    assert done.stdout == "m1 objects, says lee: the answer is due by 2026-12-20.\n"
    again = here("review", "object", "m1", "--by", "lee")
    assert (again.exit_code, "on 2026-11-20 already (as lee wrote down)" in again.stderr) == (1, True)
    assert "own account" in here("review", "object", "m1", "--by", "M1").stderr
    assert here("review", "object", "nobody", "--by", "lee").stderr == "Error: no member nobody\n"
    assert [(one.looked_by, one.action, one.way) for one in store.accesses.of_member("m1")][-1:] == [
        ("lee", "review", "object")
    ]
    assert "Objections without an answer: 1, " in here("review", "list").stdout
    assert "Objections without an answer: 1, " in here("status").stdout
    assert json.loads(here("status", "--json").stdout)["objections"]["open"] == 1
    before = "".join(here("show", "m1", *way).stdout for way in ((), ("--json",)))
    before += here("review", "next", "--by", "kim").stdout
    assert "object" not in before.lower()
    here("review", "answer", "1=same", "2=same", "--by", "kim")
    assert "the member objects: 2026-11-20" in here("review", "show", "--by", "kim").stdout
    here("review", "decide", "approve", "--reason", "same_person", "--note", "knows her voice", "--by", "kim")
    assert "approved" in here("show", "m1").stdout.partition("Objections")[2]
    [told] = json.loads(here("show", "m1", "--json").stdout)["objections"]
    assert (told["way"], told["recorded_by"], told["answer"]) == ("operator", "lee", "approved")
    assert told["answered_by"] == "kim"
    earlier = here("review", "object", "m1", "--by", "lee", "--received", "2026-11-10")
    assert earlier.stdout.endswith("is due by 2026-12-10.\n")  # that of this one
    here("review", "next", "--by", "ann")
    here("review", "answer", "1=same", "2=same", "--by", "ann")
    objected_to = here("review", "show", "--by", "ann").stdout
    assert "the verdict" in objected_to
    assert re.search("kim: approved on .*, same_person: knows her voice", objected_to)


def test_a_letter_may_have_come_where_the_day_has_begun_already(here: Cli, store: Store) -> None:
    judged(store, **RETRY)
    there = utc_now() + timedelta(hours=14)
    for day, status in ((there + timedelta(days=1), 2), (there, 0)):
        done = here("review", "object", "m1", "--by", "lee", "--received", f"{day:%Y-%m-%d}")
        assert done.exit_code == status
    assert store.reviews.objections.of_member("m1")[0].received_at <= utc_now()
    Store(store.database.engine, tombstone_key=b"test key").members.forget("m1", NOW)
    assert "m1 was forgotten" in here("review", "object", "m1", "--by", "lee").stderr
