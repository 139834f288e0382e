"""Writes the pictures of the console in docs/images: `PYTHONPATH=.:tests python -m support.console_pictures`.

The faces are drawn: they are nobody's.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Page, expect

from pipeline.verdict import Reason
from support.browser import DESK, PHONE, a_page, chromium
from support.bundle import ROOT
from support.console import Console, running_console
from worker.console.visit import LANGUAGE_COOKIE
from worker.migrations import migrate
from worker.store import build_engine
from worker.store.tables.states import Role

FOLDER: Final = ROOT / "docs" / "images"
_REASONS: Final = (
    Reason.DIFFERENT_PERSON,
    Reason.SAME_PICTURE,
    Reason.PRIMARY_UNSURE,
    Reason.GENDER_CONFLICT,
)
_CASES: Final = 12


def main() -> None:
    """Run the console, look at three pages, and save what is seen."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        url = f"sqlite:///{name}/verify.db"
        engine = build_engine(url)
        migrate(engine)
        engine.dispose()
        with running_console(Path(name) / "console", url, url) as console, chromium() as browser:
            for number in range(_CASES):
                console.case(number, f"m-{1001 + number}", gallery=3, reason=_REASONS[number % len(_REASONS)])
            with a_page(browser, DESK) as page:
                _enter(console, page, "kim", "ko")
                page.goto(console.at("/queue"))
                _save(page, "console-queue.png")
                _take(console, page)
                _save(page, "console-case.png")
            with a_page(browser, PHONE, "en-US") as page:
                _enter(console, page, "lee", "en")
                _take(console, page)
                for key in ("1", "1", "2", "Enter"):
                    page.keyboard.press(key)
                expect(page.locator(".case[data-step=evidence][data-ready]")).to_be_visible()
                _save(page, "console-phone.png")


def _save(page: Page, name: str) -> None:
    """As a small file: few colours, which drawings have anyway."""
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        picture.convert("RGB").quantize(128).save(FOLDER / name, optimize=True)


def _enter(console: Console, page: Page, name: str, language: str) -> None:
    console.enter(page.context, name, Role.CHECKER)
    page.context.add_cookies([{"name": LANGUAGE_COOKIE, "value": language, "url": console.url}])


def _take(console: Console, page: Page) -> None:
    page.goto(console.at("/review"))
    page.keyboard.press("Enter")
    expect(page.locator(".case[data-step=blind][data-ready]")).to_be_visible()


if __name__ == "__main__":
    main()
