"""What comes of a member of the sandbox, by the ID's name."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline.verdict import Outcome, PhotoVerdict, Reason, Status, Verdict
from support.jobs import NOW, a_job
from worker.results.texts import Language, member_text
from worker.store import Attempt
from worker.verification.sandbox import (
    BAD_SANDBOX_ID,
    NOT_SANDBOX,
    SANDBOX_ONLY,
    WAIT,
    Answer,
    NoVerdict,
    Sandbox,
    names,
)
from worker.verification.scenarios import SCENARIOS

SANDBOX = Sandbox("sandbox-")
URLS = ["https://photos.example.com/1.jpg", "https://photos.example.com/2.jpg"]
OF_PEOPLE = {Reason.APPROVED_BY_PERSON, Reason.REJECTED_BY_PERSON, Reason.RETRY_PHOTO_BY_PERSON}
WITH_A_DEAD_JOB = {Reason.INTERNAL_ERROR}


def answer(
    name: str,
    photos: int = 2,
    gender: str | None = "female",
    *,
    postponed: int = 0,
    member: str = "",
    sandbox: bool = True,
    of: Sandbox = SANDBOX,
) -> Answer | None:
    """For the member of this name, with so many gallery photos."""
    member_id = member or f"sandbox-{name}"
    job = a_job("r1", member_id, photo_urls=URLS[:photos], declared_gender=gender)
    return of.answer(job, Attempt("r1", member_id, 1, postponed, "w", NOW, (), sandbox))


def photos_for(reason: Reason) -> int:
    return 0 if reason is Reason.NO_PHOTOS else 2


@pytest.mark.parametrize(
    ("status", "reason"), [(status, reason) for status, reasons in SCENARIOS.items() for reason in reasons]
)
def test_every_verdict_of_the_machine_is_had_by_its_name(status: Status, reason: Reason) -> None:
    verdict = answer(f"{status}-{reason}.42", photos_for(reason))
    assert isinstance(verdict, Verdict)
    assert (verdict.status, verdict.reason, verdict.model_version) == (status, reason, "sandbox")
    assert [photo.position for photo in verdict.photos] == [*range(1, photos_for(reason) + 1)]
    deciding = next((p for p in (verdict.selfie, *verdict.photos) if p.position == verdict.photo), None)
    assert member_text(status, reason, Language.EN, deciding)
    verified = [photo.position for photo in verdict.photos if photo.verdict is PhotoVerdict.VERIFIED]
    assert status is not Status.APPROVED or verified == [1, 2]
    assert not any(photo.sha256 for photo in (verdict.selfie, *verdict.photos))
    assert not any(photo.fetch_problem and photo.fetch_problem.passing for photo in verdict.photos)


def test_there_is_a_name_for_each_reason_but_those_of_people() -> None:
    named = {reason for reasons in SCENARIOS.values() for reason in reasons}
    assert named == {*Reason} - OF_PEOPLE - WITH_A_DEAD_JOB
    longest = max(names(), key=len)
    assert len("x" * 16 + longest + ".0001") <= 64
    assert set(names()) > {"approved-same_person", "waiting", "dead-poison", "dead-not_stored"}


@pytest.mark.parametrize(("name", "reason"), [("approved", "same_person"), ("review.7", "different_person")])
def test_a_status_alone_has_its_usual_reason(name: str, reason: str) -> None:
    verdict = answer(name)
    assert isinstance(verdict, Verdict)
    assert verdict.reason == reason


def test_waiting_waits_once_and_is_approved() -> None:
    assert answer("waiting.1") == WAIT == timedelta(seconds=2)
    verdict = answer("waiting.1", postponed=1)
    assert isinstance(verdict, Verdict)
    assert verdict.status is Status.APPROVED


def test_a_photo_of_the_verdict_speaks_of_what_the_member_is_told() -> None:
    verdict = answer("retry_photo-primary_not_judged")
    assert isinstance(verdict, Verdict)
    assert [photo.outcome for photo in verdict.photos] == [Outcome.OCCLUDED, Outcome.SAME]
    assert (verdict.photo, verdict.selfie.outcome) == (1, Outcome.USABLE)


@pytest.mark.parametrize(
    ("name", "more", "reason", "text"),
    [
        ("dead.3", {}, "poison", "begun"),
        ("dead-not_stored", {}, "not_stored", "stored"),
        ("dead-old_age", {}, BAD_SANDBOX_ID, "poison, not_stored"),
        ("aproved", {}, BAD_SANDBOX_ID, "approved, review, retry_photo, rejected, error, waiting, dead"),
        ("", {}, BAD_SANDBOX_ID, "approved, review"),
        ("review-no_face", {}, BAD_SANDBOX_ID, "review has no such reason; there is different_person, "),
        ("approved-approved_by_person", {}, BAD_SANDBOX_ID, "there is same_person"),
        ("error-internal_error", {}, BAD_SANDBOX_ID, "photos_not_fetched"),
        ("approved", {"photos": 0}, BAD_SANDBOX_ID, "approved for same_person needs at least one gallery"),
        ("retry_photo-no_photos", {"photos": 1}, BAD_SANDBOX_ID, "no gallery photo"),
        ("review-primary_not_member", {"photos": 1}, BAD_SANDBOX_ID, "at least two gallery photos"),
        ("review-gender_conflict", {"gender": None}, BAD_SANDBOX_ID, "a declared gender"),
        ("approved", {"sandbox": False}, NOT_SANDBOX, "nobody real"),
        ("approved", {"of": Sandbox("other-")}, BAD_SANDBOX_ID, "VERIFY_SANDBOX_PREFIX"),
        ("approved", {"of": Sandbox()}, BAD_SANDBOX_ID, "VERIFY_SANDBOX_PREFIX"),
        (
            "",
            {"member": "m1", "sandbox": False, "of": Sandbox("sandbox-", alone=True)},
            SANDBOX_ONLY,
            "alone",
        ),
    ],
)
def test_what_gets_no_verdict_is_told_why(name: str, more: dict[str, object], reason: str, text: str) -> None:
    given = answer(name, **more)  # type: ignore[arg-type]
    assert isinstance(given, NoVerdict)
    assert given.reason == reason
    assert text in given.text
    assert len(given.text) <= 1000
    assert len(reason) <= 32


def test_a_real_member_is_verified_whatever_the_prefix() -> None:
    assert answer("", member="m-sandbox-approved", sandbox=False) is None
    assert answer("approved", sandbox=False, of=Sandbox()) is None
