"""An operator's pages about members: what they show, what they keep back, and what goes on record."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from pipeline.verdict import Reason, Status
from support import reviews
from support.cases import a_store, judged, looked
from support.desk import Desk, on_record, person
from support.jobs import NOW, later
from worker.results.explained import Terms
from worker.results.letter import letter
from worker.results.texts import Language
from worker.settings import load_settings
from worker.store import Access, NewObjection, Store
from worker.store.tables.states import Cause, Role

TODAY = "2026-11-24"
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def store(engine: sa.Engine) -> Store:
    return a_store(engine)


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store, load_settings({}), now=later(600))


def approved(store: Store, request_id: str = "r1", member_id: str = "m1", at: float = 0) -> None:
    judged(store, request_id, member_id, at, status=Status.APPROVED, reason=Reason.SAME_PERSON)


def test_a_member_is_found_by_the_exact_id_and_the_look_is_on_record_from_where_it_came(
    desk: Desk, store: Store
) -> None:
    approved(store)
    assert "There is no list and no search" in desk.see("/members")
    page = desk.see("/members?id=m1")
    for words in ("approved", "the program", "0.830", "selfie.jpg?…", "too dark", "Your photos have been"):
        assert words in page
    assert "sig=abc" not in desk.html("/members?id=m1")
    records = on_record(store, "looked_by", "action", "way", "member_id", "client", "login")
    assert records[1] == ("lee", "show", "page", "m1", "10.1.2.3", "console")


def test_who_decided_and_what_the_program_had_said_stand_beside_each_other(desk: Desk, store: Store) -> None:
    judged(store)
    reviews.decide(store, "m1", Status.REJECTED, "choi", later(60))
    page = desk.see("/members?id=m1")
    assert "a person: choi" in page
    assert "The program had said in review" in page
    assert "somebody else's" in page  # what the person saw
    assert "담당자: choi" in desk.see("/members?id=m1", language="ko")


@pytest.mark.parametrize("cause", ["audit", "review", "objection"])
def test_while_a_person_is_to_decide_no_number_no_reason_and_no_objection_is_shown(
    desk: Desk, store: Store, cause: str
) -> None:
    reason = Reason.BLIND_AUDIT if cause == "audit" else Reason.DIFFERENT_PERSON
    judged(store, reason=reason, similarity=0.9 if cause == "audit" else 0.1)
    if cause == "objection":
        reviews.decide(store, "m1", Status.REJECTED, "choi", later(60))
        store.reviews.objections.record(NewObjection("m1", later(100)), later(100))
    html = desk.html("/members?id=m1")
    assert "A person is still to decide" in html
    for hidden in ("0.900", "0.100", "0.83", reason, "choi", "objection.", Cause.OBJECTION + "s", "0.98"):
        assert hidden not in html.partition("<main")[2].partition("</nav>")[2], hidden


def test_an_audited_approval_and_a_review_give_the_same_bytes(desk: Desk, store: Store) -> None:
    judged(store, reason=Reason.BLIND_AUDIT, similarity=0.9)
    judged(store, "r2", "m2", reason=Reason.DIFFERENT_PERSON, similarity=0.1)
    first, second = desk.html("/members?id=m1"), desk.html("/members?id=m2")
    assert first.replace("r1", "r2").replace("=m1", "=m2").replace(">m1<", ">m2<") == second


def test_who_is_not_there_is_named_on_record_by_a_hash_alone(desk: Desk, store: Store) -> None:
    approved(store)
    assert "no member nobody" in desk.see("/members?id=nobody", 404)
    store.members.forget("m1", later(1))
    assert "m1 was erased" in desk.see("/members?id=m1", 404)
    assert "m1 was erased" in desk.see("/members/letter?id=m1", 404)
    records = on_record(store, "member_id", "member_hash", "action")
    assert [(member, bool(digest)) for member, digest, _ in records] == [(None, True)] * 3


def test_what_can_be_no_id_is_shown_as_text_and_never_as_a_script(desk: Desk, store: Store) -> None:
    assert SCRIPT not in desk.html(f"/members?id={SCRIPT}", 404)
    assert "cannot be a member ID" in desk.see(f"/members?id={SCRIPT}%20x", 404)
    odd = "a/b?c#d<i>&%"
    approved(store, "r9", odd)
    page = desk.html(f"/members?{urlencode({'id': odd})}")
    assert "<i>" not in page
    assert "id=a/b%3Fc%23d%3Ci%3E%26%25" in page


def test_of_a_member_of_the_sandbox_the_page_says_so(engine: sa.Engine) -> None:
    store = Store(engine, tombstone_key=b"key", sandbox_prefix="sandbox-")
    judged(store, "r1", "sandbox-approved", status=Status.APPROVED, reason=Reason.SAME_PERSON)
    page = Desk(store, load_settings({})).see("/members?id=sandbox-approved")
    assert "A member of the sandbox" in page


def test_who_looked_is_shown_and_of_an_open_case_not_what_was_done_in_it(desk: Desk, store: Store) -> None:
    judged(store)
    looked(store, "choi", at=10)
    desk.see("/members?id=m1")
    page = desk.see("/members?id=m1&view=looks")
    assert "lee show page console" in page
    assert "lee show looks console" in page
    approved(store, "r2", "m2", 20)
    store.accesses.note(["m2"], reviews_access("choi"), later(30))
    assert "choi review approve" in desk.see("/members?id=m2&view=looks")
    store.reviews.decisions.reopen("m2", "kim", later(40))
    assert "choi review –" in desk.see("/members?id=m2&view=looks")


def reviews_access(name: str) -> Access:
    return Access(name, "review", "approve", "desk-2", None, name)


@pytest.mark.parametrize("language", list(Language))
def test_the_letter_is_what_explain_writes_and_nothing_else(
    desk: Desk, store: Store, language: Language
) -> None:
    judged(store)
    reviews.decide(store, "m1", Status.RETRY_PHOTO, "choi", later(60))
    facts = store.explanations.of_member("m1", Terms.of(load_settings({})), desk.now)
    assert facts is not None
    text = letter(facts, language)
    page = desk.see(f"/members/letter?id=m1&in={language}")
    wanted = [text.title, *(one.text for one in text.about)]
    for number, section in enumerate(text.sections, 1):
        wanted.append(f"{number}. {section.heading}")
        for paragraph in section.paragraphs:
            wanted += [paragraph.text, *paragraph.points]
    assert page.endswith(" ".join(" ".join(wanted).split()))
    assert "choi" not in page
    assert on_record(store, "action", "way", "member_id")[-1] == ("explain", language, "m1")


def test_who_has_the_case_is_told_nothing_of_what_was_decided(desk: Desk, store: Store) -> None:
    judged(store)
    looked(store, "lee", at=590)
    assert "decide first" in desk.see("/members/letter?id=m1", 409)
    desk.now = later(2000)  # the claim has run out
    assert "About the verification" in desk.see("/members/letter?id=m1&in=en")


@pytest.mark.parametrize("htmx", [False, True], ids=["without a script", "in a dialog"])
def test_an_objection_is_recorded_once_its_deadline_was_shown(desk: Desk, store: Store, htmx: bool) -> None:
    approved(store)
    assert "30 days after that day" in desk.see("/members/object?id=m1")
    asked = desk.say("/members/object", htmx=htmx, id="m1", received="2026-11-20")
    assert "The answer is due by 2026-12-20" in asked
    assert store.reviews.objections.of_member("m1") == ()
    done = desk.say("/members/object", id="m1", received="2026-11-20", sure="yes")
    assert "The answer is due by 2026-12-20" in done
    [objection] = store.reviews.objections.of_member("m1")
    assert (objection.recorded_by, objection.answer) == ("lee", None)
    assert objection.due_at - objection.received_at == timedelta(days=30)
    assert on_record(store, "looked_by", "action", "way", "member_id")[-1] == (
        "lee",
        "review",
        "object",
        "m1",
    )
    again = desk.say("/members/object", id="m1", received=TODAY, sure="yes")
    assert "It was not done" in again
    assert "has objected on 2026-11-19 already" in again


def test_a_day_that_cannot_be_is_refused_with_words(desk: Desk, store: Store) -> None:
    approved(store)
    for day in ("", "soon", "2019-12-31", "2026-11-26", "9999-12-31", "0001-01-01"):
        asked = desk.say("/members/object", 422, id="m1", received=day, sure="yes")
        told = desk.say("/members/object", 422, htmx=True, id="m1", received=day)
        assert "Close" in told, day
        assert "See the deadline" not in told, day  # the form is beside the dialog
        assert "Please give a day since 2020" in asked, day
    assert store.reviews.objections.of_member("m1") == ()


def test_objections_wait_in_the_order_of_their_deadlines_page_by_page(desk: Desk, store: Store) -> None:
    days = {"m1": 10, "m2": 31, "m3": 26, "m4": 5}
    for number, (member, ago) in enumerate(days.items(), 1):
        approved(store, f"r{number}", member)
        store.reviews.objections.record(NewObjection(member, NOW - timedelta(days=ago), by="lee"), NOW)
    page = desk.see("/members/objections")
    assert "waiting: 4 due soon: 1 overdue: 1" in page
    places = [page.index(f" {member} ") for member in ("m2", "m3", "m1", "m4")]
    assert places == sorted(places)
    assert "1 days late" in page
    assert "4 days left" in page
    first = store.reviews.objections.waiting(desk.now, 2)
    rest = store.reviews.objections.waiting(desk.now, 9, after=first[-1].id)
    assert [one.member_id for one in (*first, *rest)] == ["m2", "m3", "m1", "m4"]
    reviews.decide(store, "m2", Status.APPROVED, "choi", later(60))
    assert " m2 " not in desk.see("/members/objections")
    assert on_record(store, "action", "member_id")[-1] == ("review", None)


def test_a_case_is_opened_once_more_after_a_question(desk: Desk, store: Store) -> None:
    approved(store)
    assert "Open a case about m1?" in desk.say("/members/reopen", id="m1")
    assert not store.reviews.queue.is_open("m1")
    assert "A case about m1 is open" in desk.say("/members/reopen", id="m1", sure="yes")
    assert store.reviews.queue.is_open("m1")
    assert on_record(store, "action", "way")[-1] == ("review", "reopen")
    assert "no member m9" in desk.say("/members/reopen", 404, id="m9", sure="yes")


def test_others_than_operators_see_none_of_it(desk: Desk, store: Store) -> None:
    approved(store)
    for role in (Role.REVIEWER, Role.CHECKER, Role.AUDITOR, Role.ADMIN):
        desk.who = person(role)
        for path in ("/members?id=m1", "/members/letter?id=m1", "/members/objections", "/jobs", "/training"):
            assert "You may not see this" in desk.see(path, 403)
        desk.say("/members/object", 403, id="m1", received=TODAY, sure="yes")
    assert on_record(store, "action") == []


def test_a_form_without_this_sessions_token_changes_nothing(desk: Desk, store: Store) -> None:
    approved(store)
    desk.say("/members/reopen", 403, id="m1", sure="yes", csrf="another")
    assert not store.reviews.queue.is_open("m1")
