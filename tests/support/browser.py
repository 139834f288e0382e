"""Chromium without a window, led by Playwright, and axe-core: can everybody use the page?"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Final

from playwright.sync_api import Browser, Page, expect, sync_playwright

MILLISECONDS: Final = 60_000
"""More than anything here takes, on however busy a machine."""
DESK: Final = (1280, 800)
"""An office screen: width and height in pixels."""
PHONE: Final = (390, 844)
_ARGUMENTS: Final = (
    "--no-sandbox",  # the tests may run as root, and open no page but ours
    "--disable-gpu",
    "--disable-dev-shm-usage",  # /dev/shm is small in a container
)
_AXE: Final = (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
_RULES: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
_SERIOUS: Final = {"serious", "critical"}


_PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class BrowserMissing(Exception):
    """Chromium is not installed."""


def find_chromium() -> str:
    """The path of the program, or `BrowserMissing`."""
    for name in _PROGRAMS:
        if path := shutil.which(name):
            return path
    raise BrowserMissing("Chromium is not installed: apt-get install -y chromium fonts-noto-cjk")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser of this process's own."""
    expect.set_options(timeout=MILLISECONDS)
    path = find_chromium()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS, timeout=MILLISECONDS)
        yield started
        started.close()


@contextmanager
def a_page(browser: Browser, size: tuple[int, int] = DESK, language: str = "ko-KR") -> Iterator[Page]:
    """A page with cookies of its own: another person's browser. An error in a script fails the test."""
    errors: list[str] = []
    with browser.new_context(
        viewport={"width": size[0], "height": size[1]}, locale=language, timezone_id="Asia/Seoul"
    ) as context:
        context.set_default_timeout(MILLISECONDS)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if _is_refusal(said.text) else None)
        yield page
    assert errors == []


def _is_refusal(text: str) -> bool:
    """Whether the browser says that our own policy keeps a page from something."""
    return "Content Security Policy" in text


def serious_findings(page: Page) -> list[str]:
    """What axe finds on the page that somebody could not use, a line each."""
    page.evaluate(_AXE)
    found = page.evaluate(
        "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})", [*_RULES]
    )
    return [
        f"{violation['id']}: {violation['help']}: {node['html'][:160]}"
        for violation in found["violations"]
        if violation["impact"] in _SERIOUS
        for node in violation["nodes"]
    ]


def wait_for_photos(page: Page) -> None:
    """Until all photos of the case are there: about one that was not shown nobody can answer."""
    for image in page.locator(".case img.face").all():
        expect(image).not_to_have_js_property("naturalWidth", 0)
