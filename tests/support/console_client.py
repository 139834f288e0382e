"""The console's pages without a browser: people who have signed in, over a store of the test."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import httpx2
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.testclient import TestClient

from support.jobs import NOW, later
from worker.console.app import build
from worker.console.services import ConsoleRules, Services
from worker.store import Store
from worker.store.staff.records import Browser
from worker.store.staff.sessions import csrf_of
from worker.store.tables.states import Role, StaffAction, Stage

URL: Final = "http://127.0.0.1:8300"
_CASE: Final = re.compile(r'name="case" value="([^"]*)"')


@dataclass
class Clock:
    """Of the console; a test moves it."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def at(self, seconds: float) -> None:
        """So many seconds after `NOW`."""
        self.now = later(seconds)


@dataclass
class Office:
    """The console over a store, and its clock."""

    store: Store
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        rules = ConsoleRules(url=URL, zone=ZoneInfo("Asia/Seoul"))
        self.app: Starlette = build(Services(store=self.store, rules=rules, clock=self.clock))

    def person(self, name: str, *roles: Role) -> Desk:
        """Somebody who has signed in; a reviewer where nothing else is said."""
        t, now = self.store.database.t.staff, self.clock.now

        def write(c: sa.Connection) -> str:
            account = {"name": name, "folded": name.lower(), "created_at": now}
            number = int(c.execute(sa.insert(t.account).values(**account)).lastrowid)
            for role in roles or (Role.REVIEWER,):
                grant = {"account_id": number, "name": name, "action": StaffAction.GIVEN, "role": role}
                c.execute(sa.insert(t.grant).values(**grant, changed_by="admin", changed_at=now))
            browser = Browser("127.0.0.1", "a test")
            return self.store.staff.sessions.start(c, number, Stage.COMPLETE, browser, now)

        return Desk(self, name, self.store.database.write(write))


class Desk:
    """One person's browser."""

    def __init__(self, office: Office, name: str, token: str) -> None:
        self.office, self.name = office, name
        self.csrf = csrf_of(token)
        self.client = TestClient(office.app, base_url=URL, follow_redirects=False)
        self.client.cookies.set("session", token)

    def get(self, path: str) -> httpx2.Response:
        """A page."""
        return self.client.get(path)

    def post(
        self, path: str, values: Mapping[str, Any] | None = None, *, htmx: bool = True
    ) -> httpx2.Response:
        """A form with this session's token, sent as the pages send it."""
        headers = {"hx-request": "true"} if htmx else {}
        return self.client.post(path, data={"csrf": self.csrf, **(values or {})}, headers=headers)

    def take(self) -> str:
        """The next case; by which its page names the claim."""
        return case_in(self.post("/review/next"))


def case_in(page: httpx2.Response) -> str:
    """The claim that a page was made for. Fails where there is none on it."""
    found = _CASE.search(page.text)
    assert found, page.text[:2000]
    return found[1]
