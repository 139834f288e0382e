"""What every key does in a browser, and what is seen at once."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, expect

from support.browser import DESK, PHONE, a_page, wait_for_photos
from support.console import Console


def at_work(console: Console, page: Page, name: str) -> None:
    """Sign in and take the first of two cases by its key."""
    for number in (1, 2):
        console.case(number)
    console.enter(page.context, name)
    page.goto(console.at("/review"))
    page.keyboard.press("Enter")
    ready(page, "blind")


def ready(page: Page, step: str) -> None:
    expect(page.locator(f".case[data-ready][data-step={step}]")).to_be_visible()


def test_each_key_does_its_work_and_none_while_somebody_types(console: Console, page: Page) -> None:
    at_work(console, page, "lee")
    wait_for_photos(page)
    shown = page.locator(".pane.gallery:not([hidden]) figcaption")
    expect(shown).to_have_text("1번 사진")
    page.keyboard.press("j")
    expect(shown).to_have_text("2번 사진")
    page.keyboard.press("k")
    expect(shown).to_have_text("1번 사진")
    page.keyboard.press("+")
    expect(page.locator(".zoom-level")).to_have_text("140 %")
    page.keyboard.press("0")
    expect(page.locator(".zoom-level")).to_have_text("100 %")
    page.keyboard.press("f")
    expect(page.locator(".pane.selfie img.whole")).to_be_visible()
    page.keyboard.press("f")
    expect(page.locator(".pane.selfie img.face")).to_be_visible()
    page.keyboard.press("?")
    expect(page.locator("dialog.help")).to_be_visible()
    page.keyboard.press("1")
    page.keyboard.press("Escape")
    expect(page.locator("fieldset.answer input:checked")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(page.locator("#say")).to_contain_text("아직 답하지 않은 사진이 있습니다.")
    page.keyboard.press("3")
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    ready(page, "evidence")
    page.keyboard.press("m")
    expect(page.locator(".pane.selfie .marks[data-shape=face]")).to_be_visible()
    page.keyboard.press("n")
    expect(page.locator(".for-choice[data-choice=new_photo]")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".ruling")).to_be_hidden()
    page.keyboard.press("e")
    page.locator("#note").click()
    page.keyboard.type("an1z")
    expect(page.locator("#note")).to_have_value("an1z")
    expect(page.locator("input[name=choice]:checked")).to_have_value("escalate")


def test_of_a_photo_that_was_not_shown_nobody_says_whose_it_is(console: Console, page: Page) -> None:
    gone = {"problem": "gone", "text": "사진이 더 이상 없습니다.", "again": False}
    page.route("**/case/photo/2/face*", lambda route: route.fulfill(status=502, json=gone))
    at_work(console, page, "seo")
    for key in ("1", "1", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#say")).to_contain_text("사진을 불러오지 못했습니다.")
    expect(page.locator(".pane[data-position='2'] .failed-text")).to_have_text("사진이 더 이상 없습니다.")
    for key in ("3", "Enter"):
        page.keyboard.press(key)
    ready(page, "evidence")


def test_the_members_text_is_shown_first_and_undo_brings_the_case_back(console: Console, page: Page) -> None:
    at_work(console, page, "park")
    wait_for_photos(page)
    member = page.locator(".whose strong").inner_text()
    for key in ("3", "3", "Enter"):
        page.keyboard.press(key)
    ready(page, "evidence")
    page.keyboard.press("n")
    page.locator("label:has(input[name=code-new_photo][value=too_dark])").click()
    page.locator("label:has(input[name=photo][value='2'])").click()
    text = page.locator(".member-text .text:visible")
    expect(text.locator("[lang=ko]")).to_contain_text("2번 사진이 너무 어둡게 나왔습니다.")
    expect(text.locator("[lang=en]")).to_contain_text("Photo 2 is too dark.")
    page.locator(".confirm:visible").click()
    ready(page, "blind")
    page.keyboard.press("z")
    ready(page, "evidence")
    expect(page.locator(".whose strong")).to_have_text(member)


def test_a_case_that_was_lost_meanwhile_is_said(console: Console, page: Page) -> None:
    at_work(console, page, "choi")
    wait_for_photos(page)
    t = console.store.database.t.review_case
    with console.store.database.engine.begin() as c:
        c.execute(
            sa.update(t).where(t.c.reviewer == "choi").values(attempts=t.c.attempts + 1, reviewer="han")
        )
    for key in ("1", "1", "Enter"):
        page.keyboard.press(key)
    expect(page.get_by_role("alert")).to_contain_text("han 님이 이 건을 심사하고 있습니다.")
    expect(page.get_by_role("button", name="다음 건 심사")).to_be_visible()


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_both_faces_and_the_answers_are_seen_without_scrolling(
    console: Console, browser: Browser, size: tuple[int, int]
) -> None:
    with a_page(browser, size) as page:
        at_work(console, page, f"jung-{size[0]}")
        assert _overflow(page) == (0, 0)


def _overflow(page: Page) -> tuple[int, int]:
    """By how much the page is wider and higher than the window."""
    found = page.evaluate(
        "() => [document.body.scrollWidth - innerWidth, document.body.scrollHeight - innerHeight]"
    )
    return max(0, found[0]), max(0, found[1])
