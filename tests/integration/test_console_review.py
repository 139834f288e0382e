"""A reviewer at the console: the queue, a case in two steps, decisions, and what may go wrong on the way."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any, Final

import pytest

from pipeline.verdict import Gender, Outcome, Reason, Status
from support.cases import a_store, events, judged, rows, standing
from support.console_client import Desk, Office, case_in
from support.jobs import PHOTOS, a_job, later
from worker.store import NewObjection, build_engine
from worker.store.tables.states import PairLabel, Phase, Purpose, Role

ANSWERS: Final = {"answer-1": "genuine", "answer-2": "genuine"}
APPROVE: Final = {"choice": "approve", "code-approve": "same_person"}
REJECT: Final = {"choice": "reject", "code-reject": "copied_photo"}
SCRIPT: Final = "<script>alert(1)</script>"


@pytest.fixture
def office(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Office]:
    yield from _office(migrated_sqlite, tmp_path)


def _office(template: Path, folder: Path, **rules: Any) -> Iterator[Office]:
    path = folder / "console.db"
    shutil.copy(template, path)
    engine = build_engine(f"sqlite:///{path}")
    yield Office(a_store(engine, **rules))
    engine.dispose()


@pytest.fixture
def kim(office: Office) -> Desk:
    return office.person("kim")


def evidence_of(desk: Desk) -> str:
    """Take the next case and answer; by which the page names the claim."""
    case = desk.take()
    page = desk.post("/review/answers", {"case": case, **ANSWERS})
    assert page.status_code == 200
    return case_in(page)


# The two steps


def test_first_come_the_photos_alone_and_after_the_answers_what_the_machine_found(
    office: Office, kim: Desk
) -> None:
    judged(office.store)
    blind = kim.post("/review/next")
    assert "/case/photo/1/face?case=1" in blind.text
    for word in ("유사도", "다른 사람으로 보입니다", "0.83", "승인 확정", "여성", "female"):
        assert word not in blind.text
    case = case_in(blind)
    after = kim.post("/review/answers", {"case": case, "answer-1": "genuine", "answer-2": "cannot_tell"})
    for word in (
        "유사도",
        "0.83",
        "한 사람만 나온 사진이 셀카와 확실히 다른 사람으로 보입니다.",
        "승인 확정",
    ):
        assert word in after.text
    assert [
        (row["position"], row["label"], row["phase"])
        for row in rows(office.store, office.store.database.t.label)
    ] == [
        (1, PairLabel.GENUINE, Phase.BLIND),
        (2, PairLabel.CANNOT_TELL, Phase.BLIND),
    ]


def test_a_decision_is_written_down_and_the_next_case_comes_with_it(office: Office, kim: Desk) -> None:
    judged(office.store)
    judged(office.store, "r2", "m2", at=1)
    page = kim.post("/review/decide", {"case": evidence_of(kim), **APPROVE})
    assert standing(office.store) == (Status.APPROVED, Reason.APPROVED_BY_PERSON)
    assert events(office.store)[-1] == ("decided", "approved")
    assert "m1: 승인했습니다." in page.text
    assert 'data-left="60"' in page.text
    assert 'data-step="blind"' in page.text
    assert "m2" in page.text


def test_the_guess_at_the_gender_comes_after_the_decision_alone(office: Office, kim: Desk) -> None:
    judged(office.store, gender=Gender.MALE, gender_probability=0.97)
    case = kim.take()
    pages = [kim.get("/review").text, kim.post("/review/answers", {"case": case, **ANSWERS}).text]
    assert all("성별 추정" not in page and "남성" not in page for page in pages)
    after = kim.post("/review/decide", {"case": case, **APPROVE})
    assert "프로그램의 성별 추정: 남성 (97%)" in after.text


def test_an_answer_can_be_corrected_after_the_evidence(office: Office, kim: Desk) -> None:
    judged(office.store)
    case = evidence_of(kim)
    kim.post("/review/answers", {"case": case, "answer-1": "impostor"})
    last = rows(office.store, office.store.database.t.label)[-1]
    assert (last["position"], last["label"], last["phase"]) == (1, PairLabel.IMPOSTOR, Phase.EVIDENCE)


def test_nothing_is_decided_before_every_photo_is_answered(office: Office, kim: Desk) -> None:
    judged(office.store)
    case = kim.take()
    for refused in (
        kim.post("/review/decide", {"case": case, **APPROVE}),
        kim.post("/review/answers", {"case": case, "answer-1": "genuine"}),
        kim.post("/review/answers", {"case": case, "answer-1": "genuine", "answer-2": SCRIPT}),
    ):
        assert refused.status_code == 409
        assert 'data-step="blind"' in refused.text
    assert standing(office.store) == (Status.REVIEW, Reason.DIFFERENT_PERSON)
    assert rows(office.store, office.store.database.t.label) == []


def test_every_look_and_every_step_is_on_record(office: Office, kim: Desk) -> None:
    judged(office.store)
    case = evidence_of(kim)
    kim.get("/review")
    kim.post("/review/decide", {"case": case, **APPROVE})
    kim.post("/review/undo")
    kim.get("/queue")
    seen = [
        (row["member_id"], row["action"], row["way"])
        for row in rows(office.store, office.store.database.t.access_log)
    ]
    assert seen == [
        ("m1", "review", "photos"),
        ("m1", "review", "answer"),
        ("m1", "review", "photos"),
        ("m1", "review", "photos"),
        ("m1", "review", "approve"),
        ("m1", "review", "undo"),
        ("m1", "review", "photos"),
        (None, "review", "page"),
    ]
    assert {row["looked_by"] for row in rows(office.store, office.store.database.t.access_log)} == {"kim"}


def test_without_scripts_a_form_leads_back_to_the_page(office: Office, kim: Desk) -> None:
    judged(office.store)
    for path, values in (("next", {}), ("answers", ANSWERS), ("decide", APPROVE), ("undo", {})):
        case = case_in(kim.get("/review")) if values else ""
        sent = kim.post(f"/review/{path}", {"case": case, **values}, htmx=False)
        assert (sent.status_code, sent.headers["location"]) == (303, "/review")
    assert standing(office.store) == (Status.REVIEW, Reason.DIFFERENT_PERSON)


# Who has the case


def test_two_who_want_the_same_case_get_one_each_or_are_told(office: Office, kim: Desk) -> None:
    judged(office.store)
    lee = office.person("lee")
    kim.take()
    page = lee.post("/review/next")
    assert "지금 맡은 건이 없습니다." in page.text
    judged(office.store, "r2", "m2", at=1)
    assert "m2" in lee.post("/review/next").text


def test_somebody_elses_case_is_refused_and_whose_it_is_is_said(office: Office, kim: Desk) -> None:
    judged(office.store)
    stale = kim.take()
    office.clock.at(400)
    lee = office.person("lee")
    lee.take()
    for path, values in (("answers", ANSWERS), ("decide", APPROVE), ("release", {})):
        refused = kim.post(f"/review/{path}", {"case": stale, **values})
        assert refused.status_code == 409
        assert "lee 님이 이 건을 심사하고 있습니다." in refused.text
    refused = kim.post("/review/renew", {"case": stale})
    assert refused.status_code == 409
    assert refused.json()["text"].startswith("lee 님이")
    assert rows(office.store, office.store.database.t.label) == []


def test_work_renews_the_claim_and_idleness_loses_it(office: Office, kim: Desk) -> None:
    judged(office.store)
    case = kim.take()
    office.clock.at(250)
    assert kim.post("/review/renew", {"case": case}).json() == {"left": 300}
    looks = len(rows(office.store, office.store.database.t.access_log))
    office.clock.at(600)
    refused = kim.post("/review/answers", {"case": case, **ANSWERS})
    assert refused.status_code == 409
    assert "시간이 지나 이 건의 배정이 해제되었습니다." in refused.text
    assert "시간이 지나 이 건의 배정이 해제되었습니다." in kim.get("/review").text
    assert looks == 1
    assert "m1" in kim.post("/review/next").text


@pytest.mark.parametrize("case", ["", "1", "x-1", "1-x", "999-1", "1-" + "9" * 30, "1'--1"])
def test_a_page_that_names_no_case_is_refused(office: Office, kim: Desk, case: str) -> None:
    judged(office.store)
    kim.take()
    refused = kim.post("/review/decide", {"case": case, **APPROVE})
    assert refused.status_code == 409
    assert standing(office.store) == (Status.REVIEW, Reason.DIFFERENT_PERSON)


def test_what_the_member_does_meanwhile_is_said(office: Office, kim: Desk) -> None:
    judged(office.store)
    case = evidence_of(kim)
    office.store.consents.record("m1", Purpose.VERIFICATION, later(1), given=False)
    refused = kim.post("/review/decide", {"case": case, **APPROVE})
    assert (refused.status_code, "동의를 철회했습니다." in refused.text) == (409, True)
    assert "m1" not in kim.post("/review/next").text

    judged(office.store, "r2", "m2", at=2)
    case = evidence_of(kim)
    office.store.requests.accept(a_job("r3", "m2", later(3)), "verify", later(3))
    refused = kim.post("/review/decide", {"case": case, **APPROVE})
    assert (refused.status_code, "새 사진을 보냈습니다." in refused.text) == (409, True)

    office.store.members.forget("m2", later(4))
    refused = kim.post("/review/decide", {"case": case, **APPROVE})
    assert (refused.status_code, "이미 끝났습니다." in refused.text) == (409, True)


def test_a_case_can_be_given_back(office: Office, kim: Desk) -> None:
    judged(office.store)
    assert "건을 반납했습니다." in kim.post("/review/release", {"case": kim.take()}).text
    assert "m1" in office.person("lee").post("/review/next").text


# Deciding


def test_undo_brings_the_case_back_within_a_minute_and_not_later(office: Office, kim: Desk) -> None:
    judged(office.store)
    judged(office.store, "r2", "m2", at=1)
    kim.post("/review/decide", {"case": evidence_of(kim), **APPROVE})
    undone = kim.post("/review/undo")
    assert "m1: 결정을 되돌렸습니다." in undone.text
    assert 'data-step="evidence"' in undone.text  # the answers stay
    assert standing(office.store) == (Status.REVIEW, Reason.DIFFERENT_PERSON)
    kim.post("/review/decide", {"case": case_in(undone), **REJECT})
    office.clock.at(61)
    assert "오늘 결정 1건" in kim.get("/review").text
    late = kim.post("/review/undo")
    assert late.status_code == 409
    assert "1분이 지나 되돌릴 수 없습니다." in late.text
    assert standing(office.store) == (Status.REJECTED, Reason.REJECTED_BY_PERSON)


def test_a_new_photo_needs_its_reason_and_its_number_and_the_members_text_is_there_before(
    office: Office, kim: Desk
) -> None:
    judged(office.store)
    case = evidence_of(kim)
    page = unescape(kim.get("/review").text)
    assert "2번 사진이 너무 어둡게 나왔습니다." in page
    assert "Photo 2 is too dark." in page
    refused = kim.post("/review/decide", {"case": case, "choice": "new_photo", "code-new_photo": "too_dark"})
    assert "바꿀 사진을 골라 주세요." in refused.text
    asked = {"choice": "new_photo", "code-new_photo": "too_dark", "photo": "2", "code-approve": "same_person"}
    kim.post("/review/decide", {"case": case, **asked})
    assert standing(office.store) == (Status.RETRY_PHOTO, Reason.RETRY_PHOTO_BY_PERSON)
    (decision,) = rows(office.store, office.store.database.t.decision)
    assert (decision["code"], decision["photo"]) == ("too_dark", 2)


def test_a_decision_that_cannot_be_is_said_and_keeps_what_was_typed(office: Office, kim: Desk) -> None:
    judged(office.store)
    case = evidence_of(kim)
    note = f"{SCRIPT} 메모"
    wrong = {"choice": "reject", "code-reject": "other_person", "note": note}
    refused = kim.post("/review/decide", {"case": case, **wrong})
    assert refused.status_code == 409
    assert "이 결정과 반대로 답하셨습니다." in refused.text
    assert SCRIPT not in refused.text
    assert note in unescape(refused.text)
    for values, words in (
        ({}, "결정을 골라 주세요."),
        ({"choice": "approve", "code-approve": "too_dark"}, "이유를 골라 주세요."),
        ({"choice": "approve", "code-approve": "other"}, "메모를 적어야 합니다."),
        ({**REJECT, "note": "x" * 1001}, "1,000자까지"),
        ({**REJECT, "note": "a\u202eb"}, "보이지 않는 문자"),
    ):
        refused = kim.post("/review/decide", {"case": case, **values})
        assert (refused.status_code, words in unescape(refused.text)) == (409, True), words


def test_a_note_may_have_lines(office: Office, kim: Desk) -> None:
    judged(office.store)
    kim.post("/review/decide", {"case": evidence_of(kim), **REJECT, "note": "first\r\nsecond"})
    (decision,) = rows(office.store, office.store.database.t.decision)
    assert decision["note"] == "first second"


def test_what_was_escalated_goes_to_others_with_the_opinion_of_who_did(office: Office, kim: Desk) -> None:
    judged(office.store)
    case = evidence_of(kim)
    note = f"nobody knows {SCRIPT}"
    page = kim.post(
        "/review/decide", {"case": case, "choice": "escalate", "code-escalate": "cannot_tell", "note": note}
    )
    assert "상위 심사로 넘어갔습니다." in page.text
    lee = office.person("lee", Role.CHECKER)
    blind = lee.post("/review/next").text
    assert "nobody knows" not in blind
    case = case_in(lee.get("/review"))
    after = lee.post("/review/answers", {"case": case, **ANSWERS}).text
    assert SCRIPT not in after
    assert note in unescape(after)
    lee.post("/review/decide", {"case": case, **APPROVE})
    assert standing(office.store) == (Status.APPROVED, Reason.APPROVED_BY_PERSON)


def test_a_rejection_by_two_is_said_before_and_waits_after(migrated_sqlite: Path, tmp_path: Path) -> None:
    for office in _office(migrated_sqlite, tmp_path, rejection_votes=2):
        judged(office.store)
        kim, lee = office.person("kim"), office.person("lee")
        case = evidence_of(kim)
        assert "거절은 2명이 같은 결정을 해야 확정됩니다." in kim.get("/review").text
        page = kim.post("/review/decide", {"case": case, **REJECT})
        assert "다른 심사자가 같은 결정을 하면 확정됩니다." in page.text
        assert standing(office.store) == (Status.REVIEW, Reason.DIFFERENT_PERSON)
        second = lee.post("/review/answers", {"case": lee.take(), **ANSWERS})
        assert "kim" not in second.text
        lee.post("/review/decide", {"case": case_in(second), **REJECT})
        assert standing(office.store) == (Status.REJECTED, Reason.REJECTED_BY_PERSON)


# Cases that are different


def test_a_case_for_people_alone_says_that_nothing_was_compared(office: Office, kim: Desk) -> None:
    looked_at = tuple(
        one if one.sha256 is None else type(one)(one.position, Outcome.NOT_COMPARED, sha256=one.sha256)
        for one in PHOTOS
    )
    judged(office.store, reason=Reason.MANUAL, similarity=None, photos=looked_at)
    page = kim.post("/review/answers", {"case": kim.take(), **ANSWERS})
    assert "프로그램이 비교하지 않은 건입니다." in page.text
    assert "프로그램 대신 사람의 심사를 요청했습니다." in page.text


def test_a_gallery_without_a_photo_to_answer_has_its_page_at_once(office: Office, kim: Desk) -> None:
    judged(office.store, photos=(PHOTOS[2],), reason=Reason.MANUAL)
    page = kim.post("/review/next")
    assert 'data-step="evidence"' in page.text
    refused = kim.post("/review/decide", {"case": case_in(page), **APPROVE})
    assert "다른 결정을 해 주세요." in refused.text


def test_cases_of_the_sandbox_are_not_handed_out(migrated_sqlite: Path, tmp_path: Path) -> None:
    for office in _office(migrated_sqlite, tmp_path):
        judged(office.store)
        t = office.store.database.t
        with office.store.database.engine.begin() as c:
            c.execute(t.review_case.update().values(sandbox=True))
        kim = office.person("kim")
        assert office.store.reviews.queue.claim_next("kim", office.clock.now, sandbox=True)
        assert "지금 맡은 건이 없습니다." in kim.get("/review").text
        assert "지금 맡은 건이 없습니다." in kim.post("/review/next").text


def test_what_strangers_chose_is_escaped(office: Office, kim: Desk) -> None:
    judged(office.store, "r1", SCRIPT)
    case = kim.take()
    page = kim.post("/review/answers", {"case": case, **ANSWERS}).text
    assert SCRIPT not in page
    assert SCRIPT in unescape(page)
    assert SCRIPT not in kim.post("/review/decide", {"case": case, **APPROVE}).text


# The queue


def test_the_queue_has_its_order_its_counts_and_a_next_page(office: Office, kim: Desk) -> None:
    for number in range(60):
        judged(office.store, f"r{number}", f"m{number}", at=number)
    office.store.reviews.objections.record(NewObjection("m59", later(60)), later(60))
    office.clock.at(61)
    kim.take()
    page = kim.get("/queue").text
    numbers = [int(n) for n in re.findall(r'<th scope="row"[^>]*>(\d+)</th>', page)]
    assert numbers[:3] == [60, 1, 2]
    assert len(numbers) == 50
    assert "m59" not in page
    following = re.search(r'href="(/queue\?after=\d+)"', page)
    assert following
    rest = [int(n) for n in re.findall(r'<th scope="row"[^>]*>(\d+)</th>', kim.get(following[1]).text)]
    assert rest == list(range(50, 60))
    assert "조건에 맞는 건 1건" in kim.get("/queue?state=taken").text
    assert "조건에 맞는 건 59건" in kim.get("/queue?state=waiting").text


def test_whoever_reviews_cannot_filter_by_reasons_nor_see_whose_a_case_is(office: Office) -> None:
    judged(office.store, reason=Reason.BLIND_AUDIT)
    judged(office.store, "r2", "m2", at=1, reason=Reason.MANUAL)
    by_cause = "/queue?cause=manual"
    for roles in ((Role.REVIEWER,), (Role.CHECKER,), (Role.OPERATOR, Role.REVIEWER)):
        desk = office.person("-".join(roles), *roles)
        page = desk.get(by_cause).text
        assert page == desk.get("/queue").text
        for word in ("점검", "앱이 사람의 심사를", "m2", "접수 사유</label>"):
            assert word not in page
    operator = office.person("op", Role.OPERATOR)
    assert "점검용으로 뽑혔습니다." in operator.get("/queue").text
    page = operator.get(by_cause).text
    assert "조건에 맞는 건 1건" in page
    assert "m2" in page
    assert "m1" not in page


def test_an_audit_cannot_be_told_from_another_case_by_a_single_byte(
    migrated_sqlite: Path, tmp_path: Path
) -> None:
    """By its pages before the answers, their headers, or the queue."""
    verdicts: dict[str, dict[str, Any]] = {
        "audit": {"reason": Reason.BLIND_AUDIT, "same_person": True, "similarity": 0.999},
        "other": {"reason": Reason.GENDER_CONFLICT, "similarity": 0.31},
    }
    seen = []
    for name, verdict in verdicts.items():
        (tmp_path / name).mkdir()
        for office in _office(migrated_sqlite, tmp_path / name):
            judged(office.store, **verdict)
            judged(office.store, "r2", "m2", at=1, reason=Reason.SAME_PICTURE)
            kim = office.person("kim")
            pages = [kim.get("/queue"), kim.post("/review/next"), kim.get("/review"), kim.get("/queue")]
            pages.append(kim.post("/review/ahead", {"case": case_in(pages[2])}))
            texts = [page.text.replace(kim.csrf, "-") for page in pages]
            seen.append((texts, [sorted(page.headers.items()) for page in pages]))
    assert seen[0] == seen[1]


# Who may


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.AUDITOR, Role.ADMIN])
def test_only_who_reviews_gets_a_case(office: Office, role: Role) -> None:
    judged(office.store)
    desk = office.person("somebody", role)
    assert desk.get("/review").status_code == 403
    for path in ("next", "answers", "decide", "undo", "release", "renew", "ahead"):
        assert desk.post(f"/review/{path}", {"case": "1-1", **APPROVE}).status_code == 403
    assert desk.get("/queue").status_code == (200 if role is Role.OPERATOR else 403)


def test_a_forged_form_and_a_session_that_has_ended_change_nothing(office: Office, kim: Desk) -> None:
    judged(office.store)
    case = evidence_of(kim)
    kim.csrf = "x"
    assert kim.post("/review/decide", {"case": case, **APPROVE}).status_code == 403
    office.clock.at(16 * 60)
    away = kim.post("/review/decide", {"case": case, **APPROVE})
    assert away.headers["hx-redirect"].startswith("/sign-in")
    assert standing(office.store) == (Status.REVIEW, Reason.DIFFERENT_PERSON)
