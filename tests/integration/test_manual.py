"""Members at whose photos people look in place of the machine: no face is looked for, none is compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result as Ran

from pipeline.decide import leave_to_people
from pipeline.verdict import (
    Fault,
    FetchProblem,
    Gender,
    NotFetched,
    Outcome,
    Photo,
    Reason,
    Status,
    Verdict,
    Verified,
)
from support.cases import APPROVE, NEW_PHOTO, REJECT, SAME, a_store, answered, claimed, judged, looked, rows
from support.grants import granted_database
from support.jobs import LEASE, MOST, NOW, PHOTOS, a_job, a_message, a_verdict, later
from worker.client import Results
from worker.errors import CaseSuspended, ConsentWithdrawn, NotPossible, NotRequeueable
from worker.jobs.links import PhotoLink
from worker.store import Attempt, RequestRecord, Store, build_engine
from worker.store.tables.states import Purpose, State
from worker.verification.delivery import DeliveryRules, Handled, Verification
from worker.verification.sandbox import NO_SANDBOX, Sandbox

Cli = Callable[..., Ran]
BUSY = NotFetched(FetchProblem.SERVER_ERROR, Fault.HOST, "503")
GONE = NotFetched(FetchProblem.GONE, Fault.MEMBER, "404")
NEEDED = {"UPDATE member SET manual = TRUE": True, "UPDATE member SET manual = FALSE": False}


@pytest.fixture
def store(engine: sa.Engine) -> Store:
    return a_store(engine)


def in_sql(store: Store, statement: str) -> None:
    with store.database.engine.begin() as c:
        c.exec_driver_sql(statement)


def table(store: Store, name: str) -> list[dict[str, Any]]:
    return rows(store, getattr(store.database.t, name))


def request(store: Store, request_id: str = "r1") -> RequestRecord:
    found = store.requests.find(request_id)
    assert found is not None
    return found


def begun(store: Store, request_id: str = "r1", at: float = 0, **job: Any) -> Attempt:
    store.requests.accept(
        a_job(request_id, job.pop("member_id", "m1"), later(at), **job), "verify", later(at)
    )
    attempt = store.requests.acquire(request_id, "w", LEASE, MOST, later(at))
    assert isinstance(attempt, Attempt), attempt
    return attempt


def left(store: Store, request_id: str = "r1", at: float = 0, **job: Any) -> None:
    """A request that ended with people, whose files are named by their addresses."""
    attempt = begun(store, request_id, at, **{"manual": True, **job})
    selfie, *photos = (link.url.encode() for link in attempt.links)
    assert store.requests.finish(attempt, leave_to_people(selfie, photos), later(at))


# A delivery


@dataclass
class Scene:
    """The service, with photos of the test's own and models that must not be asked."""

    store: Store
    missing: dict[int, NotFetched] = field(default_factory=dict)
    now: datetime = NOW
    sandbox: Sandbox = NO_SANDBOX

    def fetch_all(self, links: Sequence[PhotoLink]) -> list[Photo]:
        return [self.missing.get(link.position, link.url.encode()) for link in links]

    def verify(self, selfie: Photo, photos: Sequence[Photo], declared_gender: Gender | None) -> Verified:  # noqa: ARG002
        raise AssertionError("a face was compared")

    def deliver(self, after: float = 0, **message: Any) -> Handled:
        self.now += timedelta(seconds=after)
        service = Verification(
            requests=self.store.requests,
            dead_jobs=self.store.dead_jobs,
            shadows=self.store.shadows,
            fetcher=self,
            verify=self.verify,
            rules=DeliveryRules(blind_audit_share=1.0, audit_key=b"key"),
            worker="here:1",
            clock=lambda: self.now,
            sandbox=self.sandbox,
        )
        return service.handle(a_message(**{"manual": True, **message}), "verify")


@pytest.mark.parametrize("by", ["message", "column"])
def test_a_request_goes_to_people_and_no_model_is_asked(store: Store, by: str) -> None:
    if by == "column":
        in_sql(store, "INSERT INTO member (member_id, manual) VALUES ('m1', TRUE)")
    assert Scene(store).deliver(manual=by == "message") is Handled.STORED
    found = request(store)
    assert (found.status, found.reason, found.decided_by) == (Status.REVIEW, Reason.MANUAL, "machine")
    assert (found.similarity, found.same_person, found.model_version) == (None, None, None)
    assert (found.gender, found.gender_probability) == (Gender.UNKNOWN, None)
    digest = sha256(b"https://photos.example.com/m1/1.jpg").hexdigest()
    assert found.photos[0].sha256 == digest
    assert {(photo.outcome, photo.faces, photo.comparison, photo.box) for photo in found.findings} == {
        (Outcome.NOT_COMPARED, 0, None, None)
    }
    [row] = [row for row in table(store, "verification_photo") if row["position"] == 1]
    assert (row["phash"], row["quality"], row["verdict"]) == (None, {}, "not_verified")
    [case] = table(store, "review_case")
    assert (case["cause"], case["request_id"]) == ("manual", "r1")
    [event] = table(store, "event")
    assert (event["payload"]["data"]["status"], event["payload"]["data"]["reason"]) == ("review", None)
    assert not table(store, "shadow_verdict")
    assert not table(store, "photo_reuse")


def test_a_person_answers_decides_and_marks_the_photos(store: Store) -> None:
    Scene(store).deliver()
    claim, view = looked(store, at=1)
    assert (view.to_answer, view.evidence) == ((1, 2), None)
    store.reviews.answers.answer(claim, {1: SAME, 2: SAME}, later(2))
    assert store.reviews.decisions.decide(claim, APPROVE, later(3)).status is Status.APPROVED
    result = Results(store.database.engine.raw_connection).result("r1")
    assert result is not None
    assert (result.reason, result.verified_photos, result.similarity) == ("approved_by_person", (1, 2), None)


def test_broken_links_are_tried_as_ever_and_then_a_person_can_ask_for_another_photo(store: Store) -> None:
    scene = Scene(store, {0: GONE, 1: BUSY, 2: GONE})
    assert [scene.deliver(after) for after in (0, 1000, 1000, 1000)] == [
        *[Handled.POSTPONED] * 3,
        Handled.STORED,
    ]
    found = request(store)
    assert (found.reason, found.findings[0].fetch_problem) == (Reason.MANUAL, FetchProblem.GONE)
    claim, view = looked(store, at=4000)
    assert view.to_answer == ()
    with pytest.raises(NotPossible, match="could not be fetched: it cannot be approved"):
        store.reviews.decisions.decide(claim, APPROVE, later(4001))
    assert store.reviews.decisions.decide(claim, NEW_PHOTO, later(4002)).status is Status.RETRY_PHOTO


def test_where_there_is_no_photo_nobody_is_asked_to_look(store: Store) -> None:
    store = Store(store.database.engine, tombstone_key=b"key", review_reused_photos=True)
    left(store, "r0", member_id="other")  # with the same selfie, which is evidence and no reason
    left(store, "r1", 1, photo_urls=[])
    assert (request(store).status, request(store).reason) == (Status.RETRY_PHOTO, Reason.NO_PHOTOS)
    assert [reuse.of_member_id for reuse in request(store).reuses] == ["other"]
    assert [case["member_id"] for case in table(store, "review_case")] == ["other"]


def test_a_wish_of_the_app_while_the_machine_judges_drops_what_was_found(store: Store) -> None:
    attempt = begun(store)
    in_sql(store, "UPDATE member SET manual = TRUE")
    recorded = store.requests.finish(attempt, a_verdict(), later(1))
    assert isinstance(recorded, Verdict)
    found = request(store)
    assert (found.reason, found.similarity, found.machine_reason) == (Reason.MANUAL, None, Reason.MANUAL)
    assert [photo.sha256 for photo in found.photos] == [photo.sha256 for photo in PHOTOS]
    assert not any(photo.comparison or photo.gate or photo.faces for photo in found.findings)


# What the machine does beside


def test_it_is_no_try_and_the_same_file_of_another_member_is_evidence_and_no_reason(store: Store) -> None:
    left(store, "r0", member_id="other", selfie_url="https://photos.example.com/stolen.jpg")
    for number in range(9):
        left(store, f"t{number}", number + 1, photo_urls=[f"https://photos.example.com/{number}.jpg"])
    stolen = "https://photos.example.com/stolen.jpg"
    left(store, "r1", 20, photo_urls=[stolen, "https://photos.example.com/1.jpg"])
    found = request(store)
    assert (found.status, found.reason) == (Status.REVIEW, Reason.MANUAL)
    [reuse] = found.reuses
    assert (reuse.of_member_id, reuse.position, reuse.same_file) == ("other", 1, True)
    judged(store, "r2", at=30, status=Status.APPROVED, reason=Reason.SAME_PERSON)
    assert request(store, "r2").reason is Reason.SAME_PERSON  # and not too_many_tries


def test_a_later_approval_by_machine_does_not_end_the_case(store: Store) -> None:
    left(store)
    judged(store, "r2", at=5, status=Status.APPROVED, reason=Reason.SAME_PERSON)
    assert claimed(store, at=6).request_id == "r2"
    assert store.members.find("m1").status is Status.REVIEW  # type: ignore[union-attr]


# Requests that the worker makes by itself


def test_what_the_worker_asks_by_itself_is_asked_as_before(store: Store) -> None:
    left(store)
    in_sql(store, "UPDATE member SET pending = TRUE, selfie_url = 'https://photos.example.com/new.jpg'")
    [queued] = store.pending.enqueue("bulk", later(100)).jobs
    assert queued.job.manual
    [queued] = store.pending.enqueue_members(["m1"], "bulk", later(200)).jobs
    assert queued.job.manual
    [queued] = store.pending.enqueue_members(["m1"], "bulk", later(300), manual=False).jobs
    assert not queued.job.manual
    [queued] = store.pending.enqueue_members(["m1"], "bulk", later(400)).jobs
    assert not queued.job.manual


@pytest.mark.parametrize(("statement", "manual"), NEEDED.items())
def test_the_members_column_counts_when_a_request_runs(store: Store, statement: str, manual: bool) -> None:
    in_sql(store, "INSERT INTO member (member_id, selfie_url, manual) VALUES ('m1', 'https://h/s.jpg', TRUE)")
    in_sql(store, "INSERT INTO photo (member_id, position, url) VALUES ('m1', 1, 'https://h/1.jpg')")
    [queued] = store.pending.enqueue("bulk", later(100)).jobs
    in_sql(store, statement)
    attempt = store.requests.acquire(queued.job.request_id, "w", LEASE, MOST, later(101))
    assert isinstance(attempt, Attempt)
    assert attempt.manual is manual


def test_the_same_message_again_is_known_and_one_without_the_field_is_another(store: Store) -> None:
    left(store)
    assert not store.requests.accept(a_job(manual=True), "verify", later(1)).new
    with pytest.raises(Exception, match="other content"):
        store.requests.accept(a_job(), "verify", later(2))


# Without consent to verification


def withdrawn(store: Store, at: float, given: bool = False) -> None:
    store.consents.record("m1", Purpose.VERIFICATION, later(at), given=given)


def test_people_may_look_where_the_machine_may_not(store: Store) -> None:
    judged(store)
    claim = answered(store)
    withdrawn(store, 1)
    with pytest.raises(ConsentWithdrawn):
        store.requests.accept(a_job("r2", at=later(2)), "verify", later(2))
    with pytest.raises(CaseSuspended):
        store.reviews.decisions.decide(claim, REJECT, later(2))
    left(store, "r3", 3)
    claim, view = looked(store, at=4)
    assert (claim.request_id, view.to_answer) == ("r3", (1, 2))
    store.reviews.answers.answer(claim, {1: SAME, 2: SAME}, later(5))
    _, view = looked(store, at=6)
    assert view.evidence is not None
    assert view.evidence.earlier == ()  # nothing of what was compared before
    assert store.reviews.decisions.decide(claim, APPROVE, later(7)).status is Status.APPROVED
    store.reviews.decisions.reopen("m1", "lee", later(8))
    assert claimed(store, "lee", 9).request_id == "r3"


def test_a_withdrawal_ends_what_the_machine_would_judge_and_nothing_else(store: Store) -> None:
    begun(store, "r1", manual=True)
    withdrawn(store, 1)
    assert request(store).state is State.RUNNING
    assert store.requests.give_up("r1", "poison", "boom", later(200))
    store.requests.requeue("r1", later(201))
    attempt = store.requests.acquire("r1", "w", LEASE, MOST, later(202))
    assert isinstance(attempt, Attempt)
    assert store.requests.finish(attempt, leave_to_people(b"s", [b"1", b"2"]), later(203))
    assert claimed(store, at=204).request_id == "r1"


def test_the_column_opens_the_way_for_what_waits_and_for_what_the_sweep_finds(store: Store) -> None:
    left(store)
    withdrawn(store, 1)
    refused = store.pending.enqueue_members(["m1"], "bulk", later(2), manual=False).refused
    assert "withdrawn" in refused["m1"]
    in_sql(store, "UPDATE member SET manual = TRUE")
    [queued] = store.pending.enqueue_members(["m1"], "bulk", later(3), manual=False).jobs
    in_sql(store, "UPDATE member SET manual = FALSE")
    assert not isinstance(store.requests.acquire(queued.job.request_id, "w", LEASE, MOST, later(4)), Attempt)
    with pytest.raises(NotRequeueable, match="withdrawn"):
        store.requests.requeue(queued.job.request_id, later(5))


# Commands and accounts


def test_an_operator_sends_a_member_to_people(here: Cli, store: Store) -> None:
    judged(store, status=Status.APPROVED, reason=Reason.SAME_PERSON)
    assert here("enqueue", "m1", "--manual").exit_code == 0
    assert here("enqueue", "--pending", "--manual").exit_code == 2
    newest = max(table(store, "verification"), key=lambda row: row["requested_at"])
    assert newest["message"]["manual"] is True
    in_sql(store, "UPDATE member SET manual = TRUE")
    assert "people look in place of the machine" in here("show", "m1").stdout


def test_a_member_of_the_sandbox_goes_to_people_whatever_the_id_says(engine: sa.Engine) -> None:
    store = Store(engine, tombstone_key=b"key", sandbox_prefix="sandbox-")
    scene = Scene(store, sandbox=Sandbox("sandbox-"))
    assert scene.deliver(member_id="sandbox-approved") is Handled.STORED
    assert (request(store).status, request(store).reason) == (Status.REVIEW, Reason.MANUAL)
    assert store.reviews.queue.claim_next("kim", NOW, sandbox=True) is not None


def test_the_accounts_can_do_it(mariadb_url: str) -> None:
    with granted_database(mariadb_url) as granted:
        app, worker, operator = (
            build_engine(granted.url_of(f"verify_{who}")) for who in ("app", "worker", "operator")
        )
        with app.begin() as c:
            c.exec_driver_sql("INSERT INTO member (member_id, selfie_url) VALUES ('m1', 'https://h/s.jpg')")
            c.exec_driver_sql("INSERT INTO photo (member_id, position, url) VALUES ('m1', 1, 'https://h/1')")
            c.exec_driver_sql("UPDATE member SET manual = TRUE WHERE member_id = 'm1'")
        at_work, store = a_store(worker), a_store(operator)
        store.consents.record("m1", Purpose.VERIFICATION, NOW, given=False)
        [queued] = store.pending.enqueue_members(["m1"], "bulk", later(1), manual=True).jobs
        attempt = at_work.requests.acquire(queued.job.request_id, "w", LEASE, MOST, later(2))
        assert isinstance(attempt, Attempt)
        assert at_work.requests.finish(attempt, leave_to_people(b"s", [b"1"]), later(3))
        assert store.reviews.decisions.decide(answered(store, at=4), REJECT, later(5)).status == "rejected"
        for engine in (app, worker, operator):
            engine.dispose()
