"""Somebody answers an invitation, signs in and comes to the first case, by keyboard alone, on a desk and on a
telephone."""

from __future__ import annotations

from datetime import timedelta

import pyotp
import pytest
from playwright.sync_api import Browser, Page, expect

from support.browser import DESK, PHONE, a_page, serious_findings
from support.console import Console
from support.system import LONG
from worker.clock import utc_now
from worker.store.tables.states import Role

PASSWORD = "correct horse battery"


def check_for_everybody(page: Page) -> None:
    """Nothing that somebody could not use, and nothing that is wider than the page, on either screen."""
    for width, height in (PHONE, DESK):
        page.set_viewport_size({"width": width, "height": height})
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not page.evaluate(wide), page.url
        assert serious_findings(page) == [], page.url


def type_in_order(page: Page, *texts: str) -> None:
    """Fill fields from the one that has the focus, as nobody does who uses a mouse."""
    for number, text in enumerate(texts):
        if number:
            page.keyboard.press("Tab")
        page.keyboard.type(text)
    page.keyboard.press("Enter")


def test_an_invitation_can_be_typed(console: Console, page: Page) -> None:
    invitation = console.store.staff.accounts.add("kim", [Role.REVIEWER], "root", utc_now())
    page.goto(console.at("/enrol"))
    page.locator("input[name=invitation]").fill(invitation.code)
    page.keyboard.press("Enter")
    page.wait_for_url(console.at("/enrol/account"))
    expect(page.locator("input[name=again]")).to_be_visible()


def test_an_invitation_leads_to_the_first_case_and_its_code_goes_to_no_server(
    console: Console, browser: Browser, page: Page
) -> None:
    console.case(1)
    roles = [Role.ADMIN, Role.REVIEWER]
    invitation = console.store.staff.accounts.add("김가을", roles, "root", utc_now())
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(console.at(f"/enrol#{invitation.code}"))
    expect(page.get_by_label("초대 코드")).to_have_value(invitation.code)
    assert not [url for url in asked if invitation.code in url.partition("#")[0]]
    assert "#" not in page.url
    check_for_everybody(page)
    page.keyboard.press("Enter")
    page.wait_for_url(console.at("/enrol/account"))
    check_for_everybody(page)
    totp = pyotp.TOTP(page.locator(".letters code").inner_text().replace(" ", ""))
    expect(page.get_by_label("새 비밀번호", exact=True)).to_be_focused()
    type_in_order(page, PASSWORD, PASSWORD, totp.at(utc_now()))
    expect(page.locator(".codes li")).to_have_count(10)
    check_for_everybody(page)
    page.get_by_role("link", name="보관했습니다").click()
    page.wait_for_url(console.at("/review"))
    page.get_by_role("button", name="로그아웃").click()
    expect(page.locator("input[name=username]")).to_be_focused()
    with a_page(browser) as elsewhere:
        elsewhere.goto(console.at("/review"))
        sign_in(elsewhere, console, "/review", totp.at(utc_now() + timedelta(seconds=30)))
        expect(elsewhere.locator("form[data-enter]")).to_be_visible()
        elsewhere.keyboard.press("Enter")
        expect(elsewhere.locator(".case[data-step=blind][data-ready]")).to_be_visible()


def sign_in(page: Page, console: Console, wanted: str, code: str) -> None:
    """As whoever was invited, with the code that the telephone shows next: each is good once."""
    expect(page.locator("input[name=username]")).to_be_focused()
    type_in_order(page, "김가을", PASSWORD)
    page.wait_for_url(console.at(f"/sign-in/code?next={wanted}"))
    check_for_everybody(page)
    expect(page.locator("input[name=code]")).to_be_focused()
    type_in_order(page, code)
    page.wait_for_url(console.at(wanted))


@pytest.mark.parametrize("language", ["ko", pytest.param("en", marks=LONG)])
def test_everybody_can_use_the_pages_about_accounts(
    console: Console, browser: Browser, language: str
) -> None:
    with a_page(browser) as page:
        console.enter(page.context, "kim", Role.ADMIN)
        page.context.add_cookies([{"name": "language", "value": language, "url": console.url}])
        kim = console.store.staff.accounts.find("kim")
        for path in ("/people", f"/people/{kim}", "/account"):
            page.goto(console.at(path))
            check_for_everybody(page)
    with a_page(browser) as page:
        page.context.add_cookies([{"name": "language", "value": language, "url": console.url}])
        page.goto(console.at("/sign-in"))
        type_in_order(page, "nobody", "a wrong password")
        expect(page.get_by_role("alert")).to_be_visible()
        check_for_everybody(page)
