"""Operators' pages in a browser: for everybody, on a phone, on paper, with a question before each change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from pipeline.verdict import Reason, Status
from support import reviews
from support.browser import DESK, PHONE, a_page, serious_findings
from support.cases import a_store, judged
from support.desk import Desk, person
from support.heads import a_bundle, a_head
from support.jobs import LEASE, MOST, NOW, later
from support.system import LONG
from worker.migrations import migrate
from worker.serving.registry import publish
from worker.settings import load_settings
from worker.store import DeadJob, Ending, NewObjection, RunLease, Store, build_engine
from worker.store.tables.states import Role

BOTH = {"champion": 0.011, "challenger": 0.041, "low95": -0.002, "high95": 0.06, "margin": 0.05}
GATE = {"passed": False, "reasons": ["it may be worse"], "figures": {"fnmr_at_fmr": {"all": BOTH}}}
PATHS = (
    *("/members", "/members?id=m1", "/members?id=m2", "/members?id=m1&view=looks"),
    *("/members/letter?id=m1&in=ko", "/members/object?id=m1", "/members/objections"),
    *("/jobs?reason=no_task", "/training", "/training/run?number=1"),
)


OFFICE_AND_TELEPHONE = [
    pytest.param(DESK, "ko", id="desk", marks=LONG),
    pytest.param(PHONE, "en", id="phone"),
]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, str]]:
    """A desk with something on every page, and its address."""
    folder = tmp_path_factory.mktemp("desk")
    engine = build_engine(f"sqlite:///{folder / 'verify.db'}")
    migrate(engine)
    store = a_store(engine)
    _fill(store, folder)
    settings = load_settings({"home": folder / "var", "bundle": a_bundle(folder / "shipped", "default")})
    desk = Desk(store, settings, now=later(600))
    with desk.served() as url:
        yield desk, url
    engine.dispose()


def _fill(store: Store, folder: Path) -> None:
    judged(store)
    reviews.decide(store, "m1", Status.REJECTED, "choi", later(60))
    judged(store, "r2", "m2", 70)  # a person is still to decide
    judged(store, "r3", "m3", 80, status=Status.APPROVED, reason=Reason.SAME_PERSON)
    for days in (31, 26):
        store.reviews.objections.record(NewObjection("m3", NOW - timedelta(days=days), f"o{days}"), later(90))
    for _ in range(3):
        store.dead_jobs.add(DeadJob("no_task", "no task header", b"x", "verify"), NOW)
    version = publish(store.models, a_bundle(folder / "new"), NOW)
    store.models.promote(version, NOW)
    store.models.note_problem(version, "host-2", "the bundle here does not hold sface", NOW)
    store.training_runs.ask("lee", NOW)
    lease = store.training_runs.acquire("w", LEASE, MOST, NOW)
    assert isinstance(lease, RunLease)
    ending = Ending(a_head(folder / "worse", "worse"), version, False, ("it may be worse",), promote=False)
    assert store.training_runs.publish(lease, ending, {"gate": GATE, "members": {"failed": 0}}, NOW)


def visit(page: Page, url: str, path: str, language: str = "ko") -> None:
    page.context.add_cookies([{"name": "language", "value": language, "url": url}])
    page.goto(url + path)


@pytest.mark.parametrize(("size", "language"), OFFICE_AND_TELEPHONE)
def test_everybody_can_use_every_page_and_none_is_wider_than_the_screen(
    browser: Browser, scene: tuple[Desk, str], size: tuple[int, int], language: str
) -> None:
    with a_page(browser, size) as page:
        for path in PATHS:
            visit(page, scene[1], path, language)
            assert serious_findings(page) == [], path
            assert page.evaluate("document.documentElement.scrollWidth") <= size[0], path


def test_a_question_is_a_dialog_that_can_be_left_by_a_key(page: Page, scene: tuple[Desk, str]) -> None:
    desk, url = scene
    visit(page, url, "/jobs?reason=no_task")
    page.get_by_role("button", name="이 사유 3건 종결").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("3건을 종결할까요?")
    assert serious_findings(page) == []
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert desk.store.dead_jobs.count_open() == {"no_task": 3}
    page.get_by_role("button", name="종결", exact=True).first.click()
    dialog.get_by_label("메모(선택)").fill("앱을 고쳤습니다")
    dialog.get_by_role("button", name="1건 종결").click()
    expect(page.get_by_role("status").first).to_contain_text("1건을 종결했습니다.")
    assert desk.store.dead_jobs.count_open() == {"no_task": 2}


def test_an_error_instead_of_a_question_is_a_dialog_that_a_button_closes(
    page: Page, scene: tuple[Desk, str]
) -> None:
    desk, url = scene
    visit(page, url, "/jobs?reason=no_task")
    operator, desk.who = desk.who, person(Role.AUDITOR)  # since the page was shown
    try:
        page.get_by_role("button", name="종결", exact=True).first.click()
        dialog = page.locator("#ask")
        expect(dialog.get_by_role("alert")).to_be_visible()
        expect(page.get_by_role("main")).to_have_count(1)  # no page within the page
        assert serious_findings(page) == []
        dialog.get_by_text("닫기").click()
        expect(dialog).to_be_hidden()
        assert page.url.endswith("/jobs?reason=no_task")
    finally:
        desk.who = operator


def test_on_paper_there_is_nothing_but_the_letter(page: Page, scene: tuple[Desk, str]) -> None:
    visit(page, scene[1], "/members/letter?id=m1&in=ko")
    expect(page.get_by_role("button", name="인쇄")).to_be_visible()
    page.emulate_media(media="print")
    expect(page.get_by_role("button", name="인쇄")).to_be_hidden()
    expect(page.get_by_role("navigation").first).to_be_hidden()
    text = page.locator("body").inner_text().strip()
    assert text.startswith("사진 인증에 대한 설명")
    assert page.locator("article").inner_text().strip() == text
