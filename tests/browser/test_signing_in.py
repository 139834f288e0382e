"""From an invitation to the first case, with a password and a second factor."""

from __future__ import annotations

import re
from datetime import timedelta

import pyotp
from playwright.sync_api import Browser, Page, expect

from support.browser import a_page
from support.console import Console
from worker.clock import utc_now
from worker.store.tables.states import Role

PASSWORD = "a long sentence of nobody 1950"
SECRET = re.compile(r"\b(?:[A-Z2-7]{4}[ -]?){4,}\b")


def invited(console: Console, name: str) -> str:
    """The code of a new account."""
    return console.store.staff.accounts.add(name, [Role.REVIEWER], "admin", utc_now()).code


def enrol(page: Page, console: Console, code: str) -> pyotp.TOTP:
    """Choose a password and a second factor; what the telephone knows then."""
    page.goto(console.at("/enrol"))
    page.locator("input[name=invitation]").fill(code)
    page.keyboard.press("Enter")
    expect(page.locator("input[name=again]")).to_be_visible()
    found = SECRET.search(page.locator("main").inner_text())
    assert found
    telephone = pyotp.TOTP(re.sub("[ -]", "", found[0]))
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("input[name=again]").fill(PASSWORD)
    page.locator("input[name=code]").fill(telephone.now())
    page.keyboard.press("Enter")
    expect(page.locator("input[name=again]")).not_to_be_visible()
    return telephone


def sign_in(page: Page, console: Console, name: str, telephone: pyotp.TOTP) -> None:
    """With the code that the telephone shows next: each is good once."""
    page.goto(console.at("/review"))
    page.locator("input[name=username]").fill(name)
    page.locator("input[name=password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.locator("input[name=code]").fill(telephone.at(utc_now() + timedelta(seconds=30)))
    page.keyboard.press("Enter")


def test_an_invitation_a_password_and_a_telephone_lead_to_the_first_case(
    console: Console, browser: Browser, page: Page
) -> None:
    console.case(1)
    telephone = enrol(page, console, invited(console, "kim"))
    with a_page(browser) as again:
        sign_in(again, console, "kim", telephone)
        expect(again.locator("form[data-enter]")).to_be_visible()
        again.keyboard.press("Enter")
        expect(again.locator(".case[data-step=blind][data-ready]")).to_be_visible()
