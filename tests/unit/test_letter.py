"""The explanation in words: there is one for whatever was decided, and none tells what was suspected."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pipeline.verdict import Fault, FetchProblem, Outcome, PhotoFinding, Reason, Status
from support.jobs import NOW, later
from support.letters import forbidden_in, lines_of, text_of
from worker.jobs.verify_job import Why
from worker.results.explained import (
    AgreedTo,
    AskedForPerson,
    Calibrated,
    ComparedPhoto,
    ExplainedRequest,
    Explanation,
    Progress,
    Terms,
    step_of_person,
    step_of_program,
    used_photo,
)
from worker.results.letter import letter, moment
from worker.results.reviewer_reasons import ReviewReason
from worker.results.texts import Language, operator_text
from worker.settings import load_settings

KO, EN = Language.KO, Language.EN
HANGUL = re.compile(r"[가-힣]")
REVIEWED = step_of_program(Status.REVIEW, Reason.PRIMARY_UNSURE, None, NOW)


def a_request(**changes: Any) -> ExplainedRequest:
    its = {"request_id": "4711", "requested_at": NOW, "why": Why.SIGNUP, "progress": Progress.ENDED}
    return ExplainedRequest(**{**its, "steps": (REVIEWED,), **changes})


def facts(*requests: ExplainedRequest, **changes: Any) -> Explanation:
    its = {
        "member_id": "17",
        "sandbox": False,
        "written_at": later(3600),
        "gender_declared": True,
        "requests": requests,
        "consents": (),
        "objections": (),
        "agrees": {"verification": True, "training": False},
        "calibrated": None,
        "terms": Terms.of(load_settings()),
    }
    return Explanation(**{**its, **changes})


def every_request() -> list[ExplainedRequest]:
    """Each reason, each reason of a person's, each way that a request can go, each finding in a photo."""
    findings = [PhotoFinding(1, outcome) for outcome in Outcome]
    findings += [
        PhotoFinding(0, Outcome.NOT_FETCHED, fault, fetch_problem=problem)
        for fault in Fault
        for problem in FetchProblem
    ]
    steps = [
        step_of_program(status, reason, finding, NOW)
        for status in Status
        for reason in (None, *Reason)
        for finding in (None, findings[0])
    ]
    decided = (Status.APPROVED, Status.REJECTED, Status.RETRY_PHOTO)
    steps += [
        step_of_person(status, code, photo, NOW)
        for status in decided
        for code in (None, *ReviewReason)
        for photo in (None, 0, 2)
    ]
    return [
        *(a_request(steps=(step,)) for step in steps),
        *(a_request(steps=(REVIEWED, step), standing=True, waits=True) for step in steps),
        *(a_request(progress=progress, steps=(), why=why) for progress in Progress for why in (None, *Why)),
        a_request(
            photos=tuple(map(used_photo, findings)),
            looked_at=NOW,
            model_version="7",
            compared=ComparedPhoto(2, 0.8),
        ),
    ]


def every_letter(language: Language) -> list[str]:
    terms = Terms.of(load_settings())
    full = facts(
        *every_request(),
        a_request(manual=True),
        sandbox=True,
        suspended=True,
        calibrated=Calibrated(412, 0.001),
        agrees={"verification": False, "training": True},
        objections=(AskedForPerson(NOW, later(9)), AskedForPerson(NOW, later(9), NOW)),
        consents=tuple(
            AgreedTo(purpose, version, given, withdrawn)
            for purpose in ("verification", "training")
            for version in ("", "7")
            for given in (None, NOW)
            for withdrawn in (None, NOW)
        ),
    )
    open_one = AskedForPerson(NOW, later(86_400))
    others = [facts(objections=(open_one, replace(open_one, due_at=NOW)))]
    others += [
        facts(terms=replace(terms, rejects_by_program=yes), gender_declared=yes) for yes in (True, False)
    ]
    return [line for one in (full, *others) for line in lines_of(letter(one, language))]


@pytest.mark.parametrize("language", Language)
def test_nothing_that_was_suspected_guessed_or_noted_is_in_any_letter(language: Language) -> None:
    assert forbidden_in("\n".join(every_letter(language))) == set()
    assert forbidden_in("\n".join(map(operator_text, Reason))) >= {"another member", "audit", "stolen"}


def test_each_language_stays_in_its_language_and_nothing_is_left_to_fill_in() -> None:
    korean, english = every_letter(KO), every_letter(EN)
    assert all(HANGUL.search(line) for line in korean)
    assert not any(HANGUL.search(line) for line in english)
    assert not [line for line in (*korean, *english) if "{" in line or "None" in line]


def test_korean_sentences_are_polite_to_their_end() -> None:
    for line in every_letter(KO):
        for sentence in re.findall(r"[^.]*[^.\d]\.(?!\d)", line.replace("”", "")):
            assert sentence.endswith(("니다.", "세요.", ").")), sentence


def test_reviews_read_the_same_whatever_opened_them() -> None:
    letters = {
        text_of(letter(facts(a_request(steps=(step_of_program(Status.REVIEW, reason, about, NOW),))), EN))
        for reason in Reason
        for about in (None, PhotoFinding(1, Outcome.DIFFERENT), PhotoFinding(2, Outcome.SAME, replay=True))
    }
    assert len(letters) == 1


def test_all_photos_that_speak_of_a_person_read_the_same() -> None:
    found = {outcome: used_photo(PhotoFinding(1, outcome)).text for outcome in Outcome}
    compared = (Outcome.SAME, Outcome.DIFFERENT, Outcome.UNSURE, Outcome.NOT_COMPARED)
    assert len({tuple(found[outcome].items()) for outcome in compared}) == 1
    assert found[Outcome.MEMBER_NOT_SEEN] == found[Outcome.GROUP_SAME]


def test_nothing_is_promised_of_a_photo_that_is_long_past() -> None:
    photo = PhotoFinding(3, Outcome.NOT_FETCHED, Fault.HOST, fetch_problem=FetchProblem.TIMEOUT)
    assert used_photo(photo).text[EN] == "Photo 3 could not be loaded."


def test_it_says_who_decided_in_their_order() -> None:
    overruled = a_request(
        steps=(
            step_of_program(Status.APPROVED, Reason.SAME_PERSON, None, NOW),
            step_of_person(Status.REJECTED, ReviewReason.OTHER_PERSON, None, later(86_400)),
        )
    )
    [section, *_] = letter(facts(overruled), EN).sections
    first, second = section.paragraphs[1].points
    assert first.startswith("24 November 2026, 16:00: The program compared the photos and completed the")
    assert first.endswith("No person took part.")
    assert second == "25 November 2026, 16:00: A person decided not to complete the verification."


def test_only_a_review_that_is_open_is_said_to_wait_for_a_person() -> None:
    for waits, suspended, last in (
        (True, False, "The person has not decided yet."),
        (True, True, "Nobody looks before you agree"),
        (False, False, "Nothing more was decided"),
    ):
        [section, *_] = letter(facts(a_request(waits=waits), suspended=suspended), EN).sections
        assert section.paragraphs[1].points[1].startswith(last)


def test_who_is_asked_for_a_photo_is_told_which_and_why() -> None:
    dark = PhotoFinding(0, Outcome.TOO_DARK)
    asked = step_of_program(Status.RETRY_PHOTO, Reason.SELFIE_TOO_DARK, dark, NOW)
    told = text_of(letter(facts(a_request(steps=(asked,))), KO))
    assert "프로그램이 다른 사진을 요청했습니다. 사람은 관여하지 않았습니다." in told
    assert "“인증 사진이 너무 어둡게 나왔습니다. 밝은 곳에서 다시 찍어 주세요." in told


def test_a_program_that_has_rejected_is_not_said_to_reject_nobody() -> None:
    rejected = a_request(steps=(step_of_program(Status.REJECTED, Reason.DIFFERENT_PERSON, None, NOW),))
    assert "turns nobody down" in text_of(letter(facts(), EN))
    assert "turns nobody down" not in text_of(letter(facts(rejected), EN))


def test_figures_are_those_on_record_or_none() -> None:
    assert "about one in 2,000 passes it" in text_of(letter(facts(calibrated=Calibrated(412, 0.0005)), EN))
    assert "one in" not in text_of(letter(facts(), EN))


def test_how_long_things_are_kept_is_what_the_settings_say() -> None:
    days = {
        "retention_days": 91,
        "link_days": 12,
        "event_days": 13,
        "dead_job_days": 14,
        "access_log_days": 999,
        "objection_days": 20,
    }
    told = text_of(letter(facts(terms=Terms.of(load_settings(days))), KO))
    assert {f"{number}일" for number in days.values()} <= set(re.findall(r"\d+일", told))
    assert "요청을 받은 날부터 20일 안에" in told


def test_a_member_without_requests_gets_one_too() -> None:
    told = letter(facts(), KO)
    assert told.sections[0].paragraphs[0].text.startswith("사진 인증을 요청하신 기록이 없습니다.")
    assert len(told.sections) == 5


def test_who_has_objected_is_told_by_when_the_answer_comes_or_that_it_is_late() -> None:
    received = NOW - timedelta(days=40)
    open_one, answered = AskedForPerson(received, later(9999)), AskedForPerson(received, NOW, later(-60))
    said = [
        (open_one, "You will have an answer by 24 November 2026, 18:46."),
        (AskedForPerson(received, NOW), "The answer was due on 24 November 2026, 16:00."),
        (answered, "A person decided on 24 November 2026, 15:59."),
    ]
    section = letter(facts(objections=tuple(one for one, _ in said)), EN).sections[-1]
    for paragraph, (_, follows) in zip(section.paragraphs, said, strict=False):
        assert paragraph.text.startswith("You asked for a person on 15 October 2026, 16:00. " + follows)
    suspended = facts(objections=(open_one,), suspended=True)
    assert "before you agree" in letter(suspended, EN).sections[-1].paragraphs[0].text


def test_times_are_those_of_korea() -> None:
    assert moment(NOW, KO) == "2026년 11월 24일 16:00"
    assert moment(NOW + timedelta(hours=9), EN) == "25 November 2026, 01:00"
