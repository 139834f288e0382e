"""One Chromium for each file. Where there is none, these tests are skipped with one line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from support.browser import BrowserMissing, a_page, chromium, find_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window, for the tests of one file: its loop must not run beside others."""
    try:
        find_chromium()
    except BrowserMissing as missing:
        pytest.skip(str(missing))
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An office screen, in Korean."""
    with a_page(browser) as opened:
        yield opened
