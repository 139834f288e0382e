"""What stands before every page of the console."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from click.testing import Result
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Message

from worker.console import guard
from worker.console.app import build
from worker.console.guard import MAX_BODY, Guard, MenuEntry
from worker.console.pages.home import own_path
from worker.console.roles import Permission
from worker.console.services import ConsoleRules, Services
from worker.console.visit import Visit
from worker.errors import NotPossible, StoreUnavailable
from worker.store import Store
from worker.store.staff.records import Person
from worker.store.tables.states import Role

Cli = Callable[..., Result]
URL = "https://review.example.com"


@pytest.fixture
def services(store: Store) -> Services:
    rules = ConsoleRules(url=URL, zone=ZoneInfo("Asia/Seoul"))
    return Services(store=store, rules=rules, clock=lambda: datetime.now(UTC))


@pytest.fixture
def console(services: Services) -> Starlette:
    return build(services)


@pytest.fixture
def browser(console: Starlette) -> TestClient:
    """Somebody who has not signed in."""
    return TestClient(console, base_url=URL, follow_redirects=False)


async def half_a_form(console: Starlette, *, goes_away: bool) -> int:
    """Send the first part of a form, then leave or say nothing more; the status that comes back."""
    part: Message = {"type": "http.request", "body": b"next=", "more_body": True}
    parts, sent = [part, *([{"type": "http.disconnect"}] if goes_away else [])], []

    async def receive() -> Message:
        return parts.pop(0) if parts else await asyncio.Future()

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", b"review.example.com"), (b"content-type", b"application/x-www-form-urlencoded")]
    where = {"type": "http", "method": "POST", "path": "/language", "scheme": "https", "query_string": b""}
    await console({**where, "headers": headers, "client": ("192.0.2.1", 1)}, receive, send)
    return int(sent[0]["status"])


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
class TestBeforeAnybodyHasSignedIn:
    def test_a_page_leads_to_the_sign_in_and_back(self, browser: TestClient) -> None:
        answer = browser.get("/")
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/")

    def test_htmx_leads_the_whole_page_there(self, browser: TestClient) -> None:
        answer = browser.get("/", headers={"hx-request": "true"})
        assert (answer.status_code, answer.headers["hx-redirect"]) == (204, "/sign-in?next=/")

    @pytest.mark.parametrize("path", ["/", "/nothing", "/healthz", "/static/console.css"])
    def test_every_answer_has_the_headers_of_safety(self, browser: TestClient, path: str) -> None:
        headers = browser.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["strict-transport-security"].startswith("max-age=")
        assert "server" not in headers

    def test_the_page_of_an_error_of_the_program_has_them_too(self, console: Starlette) -> None:
        async def fails(_: Request) -> Response:
            raise RuntimeError("a mistake in a page")

        console.router.routes.append(Route("/fails", fails))
        browser = TestClient(console, base_url=URL, raise_server_exceptions=False)
        answer = browser.get("/fails")
        assert (answer.status_code, "프로그램 오류입니다" in answer.text) == (500, True)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["strict-transport-security"].startswith("max-age=")

    def test_pages_are_kept_by_nobody(self, browser: TestClient) -> None:
        assert browser.get("/").headers["cache-control"] == "no-store"

    def test_a_request_for_another_host_is_refused(self, browser: TestClient) -> None:
        assert browser.get("/", headers={"host": "elsewhere.example.com"}).status_code == 400

    def test_a_form_that_is_too_large_is_refused(self, browser: TestClient) -> None:
        assert browser.post("/language", data={"next": "x" * MAX_BODY}).status_code == 413

    def test_a_form_without_a_length_is_refused_as_soon_as_it_is_too_large(self, browser: TestClient) -> None:
        pieces = (b"next=" + b"x" * 1000 for _ in range(1000))
        form = {"content-type": "application/x-www-form-urlencoded"}
        assert browser.post("/language", content=pieces, headers=form).status_code == 413

    def test_whoever_goes_away_in_the_middle_of_a_form_is_no_error_of_ours(self, console: Starlette) -> None:
        assert asyncio.run(half_a_form(console, goes_away=True)) == 408

    def test_a_form_that_does_not_end_is_refused(
        self, console: Starlette, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(guard, "BODY_SECONDS", 0.05)
        assert asyncio.run(half_a_form(console, goes_away=False)) == 408

    def test_what_is_not_there_is_said_in_the_readers_language(self, browser: TestClient) -> None:
        assert "찾을 수 없습니다" in browser.get("/nothing").text
        browser.post("/language", data={"next": "/", "language": "en"})
        assert "There is nothing here" in browser.get("/nothing").text

    def test_the_button_of_the_language_names_the_one_that_it_leads_to(self, browser: TestClient) -> None:
        assert 'name="language" value="en" lang="en"' in browser.get("/nothing").text
        for _ in range(2):  # the second press is of a page that was loaded before the first
            answer = browser.post("/language", data={"next": "/nothing", "language": "en"})
            assert (answer.status_code, answer.headers["location"]) == (303, "/nothing")
            assert 'name="language" value="ko" lang="ko"' in browser.get("/nothing").text
        browser.post("/language", data={"language": "ko"})
        assert "찾을 수 없습니다" in browser.get("/nothing").text

    @pytest.mark.parametrize(
        "sent_by", [{"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}]
    )
    def test_another_site_does_not_change_the_language(
        self, browser: TestClient, sent_by: dict[str, str]
    ) -> None:
        assert browser.post("/language", data={"language": "en"}, headers=sent_by).status_code == 403
        assert "찾을 수 없습니다" in browser.get("/nothing").text

    def test_an_address_is_never_taken_for_a_script(self, browser: TestClient) -> None:
        assert "<script>alert" not in browser.get("/<script>alert(1)</script>").text


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (NotPossible("there was never such a case"), 409, "there was never such a case"),
        (StoreUnavailable("no connection"), 503, "The database cannot be reached"),
    ],
)
def test_what_the_store_could_not_do_is_said_in_the_persons_language_and_beside_their_menu(
    services: Services, error: Exception, status: int, text: str
) -> None:
    def fails(_: Visit) -> Response:
        raise error

    kim = Person(1, "Kim", frozenset({Role.REVIEWER}), "en", 1, "token")
    menu = (MenuEntry("nav.queue", "/queue", Permission.QUEUE),)
    guard = Guard(services=services, person_of=lambda _: kim, menu=menu)
    answer = TestClient(Starlette(routes=[guard.page("/fails", fails)]), base_url=URL).get("/fails")
    assert answer.status_code == status
    assert text in answer.text
    assert '<html lang="en">' in answer.text
    assert '<a href="/queue"' in answer.text
    assert '<a class="plain" href="/account"' in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "//elsewhere.example.com",
        "https://elsewhere.example.com",
        "/\\elsewhere",
        "javascript:x",
        "",
        None,
        "/\n",
    ],
)
def test_after_the_sign_in_nobody_is_led_to_another_site(path: str | None) -> None:
    assert own_path(path) == "/"


def test_after_the_sign_in_people_come_to_the_page_they_wanted() -> None:
    assert own_path("/review") == "/review"


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_it_does_not_start_on_tables_that_are_older_than_it(here: Cli, engine: sa.Engine) -> None:
    with engine.begin() as c:
        c.execute(sa.text("UPDATE verify_schema_version SET version_num = '0018'"))
    refused = here("console")
    assert refused.exit_code == 1
    assert "the tables are at revision 0018" in refused.output
