"""One console for all files, one Chromium for each file. Where there is none, these tests are skipped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from support.browser import BrowserMissing, a_page, chromium, find_chromium
from support.console import Console, running_console
from support.grants import Granted, granted_database


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


@pytest.fixture(scope="session")
def granted(mariadb_url: str) -> Iterator[Granted]:
    """A database whose accounts have few rights, as in production."""
    with granted_database(mariadb_url) as found:
        yield found


@pytest.fixture(scope="session")
def office(granted: Granted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console with the account `verify_console` of the database, for all tests of this process."""
    owner = granted.admin.url.render_as_string(hide_password=False)
    folder = tmp_path_factory.mktemp("console")
    with running_console(folder, granted.url_of("verify_console"), owner) as console:
        yield console


@pytest.fixture
def console(office: Console, granted: Granted) -> Console:
    """The same, with empty tables, and a host of photos that nobody has asked yet."""
    granted.empty()
    office.photos.hits.clear()
    return office
