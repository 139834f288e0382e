"""An operator at the console: the real pages over a real store, without signing in first."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from html import unescape
from pathlib import Path
from threading import Thread
from typing import Any, Final
from zoneinfo import ZoneInfo

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient

from support.cases import rows
from support.jobs import NOW
from worker.broker.publisher import Publisher
from worker.console import app
from worker.console.guard import Guard, Headers
from worker.console.services import ConsoleRules, Services
from worker.operating.broker import BrokerCheck
from worker.operating.heads import HeadChecks
from worker.operating.operations import Operations
from worker.results.explained import Terms
from worker.serving.registry import NetworkFiles
from worker.serving.signatures import HeadSignatures
from worker.settings import Settings
from worker.store import Store
from worker.store.staff.records import Person
from worker.store.tables.states import Role

TOKEN: Final = "a token"
IN_DIALOG: Final = {"hx-request": "true", "hx-target": "question"}
STATIC: Final = Path(app.__file__).parent / "static"


def person(*roles: Role, name: str = "lee") -> Person:
    """Somebody who has signed in."""
    return Person(1, name, frozenset(roles), None, 1, TOKEN)


@dataclass
class Desk:
    """What a test may change: the time, the settings, who sits there."""

    store: Store
    settings: Settings
    who: Person = field(default_factory=lambda: person(Role.OPERATOR))
    now: datetime = NOW
    retrain_problem: str | None = None

    def __post_init__(self) -> None:
        self.application = self._application()
        self.client = TestClient(self.application, base_url="http://localhost", client=("10.1.2.3", 50000))

    def _application(self) -> Starlette:
        config = self.settings
        publisher = Publisher.of(config)
        operations = Operations(
            publisher=publisher,
            broker=BrokerCheck(publisher),
            heads=HeadChecks(
                models=self.store.models,
                bundle=config.bundle,
                networks=NetworkFiles("", config.home),
                signatures=lambda: HeadSignatures.of(None, None),
            ),
            terms=Terms.of(config),
            retrain_problem=lambda: self.retrain_problem,
            min_labels=config.retrain_min_labels,
        )
        services = Services(
            store=self.store,
            rules=ConsoleRules(url="http://localhost", blur=False, zone=ZoneInfo("Asia/Seoul")),
            clock=lambda: self.now,
            operations_of=lambda: operations,
        )
        menu = tuple(entry for page in app.PAGES for entry in page.MENU)
        guard = Guard(services=services, person_of=lambda _: self.who, menu=menu)
        routes = [route for page in app.PAGES for route in page.routes(guard)]
        static = Mount("/static", StaticFiles(directory=STATIC))
        return Starlette(routes=[static, *routes], middleware=[Middleware(Headers, secure=False)])

    @contextmanager
    def served(self) -> Iterator[str]:
        """For a browser: the address while it is served."""
        with served(self.application) as address:
            yield address

    def see(self, path: str, status: int = 200, *, language: str = "en") -> str:
        """The words of a page, without its markup."""
        return words_of(self.html(path, status, language=language))

    def html(self, path: str, status: int = 200, *, language: str = "en") -> str:
        """A page as it comes."""
        answer = self.client.get(path, headers={"cookie": f"language={language}"}, follow_redirects=False)
        assert answer.status_code == status, answer.text
        return answer.text

    def say(self, path: str, status: int = 200, *, htmx: bool = False, **fields: Any) -> str:
        """Post a form of the console, with ``htmx`` for its dialog; the words of the answer."""
        answer = self.client.post(
            path,
            data={"csrf": TOKEN, **fields},
            headers={"cookie": "language=en", **(IN_DIALOG if htmx else {})},
            follow_redirects=False,
        )
        assert answer.status_code == status, answer.text
        return words_of(answer.text)


@contextmanager
def served(application: Starlette) -> Iterator[str]:
    """The address of an application while it is served."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = uvicorn.Server(uvicorn.Config(application, log_level="warning", access_log=False))
        thread = Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def words_of(html: str) -> str:
    """What somebody reads on it."""
    main = html.partition("<main")[2].partition("</main>")[0] or html
    main = main.partition(">")[2] if html != main else main
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", main))).strip()


def on_record(store: Store, *names: str) -> list[tuple[Any, ...]]:
    """These columns of all records of access, the oldest first."""
    found = sorted(rows(store, store.database.t.access_log), key=lambda row: row["id"])
    return told(found, *names)


def told(found: Iterable[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    """These columns of some rows."""
    return [tuple(row[name] for name in names) for row in found]
