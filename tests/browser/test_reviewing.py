"""Reviewers at work in a browser, by keyboard alone; two of them, and one case."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from playwright.sync_api import Browser, Locator, Page, expect

from pipeline.verdict import Status
from support.browser import PHONE, a_page, wait_for_photos
from support.console import Console
from support.workers import rows
from worker.clock import utc_now
from worker.store.tables.states import PairLabel

CASES = 10
DECISIONS = (("a", "approve"), ("r", "reject"), ("n", "new_photo"), ("e", "escalate"))
"""Key, and choice."""
STATUSES = {"approve": Status.APPROVED, "reject": Status.REJECTED, "new_photo": Status.RETRY_PHOTO}


def at_step(page: Page, step: str) -> Locator:
    """The case, once its photos are there."""
    return page.locator(f".case[data-step={step}][data-ready]")


def answer(page: Page, keys: str) -> None:
    """The photos one after another, blind."""
    expect(at_step(page, "blind")).to_be_visible()
    wait_for_photos(page)
    for key in keys:
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    expect(at_step(page, "evidence")).to_be_visible()


def decide(page: Page, key: str) -> None:
    """With the first of the reasons."""
    page.keyboard.press(key)
    page.keyboard.press("Space")
    page.keyboard.press("Enter")


def table(console: Console, name: str) -> list[dict[str, Any]]:
    return rows(console.store, console.store.database.t.metadata.tables[name])


def test_ten_cases_are_decided_by_keyboard_alone(console: Console, page: Page) -> None:
    members = [console.case(number) for number in range(CASES)]
    console.enter(page.context, "kim")
    page.goto(console.at("/review"))
    page.keyboard.press("Enter")
    for number in range(CASES):
        key, _ = DECISIONS[number % len(DECISIONS)]
        answer(page, "11" if key == "a" else "12")
        decide(page, key)
    expect(page.locator(".case-none")).to_be_visible()
    labels = Counter(row["label"] for row in table(console, "label"))
    approved = sum(1 for number in range(CASES) if number % len(DECISIONS) == 0)
    assert labels == {PairLabel.GENUINE: CASES + approved, PairLabel.IMPOSTOR: CASES - approved}
    choices = Counter(row["choice"] for row in table(console, "review_vote"))
    assert choices == Counter(DECISIONS[number % len(DECISIONS)][1] for number in range(CASES))
    decided = {choice: count for choice, count in choices.items() if choice in STATUSES}
    assert Counter(row["verification_status"] for row in table(console, "member")) == {
        **{STATUSES[choice]: count for choice, count in decided.items()},
        Status.REVIEW: choices["escalate"],
    }
    assert {row["decided_by"] for row in table(console, "decision")} == {"kim"}
    events = Counter(row["payload"]["data"]["status"] for row in table(console, "event"))
    assert events == {STATUSES[choice]: count for choice, count in decided.items()}
    seen = {row["member_id"] for row in table(console, "access_log") if row["looked_by"] == "kim"}
    assert seen >= {*members}


def test_of_two_reviewers_one_gets_the_case_and_the_other_is_told(
    console: Console, browser: Browser, page: Page
) -> None:
    console.case(1)
    console.enter(page.context, "kim")
    with a_page(browser) as other:
        console.enter(other.context, "lee")
        for one in (page, other):
            one.goto(console.at("/review"))
        page.keyboard.press("Enter")
        other.keyboard.press("Enter")
        for one in (page, other):
            expect(at_step(one, "blind").or_(one.locator(".case-none .dim:not(.progress)"))).to_be_visible()
        holders = [one for one in (page, other) if one.locator(".case").count()]
        assert len(holders) == 1
    [case] = table(console, "review_case")
    assert case["reviewer"] == ("kim" if holders == [page] else "lee")


def test_whoever_comes_back_too_late_is_told_who_has_the_case(
    console: Console, browser: Browser, page: Page
) -> None:
    console.case(1)
    console.enter(page.context, "kim")
    page.goto(console.at("/review"))
    page.keyboard.press("Enter")
    expect(at_step(page, "blind")).to_be_visible()
    wait_for_photos(page)
    case = console.store.database.t.review_case
    with console.store.database.engine.begin() as c:
        c.execute(sa.update(case).values(lease_until=utc_now() - timedelta(seconds=1)))
    with a_page(browser) as other:
        console.enter(other.context, "lee")
        other.goto(console.at("/review"))
        other.keyboard.press("Enter")
        expect(at_step(other, "blind")).to_be_visible()
    page.keyboard.press("1")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("lee")
    assert table(console, "label") == []


def test_what_somebody_has_typed_runs_nowhere(console: Console, browser: Browser) -> None:
    script = "<img src=x onerror=document.title='run'><script>document.title='run'</script>"
    member = "<script>document.title='run'</script>"
    console.case(1, member_id=member)
    with a_page(browser, PHONE) as page:
        console.enter(page.context, "kim")
        page.goto(console.at("/review"))
        page.keyboard.press("Enter")
        answer(page, "12")
        expect(page.locator("aside")).to_contain_text(member)
        page.keyboard.press("e")
        page.keyboard.press("Space")
        page.locator("#note").fill(script)
        page.locator(".confirm:visible").click()
        expect(page.locator(".case-none")).to_be_visible()
        assert "run" not in page.title()
        console.enter(page.context, "lee")
        page.goto(console.at("/review"))
        page.keyboard.press("Enter")
        answer(page, "12")
        expect(page.locator(".evidence")).to_contain_text(script)
        assert "run" not in page.title()


def test_of_a_photo_nothing_is_on_disk_afterwards(console: Console, page: Page) -> None:
    console.case(1)
    console.enter(page.context, "kim")
    page.goto(console.at("/review"))
    page.keyboard.press("Enter")
    expect(at_step(page, "blind")).to_be_visible()
    page.keyboard.press("f")
    expect(page.locator("img.whole:visible").first).to_have_js_property("complete", value=True)
    answer(page, "12")
    assert set(console.photos.hits) == {"/m1/0.jpg", "/m1/1.jpg", "/m1/2.jpg"}
    folder = console.home.parent
    written = [file for file in folder.rglob("*") if file.is_file()]
    assert folder / "worker.log" in written
    assert [file for file in written if b"\xff\xd8\xff" in file.read_bytes()] == []
    opened = [link.readlink() for link in Path(f"/proc/{console.worker.pid}/fd").iterdir()]
    deleted = [file for file in map(str, opened) if file.endswith("(deleted)")]
    assert deleted == []
    for name in console.store.database.t.metadata.tables:
        assert not [row for row in table(console, name) if "\\xff\\xd8\\xff" in repr(row)], name
