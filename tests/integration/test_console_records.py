"""The page of the month's check: what an auditor sees, and the signature."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from support.jobs import KIM
from worker.console.app import build
from worker.console.services import ConsoleRules, Services
from worker.console.sessions import cookie_name
from worker.store import NewMember, ReviewState, Store, month_of
from worker.store.staff.records import Browser
from worker.store.staff.sessions import csrf_of
from worker.store.tables.states import Role, StaffAction, Stage

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
SEOUL = ZoneInfo("Asia/Seoul")
OCTOBER = month_of(date(2026, 10, 1), SEOUL)
IDS = [f"m{number:03}" for number in range(120)]
Visitor = Callable[..., TestClient]

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def visitor(store: Store) -> Visitor:
    """Somebody with a role, signed in; kim has looked at members in October."""
    store.members.import_list([NewMember(i, None, f"https://h/{i}.jpg", ()) for i in IDS], NOW)
    access = replace(KIM, by="kim", host="desk-1", client="203.0.113.7")
    store.accesses.note(IDS, access, OCTOBER.first + timedelta(days=4, hours=11))
    store.accesses.note(IDS[:1], replace(access, way="json"), OCTOBER.first + timedelta(days=5, hours=3))
    rules = ConsoleRules(url="https://review.example.com", zone=SEOUL)
    app = build(Services(store=store, rules=rules, clock=lambda: NOW))

    def signed_in(name: str, role: Role = Role.AUDITOR) -> TestClient:
        t = store.database.t.staff
        account = {"name": name, "folded": name.lower(), "created_at": NOW}
        grant = {"name": name, "action": StaffAction.GIVEN, "role": role, "changed_at": NOW}

        def write(c: sa.Connection) -> str:
            key = c.execute(sa.insert(t.account).values(**account)).inserted_primary_key
            assert key is not None
            c.execute(sa.insert(t.grant).values(**grant, account_id=key[0], changed_by="admin"))
            return store.staff.sessions.start(c, key[0], Stage.COMPLETE, Browser("203.0.113.9"), NOW)

        cookies = {cookie_name(rules): store.database.write(write)}
        return TestClient(app, base_url=rules.url, follow_redirects=False, cookies=cookies)

    return signed_in


def token(page: str) -> str:
    found = re.search(r'name="csrf" value="(\w+)"', page)
    assert found
    return found[1]


def sign(browser: TestClient, note: str = "all is known", **more: str) -> int:
    page = browser.get("/records?month=2026-10").text
    form = {"csrf": token(page), "month": "2026-10", "breaks": "0", "note": note, **more}
    return browser.post("/records/sign", data=form).status_code


def test_an_auditor_sees_accounts_hosts_and_what_is_unusual_and_no_member(visitor: Visitor) -> None:
    page = visitor("park").get("/records?month=2026-10").text
    for shown in ("kim", "desk-1", "203.0.113.7", "2026-10-05: 120", "다른 심사자보다 많음", "121"):
        assert shown in page
    assert not re.search(r"m\d\d\d\b", page)


def test_without_a_month_it_is_the_last_that_is_over(visitor: Visitor) -> None:
    browser = visitor("park")
    for path in ("/records", "/records?month=2026-13", "/records?month=<script>"):
        assert "2026-10 계정별 기록" in browser.get(path).text


@pytest.mark.parametrize("month", ["9999-12", "0001-01", "1999-12", "3000-01", "2026-00", "２０２６-10", ""])
def test_a_month_that_the_records_cannot_have_is_neither_shown_nor_signed(
    visitor: Visitor, store: Store, month: str
) -> None:
    browser = visitor("park")
    assert "2026-10 계정별 기록" in browser.get(f"/records?month={month}").text
    assert sign(browser, month=month) == 400
    assert [one.signed for one in store.access_reviews.months(NOW, SEOUL)] == [()]


def test_the_page_itself_is_on_record(visitor: Visitor, store: Store) -> None:
    visitor("park").get("/records")
    whose, record = store.accesses.between(NOW, NOW + timedelta(seconds=1))[-1]
    assert (whose, record.looked_by, record.action, record.way) == (None, "park", "access", "page")


def test_a_signature_is_kept_with_its_note_and_shown_as_text(visitor: Visitor, store: Store) -> None:
    browser = visitor("park")
    assert sign(browser, "<script>alert(1)</script> asked lee") == 303
    assert store.access_reviews.signed("2026-10").state is ReviewState.DONE
    page = browser.get("/records?month=2026-10").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; asked lee" in page
    assert "<script>alert" not in page
    assert "점검 완료" in page


def test_whoever_has_own_work_is_told_so_and_another_person_signs(visitor: Visitor, store: Store) -> None:
    kim = visitor("Kim")
    assert "121건은 본인의 업무입니다" in kim.get("/records?month=2026-10").text
    assert sign(kim) == 303
    assert "다른 사람이 한 번 더 서명해야" in kim.get("/records?month=2026-10").text
    assert sign(visitor("park")) == 303
    assert store.access_reviews.signed("2026-10").state is ReviewState.DONE


@pytest.mark.parametrize("note", ["", "   ", "x" * 1001])
def test_a_signature_without_a_note_is_asked_for_one(visitor: Visitor, store: Store, note: str) -> None:
    assert sign(visitor("park"), note) == 422
    assert store.access_reviews.signed("2026-10").signed == ()


def test_the_lines_of_a_note_are_counted_and_kept_as_the_browser_shows_them(
    visitor: Visitor, store: Store
) -> None:
    assert sign(visitor("park"), "\r\n".join("x" * 500)) == 303
    [signed] = store.access_reviews.signed("2026-10").signed
    assert signed.note == "\n".join("x" * 500)


def test_a_month_that_is_not_over_has_no_button_and_is_not_signed(visitor: Visitor) -> None:
    browser = visitor("park")
    assert "/records/sign" not in browser.get("/records?month=2026-11").text
    assert sign(browser, month="2026-11") == 409


def test_nobody_signs_breaks_that_were_not_found_yet(visitor: Visitor, store: Store) -> None:
    browser = visitor("park")
    assert sign(browser, breaks="99") == 303
    with store.database.engine.begin() as c:
        c.exec_driver_sql("DELETE FROM access_log WHERE number = 2")
    assert store.access_watch.check_chain(NOW).alarming
    assert "기록이 이어지지 않는 곳이 1곳" in browser.get("/records").text


@pytest.mark.parametrize("role", [Role.REVIEWER, Role.CHECKER, Role.OPERATOR, Role.ADMIN])
def test_other_roles_neither_see_nor_sign(visitor: Visitor, store: Store, role: Role) -> None:
    browser = visitor("lee", role)
    assert browser.get("/records").status_code == 403
    csrf = csrf_of(browser.cookies["__Host-session"])
    assert browser.post("/records/sign", data={"csrf": csrf, "month": "2026-10"}).status_code == 403
    assert store.access_reviews.signed("2026-10").signed == ()


def test_a_forged_form_is_refused(visitor: Visitor, store: Store) -> None:
    form = {"csrf": "0" * 64, "month": "2026-10", "note": "forged"}
    assert visitor("park").post("/records/sign", data=form).status_code == 403
    assert store.access_reviews.signed("2026-10").signed == ()
