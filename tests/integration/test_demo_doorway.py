"""The link into the demo's console: it opens a session once, and nothing but that."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
from starlette.testclient import TestClient

from worker.console.app import build
from worker.console.services import ConsoleRules, Services
from worker.demo.doorway import Doorway, make_account
from worker.store import Store

URL = "http://127.0.0.1:8300"


@pytest.fixture
def links(store: Store) -> list[str]:
    """Those that the terminal has shown."""
    return []


@pytest.fixture
def visitor(store: Store, links: list[str]) -> TestClient:
    """Somebody at the demo's machine."""
    its = Services(
        store=store,
        rules=ConsoleRules(url=URL, zone=ZoneInfo("Asia/Seoul")),
        clock=lambda: datetime.now(UTC),
    )
    make_account(its)
    door = Doorway(build(its), its, links.append)
    return TestClient(door, base_url=URL, follow_redirects=False)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
class TestTheLink:
    def test_it_opens_a_session_once_and_then_there_is_another(
        self, visitor: TestClient, links: list[str]
    ) -> None:
        [first] = links
        assert first.startswith(f"{URL}/demo/")
        entered = visitor.get(urlsplit(first).path)
        assert (entered.status_code, entered.headers["location"]) == (303, "/")
        assert "httponly" in entered.headers["set-cookie"].lower()
        assert visitor.get("/").headers.get("location", "") != "/sign-in?next=/"
        assert visitor.get(urlsplit(first).path).status_code == 410
        assert len(links) == 2

    def test_a_guessed_one_opens_none(self, visitor: TestClient, links: list[str]) -> None:
        for guess in ("", "x", "ä", links[0].rsplit("/", 1)[1] + "x"):
            answer = visitor.get(f"/demo/{guess}")
            assert answer.status_code == 410
            assert "set-cookie" not in answer.headers
        assert visitor.get("/").headers["location"] == "/sign-in?next=/"
        assert len(links) == 1
