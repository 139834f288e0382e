"""What a verdict outlives, which request it is from, and what is noticed when photos are fetched again."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result

from pipeline.verdict import Fault, FetchProblem, Outcome, PhotoFinding, Reason, Status
from support import reviews
from support.broker import Lists
from support.jobs import KIM, LEASE, MOST, NOW, PHOTOS, SELFIE, a_job, a_verdict, later
from support.training import TrainingScene, judged_member, labelled_member
from worker.errors import NotPossible
from worker.store import Attempt, MappedMember, Store
from worker.store.tables.states import PairLabel, State
from worker.verification.maintenance import sweep

Cli = Callable[..., Result]

SEEN = PHOTOS[:2]
AWAY = replace(PHOTOS[2], position=2)
"""A photo whose host took too long."""
ONLY_AWAY = (replace(PHOTOS[2], position=1),)
HOUR = 3600.0


def judged(store: Store, request_id: str = "r1", seconds: float = 0, **verdict: Any) -> None:
    """A request of m1's ends with this verdict; `urls`: its gallery."""
    at, urls = later(seconds), verdict.pop("urls", None)
    job = a_job(request_id, at=at, **({"photo_urls": urls} if urls else {}))
    store.requests.accept(job, "verify", at)
    again(store, request_id, seconds, **verdict)


def again(store: Store, request_id: str, seconds: float, **verdict: Any) -> None:
    at = later(seconds)
    attempt = store.requests.acquire(request_id, "w", LEASE, MOST, at)
    assert isinstance(attempt, Attempt)
    assert store.requests.finish(attempt, a_verdict(**{"photos": SEEN, **verdict}), at)


def failed(store: Store, request_id: str, seconds: float) -> None:
    judged(
        store, request_id, seconds, status=Status.ERROR, reason=Reason.PHOTOS_NOT_FETCHED, photos=ONLY_AWAY
    )


def standing(store: Store) -> tuple[Status | None, Reason | None, str | None, str | None]:
    member = store.members.find("m1")
    assert member is not None
    return member.status, member.reason, member.verified_request_id, member.request_id


def sent(store: Store, seconds: float) -> list[str]:
    """The requests that a sweep at that time sends."""
    broker = Lists()
    sweep(store.requests, store.pending, broker, later(seconds))
    return [job.request_id for job, _ in broker.sent]


# What people wrote


def test_labels_and_the_files_that_they_are_about_outlive_another_judgement(store: Store) -> None:
    judged(store, "r0", -9, status=Status.REVIEW, reason=Reason.DIFFERENT_PERSON)
    judged(store, status=Status.ERROR, reason=Reason.PHOTOS_NOT_FETCHED)
    reviews.label(store, "m1", 1, PairLabel.GENUINE, "kim", NOW)
    store.requests.requeue("r1", later(1))
    assert (standing(store)[0], store.requests.find("r1").status) == (Status.REVIEW, None)  # type: ignore[union-attr]
    again(store, "r1", 2, photos=(replace(SEEN[0], sha256="f" * 64), SEEN[1]))
    with store.database.engine.connect() as c:
        row, _ = c.execute(sa.select(store.database.t.label)).mappings().all()
    assert (row["label"], row["sha256"], row["selfie_sha256"]) == ("genuine", SEEN[0].sha256, SELFIE.sha256)
    request = store.requests.find("r1")
    assert request is not None
    assert (request.status, request.photos[0].sha256) == (Status.APPROVED, "f" * 64)


@pytest.mark.parametrize("table", ["member", "verification"])
def test_no_row_goes_while_people_have_written_about_it(store: Store, table: str) -> None:
    judged(store)
    reviews.label(store, "m1", 1, PairLabel.GENUINE, "kim", NOW)
    reviews.decide(store, "m1", Status.REJECTED, "kim", NOW)
    store.accesses.note(["m1"], KIM, NOW)
    with pytest.raises(sa.exc.IntegrityError), store.database.engine.begin() as c:
        c.execute(sa.text(f"DELETE FROM {table}"))
    forgotten = store.members.forget("m1", NOW)
    gone = ("label", "decision", "review_vote", "review_case", "verification", "member")
    assert [*(forgotten.removed[name] for name in gone), forgotten.records] == [2, 1, 1, 1, 1, 1, 3]
    with store.database.engine.connect() as c:
        assert c.scalars(sa.select(store.database.t.tombstone.c.erases)).all() == [None]


def test_a_put_back_member_whom_somebody_has_analysed_is_emptied_and_the_look_stays(store: Store) -> None:
    store.members.forget("m1", NOW)
    with store.database.engine.begin() as c:
        c.execute(sa.insert(store.database.t.member).values(member_id="m1", selfie_url="https://h/s.jpg"))
    store.accesses.note(["m1"], KIM, NOW)
    assert sent(store, 400) == []
    member = store.members.find("m1")
    assert member is not None
    assert member.selfie_url is None
    assert (sent(store, 800), len(store.accesses.of_member("m1"))) == ([], 1)
    assert store.members.forget("m1", later(900)).records == 1


def test_decisions_say_what_stood_before_and_leave_what_the_machine_said(store: Store) -> None:
    judged(store, status=Status.REVIEW, reason=Reason.DIFFERENT_PERSON)
    reviews.decide(store, "m1", Status.APPROVED, "kim", NOW)
    with store.database.engine.connect() as c:
        row = c.execute(sa.select(store.database.t.verification)).one()
    assert (row.status, row.reason, row.decided_by) == ("review", "different_person", "machine")
    assert standing(store) == (Status.APPROVED, Reason.APPROVED_BY_PERSON, "r1", "r1")


# Open reviews

SUSPICION = (
    *(Reason.DIFFERENT_PERSON, Reason.SAME_PICTURE, Reason.SELFIE_CHANGED, Reason.GENDER_CONFLICT),
    Reason.BLIND_AUDIT,
)
LATER = (
    (Status.APPROVED, Reason.SAME_PERSON),
    (Status.RETRY_PHOTO, Reason.NO_USABLE_PHOTO),
    (Status.ERROR, Reason.PHOTOS_NOT_FETCHED),
    (Status.REVIEW, Reason.PRIMARY_UNSURE),
)


@pytest.mark.parametrize("reason", SUSPICION)
@pytest.mark.parametrize(("status", "said"), LATER)
def test_an_open_review_outlives_every_later_verdict_of_the_machine(
    store: Store, reason: Reason, status: Status, said: Reason
) -> None:
    judged(store, status=Status.REVIEW, reason=reason)
    judged(store, "r2", 9, status=status, reason=said, urls=["https://photos.example.com/m1/own.jpg"])
    assert standing(store) == (Status.REVIEW, reason, "r1", "r2")
    [one] = store.reviews.queue.page(NOW).cases
    assert (one.member_id, one.opened_at) == ("m1", NOW)
    claim = reviews.answered(store, "m1")
    seen = store.reviews.queue.look(claim, KIM, NOW).evidence
    assert seen is not None
    assert (seen.reason, seen.opened_by, seen.request.request_id) == (reason, "r1", "r2")
    assert (seen.request.status, seen.request.reason) == (status, said)


@pytest.mark.parametrize("reason", [Reason.PRIMARY_UNSURE, Reason.NO_SOLO_PHOTO])
def test_doubt_ends_with_better_photos(store: Store, reason: Reason) -> None:
    judged(store, status=Status.REVIEW, reason=reason)
    judged(store, "r2", 9)
    assert standing(store) == (Status.APPROVED, Reason.SAME_PERSON, "r2", "r2")


def test_after_a_decision_a_new_request_is_judged_anew(store: Store) -> None:
    judged(store, status=Status.REVIEW, reason=Reason.DIFFERENT_PERSON)
    judged(store, "r2", 9)
    done = reviews.decide(store, "m1", Status.REJECTED, "kim", later(10))
    assert (done.previous_status, done.previous_reason) == (Status.REVIEW, Reason.DIFFERENT_PERSON)
    assert standing(store) == (Status.REJECTED, Reason.REJECTED_BY_PERSON, "r2", "r2")
    assert store.reviews.queue.page(NOW).open == 0
    judged(store, "r3", 20)
    assert standing(store)[0] is Status.APPROVED


def test_links_that_fail_are_no_way_out_of_a_review(store: Store) -> None:
    judged(store, status=Status.REVIEW, reason=Reason.SAME_PICTURE)
    failed(store, "r2", 9)
    with pytest.raises(NotPossible):
        reviews.decide(store, "m1", Status.APPROVED, "kim", later(10))
    reviews.decide(store, "m1", Status.REJECTED, "kim", later(10))
    assert standing(store) == (Status.REJECTED, Reason.REJECTED_BY_PERSON, "r2", "r2")


def test_the_member_reads_the_neutral_sentence_while_a_review_is_open(here: Cli, store: Store) -> None:
    judged(store, status=Status.REVIEW, reason=Reason.DIFFERENT_PERSON)
    judged(store, "r2", 9)
    assert here("show", "m1", "--ko").stdout.startswith("담당자가 사진을 직접 확인하고 있습니다.")


# Which request


def test_show_names_the_request_of_the_verdict_apart_from_the_newest(here: Cli, store: Store) -> None:
    judged(store)
    failed(store, "r2", 9)
    member = json.loads(here("show", "m1", "--json").stdout)["member"]
    assert (member["verified_request_id"], member["request_id"]) == ("r1", "r2")
    shown = here("show", "m1").stdout
    assert "r2: done, error, photos_not_fetched" in shown
    assert "approved" in shown


def test_the_verdicts_request_is_shown_however_many_have_come_since(here: Cli, store: Store) -> None:
    judged(store, status=Status.RETRY_PHOTO, reason=Reason.NO_USABLE_PHOTO, photos=SEEN, photo=2)
    text = here("show", "m1", "--en").stdout
    for number in range(2, 14):
        store.requests.accept(a_job(f"r{number}", at=later(number)), "verify", later(number))
    assert here("show", "m1", "--en").stdout == text


def test_requests_that_failed_since_the_verdict_are_counted_until_one_is_judged(
    here: Cli, store: Store
) -> None:
    judged(store)
    assert store.reports.status(NOW).failed_since_verdict == 0
    failed(store, "r2", 9)
    told = json.loads(here("status", "--json").stdout)
    assert (told["failed_since_verdict"], told["failed_requests"]) == (1, ["r2"])
    assert told["verdicts"]["error"] == 0
    store.requests.accept(a_job("r3", at=later(20)), "verify", later(20))
    store.requests.give_up("r3", "poison", "boom", later(20))
    assert store.reports.status(NOW).failed_requests == ("r3",)
    store.requests.requeue("r3", later(21))
    assert store.reports.status(NOW).failed_since_verdict == 0
    again(store, "r3", 22)
    assert (store.reports.status(NOW).failed_since_verdict, standing(store)[2]) == (0, "r3")


def test_the_app_may_have_the_verdicts_request_in_a_column_of_its_own(store: Store) -> None:
    users = sa.table("users", sa.column("id"), sa.column("verified_request_id"))
    columns = "verification_status VARCHAR(20), verified_request_id VARCHAR(64)"
    with store.database.engine.begin() as c:
        c.execute(sa.text(f"CREATE TABLE users (id VARCHAR(64) PRIMARY KEY, {columns})"))
        c.execute(sa.text("INSERT INTO users (id) VALUES ('m1')"))
    try:
        mapped = Store(
            store.database.engine,
            mapped=MappedMember(store.database.engine, "users", "id"),
            tombstone_key=b"k",
        )
        judged(mapped)
        failed(mapped, "r2", 9)
        with store.database.engine.connect() as c:
            assert c.scalar(sa.select(users.c.verified_request_id)) == "r1"
        mapped.members.forget("m1", NOW)
        with store.database.engine.connect() as c:
            assert c.scalar(sa.select(users.c.verified_request_id)) is None
    finally:
        with store.database.engine.begin() as c:
            c.execute(sa.text("DROP TABLE users"))


# Photos that could not be had


def test_a_photo_that_could_not_be_had_is_asked_for_again_a_few_times_and_then_no_more(store: Store) -> None:
    missing = (SEEN[0], AWAY)
    judged(store, photos=missing)
    assert standing(store)[0] is Status.APPROVED
    asked: dict[str, float] = {}
    for minutes in range(0, 48 * 60, 20):
        for request_id in sent(store, minutes * 60):
            asked[request_id] = minutes / 60
            again(store, request_id, minutes * 60, photos=missing)
    assert [round(hours) for hours in asked.values()] == [1, 5, 17]


def test_once_it_is_there_nothing_is_asked_for_any_more(store: Store) -> None:
    judged(store, photos=(SEEN[0], AWAY))
    [second] = sent(store, HOUR + 1)
    again(store, second, HOUR + 2)
    assert sent(store, 60 * HOUR) == []
    assert standing(store)[2:] == (second, second)


def test_what_a_person_has_decided_about_is_not_asked_for_again(store: Store) -> None:
    judged(store, photos=(SEEN[0], AWAY))
    reviews.decide(store, "m1", Status.REJECTED, "kim", NOW)
    assert sent(store, 60 * HOUR) == []


@pytest.mark.parametrize("problem", [p for p in FetchProblem if not p.passing])
def test_what_will_not_pass_is_not_asked_for_again(store: Store, problem: FetchProblem) -> None:
    gone = PhotoFinding(2, Outcome.NOT_FETCHED, Fault.MEMBER, fetch_problem=problem)
    judged(store, photos=(SEEN[0], gone))
    assert sent(store, 60 * HOUR) == []


def test_the_apps_own_new_photos_are_asked_for_in_place_of_the_missing_ones(store: Store) -> None:
    judged(store, photos=(SEEN[0], AWAY))
    judged(store, "r2", 60, urls=["https://photos.example.com/m1/new.jpg"], photos=SEEN[:1])
    assert sent(store, 60 * HOUR) == []


# Another picture behind the link

OTHER = (replace(SEEN[0], sha256="e" * 64), SEEN[1])


def test_a_picture_that_was_swapped_behind_its_link_is_noticed(
    here: Cli, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    judged(store)
    with caplog.at_level(logging.WARNING):
        judged(store, "r2", 9, photos=OTHER)
    assert "m1: at the links of 1 photos lie others" in caplog.text
    assert "example.com" not in caplog.text
    request = store.requests.find("r2")
    assert request is not None
    assert request.swapped == (1,)
    assert "another picture" in " ".join(here("show", "m1").stdout.split())
    judged(store, "r3", 20, photos=OTHER)
    assert store.requests.find("r3").swapped == ()  # type: ignore[union-attr]


def test_another_link_may_lead_to_another_picture(store: Store) -> None:
    judged(store)
    judged(store, "r2", 9, photos=OTHER, urls=["https://photos.example.com/m1/7.jpg"])
    assert store.requests.find("r2").swapped == ()  # type: ignore[union-attr]


def test_a_retraining_that_meets_another_picture_has_the_member_verified_once(store: Store) -> None:
    labelled_member(store, "m1")
    judged_member(store, "m2")
    training = TrainingScene(store)
    with store.database.engine.begin() as c:
        vp, label = store.database.t.verification_photo, store.database.t.label
        first = sa.and_(vp.c.request_id == "r-m1", vp.c.position == 1)
        c.execute(sa.update(vp).where(first).values(sha256="e" * 64))  # what the verdict saw, once
        c.execute(sa.update(label).where(label.c.position == 1).values(sha256="e" * 64))
    training.collect()
    assert store.training_members.kept_out(store.training_runs.latest()[0].run_id) == {"changed": 1}
    assert [one.member_id for one in store.pending.members()] == ["m1"]


def test_what_the_newest_request_saw_is_not_verified_again(store: Store) -> None:
    judged(store)
    first = "https://photos.example.com/m1/1.jpg"
    assert not store.requests.note_contents("m1", {first: SEEN[0].sha256 or ""})
    assert not store.requests.note_contents("m1", {"https://photos.example.com/elsewhere.jpg": "e" * 64})
    assert not store.requests.note_contents("nobody", {first: "e" * 64})
    assert store.requests.note_contents("m1", {first: "e" * 64})
    [request_id] = sent(store, timedelta(minutes=1).total_seconds())
    again(store, request_id, 61, photos=OTHER)
    assert not store.requests.note_contents("m1", {first: "e" * 64})
    assert store.requests.find(request_id).state is State.DONE  # type: ignore[union-attr]
