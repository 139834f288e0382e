"""People sign in to the console over HTTP, mind their accounts, and admins those of others."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from unicodedata import normalize
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from httpx2 import Headers, Response
from starlette.testclient import TestClient

from support.jobs import NOW
from support.staff import PASSWORD, Employee, enrolled, invited, with_cheap_hashes
from worker.console.app import build
from worker.console.services import ConsoleRules, Services
from worker.store import Store
from worker.store.tables.schema import tables
from worker.store.tables.states import Role

URL = "https://review.example.com"
COOKIE = "__Host-session"
PROXY, STRANGER = "10.1.0.2", "203.0.113.9"
REFUSED = "이름, 비밀번호 또는 인증번호가 맞지 않습니다"


@dataclass
class Desk:
    """A console, and a clock that a test moves."""

    store: Store
    now: datetime = NOW
    rules: ConsoleRules = field(default_factory=lambda: ConsoleRules(url=URL, zone=ZoneInfo("Asia/Seoul")))

    def wait(self, minutes: float = 2) -> None:
        """Let time pass: by default until the telephone shows another code."""
        self.now += timedelta(minutes=minutes)

    def browser(self, address: str = "10.0.0.5") -> TestClient:
        """Another person's."""
        app = build(Services(store=self.store, rules=self.rules, clock=lambda: self.now))
        return TestClient(app, base_url=URL, follow_redirects=False, client=(address, 50000))

    def signed_in(self, who: Employee) -> TestClient:
        """A browser in which somebody has signed in, two minutes later."""
        self.wait()
        browser = self.browser()
        name_and_password(browser, who.name)
        answer = give_code(browser, who.code(self.now))
        assert answer.status_code == 303
        return browser


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(with_cheap_hashes(store))


pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def name_and_password(browser: TestClient, name: str, password: str = PASSWORD, **more: str) -> Response:
    return browser.post("/sign-in", data={"username": name, "password": password, **more})


def csrf_of(page: Response) -> str:
    found = re.search(r'name="csrf" value="(\w+)"', page.text)
    return found[1] if found else ""


def give_code(browser: TestClient, code: str, **more: str) -> Response:
    page = browser.get("/sign-in/code")
    return browser.post("/sign-in/code", data={"code": code, "csrf": csrf_of(page), **more})


def send(browser: TestClient, path: str, page: str = "/account", **form: str) -> Response:
    """Post a form as the page has it."""
    token = re.search(r"x-csrf-token&#34;: &#34;(\w+)|\"x-csrf-token\": \"(\w+)\"", browser.get(page).text)
    assert token
    return browser.post(path, data={"csrf": token[1] or token[2], **form})


def actions(store: Store) -> list[tuple[str, str, str]]:
    log = tables().access_log
    query = sa.select(log.c.looked_by, log.c.action, log.c.way).order_by(log.c.id)
    return [tuple(row) for row in store.database.read(lambda c: c.execute(query).all())]


def test_an_invitation_leads_to_a_password_a_telephone_recovery_codes_and_a_session(desk: Desk) -> None:
    invitation = invited(desk.store, "김가을", Role.ADMIN)
    browser = desk.browser()
    assert browser.get("/enrol").status_code == 200
    assert browser.post("/enrol", data={"invitation": "guess"}).status_code == 403
    assert (
        browser.post("/enrol", data={"invitation": invitation.code}).headers["location"] == "/enrol/account"
    )
    page = browser.get("/enrol/account")
    assert "김가을" in page.text
    assert "data:image/svg+xml" in page.text
    assert page.text.count('autocomplete="new-password"') == 2
    [letters] = re.findall(r"<code>([A-Z2-7 ]+)</code>", page.text)
    who = Employee(0, "김가을", letters.replace(" ", ""), (), "")
    form = {"csrf": csrf_of(page), "password": PASSWORD, "again": PASSWORD, "code": who.code(desk.now)}
    assert browser.post("/enrol/account", data=form | {"again": "x"}).status_code == 422
    weak = browser.post("/enrol/account", data=form | {"password": "short", "again": "short"})
    assert "10자 이상이어야" in weak.text
    assert browser.post("/enrol/account", data=form | {"csrf": "x"}).status_code == 403
    assert "번호가 맞지 않습니다" in browser.post("/enrol/account", data=form | {"code": "000000"}).text
    done = browser.post("/enrol/account", data=form)
    assert len(re.findall(r"<li><code>[\w-]{19}</code>", done.text)) == 10
    assert browser.get("/people").status_code == 200
    assert desk.browser().post("/enrol", data={"invitation": invitation.code}).status_code == 403


def test_people_sign_in_with_two_steps_and_come_to_the_page_they_wanted(desk: Desk) -> None:
    kim = enrolled(desk.store, "Kim", Role.ADMIN)
    desk.wait()
    browser = desk.browser()
    to_sign_in = browser.get("/people").headers["location"]
    page = browser.get(to_sign_in)
    assert re.search(r'name="username"[^>]*autocomplete="username"', page.text)
    assert re.search(r'name="password"[^>]*autocomplete="current-password"', page.text)
    first = name_and_password(browser, "kim", next="/people")
    assert first.headers["location"] == "/sign-in/code?next=/people"
    assert browser.get("/people").status_code == 303  # not yet
    assert 'autocomplete="one-time-code"' in browser.get("/sign-in/code").text
    last = give_code(browser, kim.code(desk.now), next="/people")
    assert last.headers["location"] == "/people"
    assert browser.get("/people").status_code == 200
    cookie = last.headers["set-cookie"]
    assert all(word in cookie for word in (f"{COOKIE}=", "HttpOnly", "Secure", "Path=/", "SameSite=lax"))
    assert ("Kim", "people", "page") in actions(desk.store)


def test_the_token_changes_at_each_step_so_that_a_planted_one_is_worth_nothing(desk: Desk) -> None:
    kim = enrolled(desk.store, "Kim")
    desk.wait()
    browser, tokens = desk.browser(), []
    browser.cookies.set(COOKIE, "planted", domain="review.example.com")
    name_and_password(browser, "Kim")
    tokens.append(browser.cookies.get(COOKIE, path="/", domain="review.example.com"))
    give_code(browser, kim.code(desk.now))
    tokens += [one.value for one in browser.cookies.jar if one.value not in ("planted", *tokens)]
    assert len({"planted", *tokens}) == 3
    thief = desk.browser()
    for token in ("planted", tokens[0]):
        assert thief.get("/account", headers={"cookie": f"{COOKIE}={token}"}).status_code == 303


def test_unknown_name_wrong_password_and_wrong_code_are_told_in_the_same_words(desk: Desk) -> None:
    enrolled(desk.store, "Kim")
    desk.wait()
    nobody, wrong, half = (desk.browser(f"10.0.0.{number}") for number in range(3))
    answers = [name_and_password(nobody, "Nobody"), name_and_password(wrong, "Kim", "wrong password")]
    name_and_password(half, "Kim")
    answers.append(give_code(half, "000000"))
    assert {answer.status_code for answer in answers} == {403}
    assert all(REFUSED in answer.text for answer in answers)
    same = [re.sub(r'value="\w+"', "", answer.text) for answer in answers[:2]]
    assert same[0] == same[1]


def test_a_replayed_code_is_refused(desk: Desk) -> None:
    kim = enrolled(desk.store, "Kim")
    desk.signed_in(kim)
    again = desk.browser()
    name_and_password(again, "Kim")
    assert REFUSED in give_code(again, kim.code(desk.now)).text


def test_too_many_tries_must_wait_and_are_told_how_long(desk: Desk) -> None:
    enrolled(desk.store, "Kim")
    desk.wait()
    browser = desk.browser(STRANGER)
    for _ in range(5):
        name_and_password(browser, "Kim", "wrong password")
    refused = name_and_password(browser, "Kim")
    assert (refused.status_code, "30초 뒤에" in refused.text) == (429, True)
    desk.wait(0.6)
    assert name_and_password(browser, "Kim").status_code == 303


def test_a_session_that_nobody_used_for_a_quarter_of_an_hour_has_ended(desk: Desk) -> None:
    browser = desk.signed_in(enrolled(desk.store, "Kim"))
    desk.wait(14)
    assert browser.get("/account").status_code == 200
    desk.wait(15.1)
    assert browser.get("/account").headers["location"] == "/sign-in?next=/account"


def test_whoever_comes_back_to_a_session_that_has_ended_is_told(desk: Desk) -> None:
    browser, said = desk.signed_in(enrolled(desk.store, "Kim")), "제출하지 않은 답은 저장되지 않았습니다"
    assert said not in desk.browser().get("/sign-in").text
    desk.wait(15.1)
    assert said in browser.get("/sign-in").text


@pytest.mark.parametrize("token", ["", "0" * 64])
def test_a_form_without_the_session_s_token_changes_nothing(desk: Desk, token: str) -> None:
    kim = enrolled(desk.store, "Kim", Role.ADMIN)
    browser = desk.signed_in(kim)
    assert browser.post("/account/end-all", data={"csrf": token}).status_code == 403
    assert browser.post(f"/people/{kim.account_id}/close", data={"csrf": token}).status_code == 403
    assert browser.get("/account").status_code == 200


def test_a_token_of_an_earlier_session_is_stale(desk: Desk) -> None:
    kim = enrolled(desk.store, "Kim")
    earlier = re.search(r'name="csrf" value="(\w+)"', desk.signed_in(kim).get("/account").text)
    assert earlier
    later = desk.signed_in(kim)
    assert later.post("/account/end-all", data={"csrf": earlier[1]}).status_code == 403


def test_another_site_signs_nobody_in(desk: Desk) -> None:
    enrolled(desk.store, "Kim")
    desk.wait()
    form = {"username": "Kim", "password": PASSWORD}
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://elsewhere.example.com"}):
        assert desk.browser().post("/sign-in", data=form, headers=headers).status_code == 403


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
def test_accounts_are_for_admins_alone(desk: Desk, role: Role) -> None:
    kim = enrolled(desk.store, "Kim", role)
    browser = desk.signed_in(kim)
    assert browser.get("/people").status_code == 403
    assert browser.get(f"/people/{kim.account_id}").status_code == 403
    assert send(browser, "/people", name="Lee", role_admin="1").status_code == 403
    roles = send(browser, f"/people/{kim.account_id}/roles", role_admin="1")
    assert roles.status_code == 403
    assert len(desk.store.staff.accounts.all(desk.now)) == 1


def test_an_admin_invites_gives_roles_resets_and_closes_and_all_of_it_is_on_record(desk: Desk) -> None:
    kim = enrolled(desk.store, "Kim", Role.ADMIN)
    browser = desk.signed_in(kim)
    made = send(browser, "/people", name="Lee", role_reviewer="1", note="new here")
    assert re.search(rf"{URL}/enrol#[\w-]{{32}}", made.text)
    assert send(browser, "/people", name="lee").status_code == 409
    lee = desk.store.staff.accounts.find("Lee")
    assert lee
    assert send(browser, f"/people/{lee}/roles", role_checker="1").headers["location"] == f"/people/{lee}"
    assert "#" in send(browser, f"/people/{lee}/reset", note="lost phone").text
    assert send(browser, f"/people/{kim.account_id}/reset").status_code == 409
    assert send(browser, f"/people/{lee}/close").headers["location"] == "/people"
    page = browser.get(f"/people/{lee}").text
    for said in ("역할을 줌", "역할을 거둠", "계정을 닫음", "new here", "lost phone"):
        assert said in page
    done = [way for _, action, way in actions(desk.store) if action == "people" and way != "page"]
    assert done == ["add", "add", "roles", "reset", "reset", "close"]
    assert browser.get("/people/999").status_code == 404


def test_the_last_admin_is_told_why_not(desk: Desk) -> None:
    kim = enrolled(desk.store, "Kim", Role.ADMIN)
    browser = desk.signed_in(kim)
    for path in ("close", "roles"):
        answer = send(browser, f"/people/{kim.account_id}/{path}")
        assert (answer.status_code, "마지막 관리자" in answer.text) == (409, True)


def test_whoever_loses_a_role_is_signed_out_at_once(desk: Desk) -> None:
    kim, lee = enrolled(desk.store, "Kim", Role.ADMIN), enrolled(desk.store, "Lee", Role.ADMIN)
    theirs, browser = desk.signed_in(lee), desk.signed_in(kim)
    assert theirs.get("/people").status_code == 200
    send(browser, f"/people/{lee.account_id}/roles", role_auditor="1")
    assert theirs.get("/account").status_code == 303
    assert desk.signed_in(lee).get("/people").status_code == 403


def test_one_click_ends_all_sessions(desk: Desk) -> None:
    kim = enrolled(desk.store, "Kim")
    first, second = desk.signed_in(kim), desk.signed_in(kim)
    assert first.get("/account").text.count('name="session"') == 2
    assert send(second, "/account/end-all").headers["location"] == "/sign-in"
    assert [browser.get("/account").status_code for browser in (first, second)] == [303, 303]


def test_a_password_is_changed_by_whoever_knows_it_and_the_token_changes(desk: Desk) -> None:
    kim = enrolled(desk.store, "Kim")
    browser = desk.signed_in(kim)
    before = browser.cookies.get(COOKIE)
    new = {"password": "another horse battery", "again": "another horse battery"}
    assert send(browser, "/account/password", current="wrong", **new).status_code == 403
    assert send(browser, "/account/password", current=PASSWORD, **new).status_code == 303
    assert browser.cookies.get(COOKIE) != before
    assert "바꾸었습니다" in browser.get("/account?changed=1").text
    assert name_and_password(desk.browser(), "Kim").status_code == 403


def test_another_telephone_and_new_recovery_codes(desk: Desk) -> None:
    kim = enrolled(desk.store, "Kim")
    browser = desk.signed_in(kim)
    codes = send(browser, "/account/recovery", current=PASSWORD).text
    assert len(re.findall(r"<li><code>[\w-]{19}</code>", codes)) == 10
    assert browser.get("/account/factor").status_code == 303  # nobody has asked for one
    assert send(browser, "/account/factor", current=PASSWORD).headers["location"] == "/account/factor"
    [letters] = re.findall(r"<code>([A-Z2-7 ]+)</code>", browser.get("/account/factor").text)
    phone = Employee(0, "Kim", letters.replace(" ", ""), (), "")
    assert send(browser, "/account/factor/prove", code="000000").status_code == 422
    assert send(browser, "/account/factor/prove", code=phone.code(desk.now)).status_code == 303
    assert desk.signed_in(phone).get("/account").status_code == 200


def test_the_language_is_the_account_s_in_every_browser(desk: Desk) -> None:
    kim = enrolled(desk.store, "Kim")
    send(desk.signed_in(kim), "/account/language", language="en")
    assert "My account" in desk.signed_in(kim).get("/account").text


def test_a_name_that_is_a_script_is_shown_and_not_run(desk: Desk) -> None:
    browser = desk.signed_in(enrolled(desk.store, "Kim", Role.ADMIN))
    send(browser, "/people", name="<script>alert(1)</script>", note='"><img src=x>')
    page = browser.get("/people").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_signing_out_ends_the_session_in_the_database(desk: Desk) -> None:
    browser = desk.signed_in(enrolled(desk.store, "Kim"))
    token = browser.cookies.get(COOKIE)
    assert send(browser, "/sign-out").headers["location"] == "/sign-in"
    assert desk.browser().get("/account", headers={"cookie": f"{COOKIE}={token}"}).status_code == 303


class TestWithACompanysSignOn:
    @pytest.fixture
    def desk(self, store: Store) -> Desk:
        rules = ConsoleRules(
            url=URL, zone=ZoneInfo("Asia/Seoul"), proxies=("10.1.0.0/24",), sign_on_header="x-forwarded-user"
        )
        return Desk(with_cheap_hashes(store), rules=rules)

    def test_the_proxy_s_header_names_the_person_and_the_roles_are_ours(self, desk: Desk) -> None:
        invited(desk.store, "김가을", Role.ADMIN)
        browser = desk.browser(PROXY)
        browser.headers = Headers({"x-forwarded-user": "김가을"}, encoding="utf-8")
        assert browser.get("/people").headers["location"] == "/sign-in?next=/people"
        assert browser.get("/sign-in?next=/people").headers["location"] == "/people"
        assert browser.get("/people").status_code == 200
        assert ("김가을", "sign_in", "sign_on") in actions(desk.store)
        assert "회사의 통합 로그인" in browser.get("/account").text

    def test_letters_in_parts_are_the_same_name(self, desk: Desk) -> None:
        invited(desk.store, "김가을", Role.ADMIN)
        browser = desk.browser(PROXY)
        browser.headers = Headers({"x-forwarded-user": normalize("NFD", "김가을")}, encoding="utf-8")
        assert browser.get("/sign-in?next=/people").headers["location"] == "/people"
        assert browser.get("/people").status_code == 200

    def test_from_another_address_the_header_is_not_believed(self, desk: Desk) -> None:
        invited(desk.store, "Kim", Role.ADMIN)
        browser = desk.browser(STRANGER)
        browser.headers.update({"x-forwarded-user": "Kim", "x-forwarded-for": PROXY})
        assert browser.get("/sign-in").status_code == 403
        assert browser.get("/people").status_code == 303

    def test_a_header_that_is_there_twice_names_nobody(self, desk: Desk) -> None:
        invited(desk.store, "Kim", Role.ADMIN)
        browser = desk.browser(PROXY)
        browser.headers = Headers([("x-forwarded-user", "Kim"), ("x-forwarded-user", "Lee")])
        assert browser.get("/sign-in").status_code == 403

    def test_a_session_is_worth_nothing_without_the_header_or_with_another_s(self, desk: Desk) -> None:
        invited(desk.store, "Kim", Role.ADMIN)
        browser = desk.browser(PROXY)
        browser.get("/sign-in", headers={"x-forwarded-user": "Kim"})
        assert browser.get("/people", headers={"x-forwarded-user": "Kim"}).status_code == 200
        assert browser.get("/people", headers={"x-forwarded-user": "Lee"}).status_code == 303
        assert browser.get("/people").status_code == 303

    def test_nobody_signs_in_with_a_password_and_strangers_are_told(self, desk: Desk) -> None:
        enrolled(desk.store, "Kim")
        browser = desk.browser(PROXY)
        assert name_and_password(browser, "Kim").status_code == 403
        unknown = browser.get("/sign-in", headers={"x-forwarded-user": "Stranger"})
        assert (unknown.status_code, "계정이 없습니다" in unknown.text) == (403, True)
