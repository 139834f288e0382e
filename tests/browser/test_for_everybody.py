"""Every page can be used by everybody, on an office screen and a telephone, in both languages."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from support.browser import DESK, PHONE, a_page, serious_findings
from support.console import Console
from support.system import LONG
from worker.console.visit import LANGUAGE_COOKIE
from worker.store.tables.states import Role

OTHERS = ("/account", "/members?id=m2", "/nothing")
"""Pages that no entry of the menu leads to."""


def findings_of(page: Page) -> list[str]:
    """What axe says, and whether one must scroll sideways."""
    found = serious_findings(page)
    if page.evaluate("document.documentElement.scrollWidth > innerWidth + 1"):
        found.append("the page is wider than the window")
    return [f"{page.url}: {one}" for one in found]


@pytest.mark.parametrize(
    ("size", "language"),
    [
        pytest.param(DESK, "ko", id="desk-ko"),
        pytest.param(PHONE, "en", id="phone-en"),
        pytest.param(DESK, "en", id="desk-en", marks=LONG),
        pytest.param(PHONE, "ko", id="phone-ko", marks=LONG),
    ],
)
def test_axe_finds_nothing_serious_on_any_page(
    console: Console, browser: Browser, size: tuple[int, int], language: str
) -> None:
    for number in range(1, 4):
        console.case(number)
    found = []
    with a_page(browser, size) as page:
        choice = {"name": LANGUAGE_COOKIE, "value": language, "url": console.url}
        page.context.add_cookies([choice])  # type: ignore[list-item]
        page.goto(console.at("/sign-in"))
        found += findings_of(page)
        console.enter(page.context, "kim", *Role)
        page.goto(console.at("/account"))
        menu = [link.get_attribute("href") or "" for link in page.locator(".menu a").all()]
        assert len(menu) >= 6
        for path in (*menu, *OTHERS):
            page.goto(console.at(path))
            expect(page.locator("html")).to_have_attribute("lang", language)
            found += findings_of(page)
        page.goto(console.at("/review"))
        page.keyboard.press("Enter")
        expect(page.locator(".case[data-step=blind][data-ready]")).to_be_visible()
        found += findings_of(page)
        for key in ("1", "2", "Enter"):
            page.keyboard.press(key)
        expect(page.locator(".case[data-step=evidence][data-ready]")).to_be_visible()
        page.keyboard.press("r")
        found += findings_of(page)
    assert found == []
