"""Reviewing by keyboard alone, in a browser: ten cases, and what every key does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, expect

from support.browser import DESK, PHONE, a_page, serious_findings
from support.console import Console, running_console
from worker.migrations import migrate
from worker.store import build_engine
from worker.store.tables.states import PairLabel, Phase

CASES = 10


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    folder = tmp_path_factory.mktemp("console")
    url = f"sqlite:///{folder / 'verify.db'}"
    engine = build_engine(url)
    migrate(engine)
    engine.dispose()
    with running_console(folder, url, url) as running:
        for number in range(CASES + 6):
            running.case(number)
        yield running


def at_work(console: Console, page: Page, name: str) -> None:
    """Sign in and take the first case by its key."""
    console.enter(page.context, name)
    page.goto(console.at("/review"))
    page.keyboard.press("Enter")
    ready(page, "blind")


def ready(page: Page, step: str) -> None:
    expect(page.locator(f".case[data-ready][data-step={step}]")).to_be_visible()


def test_ten_cases_are_decided_by_keys_alone(console: Console, page: Page) -> None:
    at_work(console, page, "kim")
    for number in range(CASES):
        page.keyboard.press("1")
        page.keyboard.press("2")
        page.keyboard.press("Enter")
        ready(page, "evidence")
        page.keyboard.press("a")
        page.keyboard.press("Enter")
        ready(page, "blind")
        expect(page.locator(".undo-text")).to_contain_text("승인했습니다.")
        expect(page.locator(".progress")).to_contain_text(f"{number + 1}건")
    t = console.store.database.t
    with console.store.database.engine.connect() as c:
        labels = c.execute(sa.select(t.label.c.position, t.label.c.label, t.label.c.phase)).all()
        decisions = c.execute(sa.select(t.decision.c.status, t.decision.c.decided_by)).all()
    assert sorted(labels) == sorted(
        [(1, PairLabel.GENUINE, Phase.BLIND), (2, PairLabel.IMPOSTOR, Phase.BLIND)] * CASES
    )
    assert decisions == [("approved", "kim")] * CASES


def test_each_key_does_its_work_and_none_while_somebody_types(console: Console, page: Page) -> None:
    at_work(console, page, "lee")
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


def test_the_members_text_is_shown_first_and_undo_brings_the_case_back(console: Console, page: Page) -> None:
    at_work(console, page, "park")
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
    t = console.store.database.t.review_case
    with console.store.database.engine.begin() as c:
        c.execute(
            sa.update(t).where(t.c.reviewer == "choi").values(attempts=t.c.attempts + 1, reviewer="han")
        )
    for key in ("1", "1", "Enter"):
        page.keyboard.press(key)
    expect(page.get_by_role("alert")).to_contain_text("han 님이 이 건을 심사하고 있습니다.")
    expect(page.get_by_role("button", name="다음 건 심사")).to_be_visible()


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("size", [DESK, PHONE])
def test_everybody_can_use_the_pages(
    console: Console, browser: Browser, size: tuple[int, int], language: str
) -> None:
    with a_page(browser, size) as page:
        page.context.add_cookies([{"name": "language", "value": language, "url": console.url}])
        console.enter(page.context, "jung")
        for path in ("/queue", "/review"):
            page.goto(console.at(path))
            assert serious_findings(page) == []
        if not page.locator(".case").count():
            page.locator("form[data-enter] button").click()
        expect(page.locator(".case[data-ready]")).to_be_visible()
        assert _overflow(page) == (0, 0)
        assert serious_findings(page) == []
        if page.locator(".case[data-step=blind]").count():
            for key in ("1", "1", "Enter"):
                page.keyboard.press(key)
        ready(page, "evidence")
        assert serious_findings(page) == []
        page.keyboard.press("n")
        assert serious_findings(page) == []


def _overflow(page: Page) -> tuple[int, int]:
    """By how much the page is wider and higher than the window."""
    found = page.evaluate(
        "() => [document.body.scrollWidth - innerWidth, document.body.scrollHeight - innerHeight]"
    )
    return max(0, found[0]), max(0, found[1])
