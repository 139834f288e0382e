"""The console as a process for a test: its own database, people who sign in, cases with drawn photos."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from PIL import Image, ImageDraw
from playwright.sync_api import BrowserContext

from pipeline.verdict import Box, Landmark, Outcome, PhotoFinding, Reason, Status
from support.jobs import LEASE, MOST, a_comparison, a_job, a_verdict
from support.photo_server import PhotoServer
from support.servers import free_port
from support.webhook_receiver import SECRET
from support.workers import Worker, open_store_at, wait_until
from worker.clock import utc_now
from worker.store import Attempt, Store
from worker.store.staff.records import Browser
from worker.store.staff.sessions import csrf_of
from worker.store.staff.sign_in import Passed
from worker.store.tables.states import Role

KEY: Final = "a key of the tests"
SECONDS: Final = 120
_ADMIN: Final = "admin"
_SIZE: Final = (480, 600)
_FACE: Final = Box(120.0, 130.0, 240.0, 300.0)
_PLACES: Final = {
    Landmark.RIGHT_EYE: (190.0, 250.0),
    Landmark.LEFT_EYE: (290.0, 250.0),
    Landmark.NOSE: (240.0, 310.0),
    Landmark.MOUTH: (240.0, 365.0),
}


@dataclass
class Console:
    """One that runs, its database from outside, and the host of its members' photos."""

    url: str
    store: Store
    photos: PhotoServer
    worker: Worker
    home: Path
    _requests: Iterator[int] = field(default_factory=count)
    """Each its own number: the console still holds photos of requests whose rows a test has removed."""

    def at(self, path: str) -> str:
        """The address of a page."""
        return self.url + path

    def person(self, name: str, *roles: Role) -> str:
        """The token of a new session of an account, which is made if there is none."""
        staff, now = self.store.staff, utc_now()
        if staff.accounts.find(name) is None:
            staff.accounts.add(name, roles or (Role.REVIEWER,), _ADMIN, now)
        passed = staff.sign_in.trusted(name, Browser("127.0.0.1", "a test"), now)
        assert isinstance(passed, Passed)
        return passed.token

    def enter(self, context: BrowserContext, name: str, *roles: Role) -> None:
        """Let a browser have a session of this account, as if somebody had signed in there."""
        context.add_cookies([{"name": "session", "value": self.person(name, *roles), "url": self.url}])

    def visitor(self, name: str, *roles: Role) -> Visitor:
        """Somebody who has signed in and uses no browser."""
        return Visitor(self, self.person(name, *roles))

    def case(self, number: int, member_id: str = "", *, gallery: int = 2, **verdict: Any) -> str:
        """A member of this number who waits for a person, with drawn photos; the member's ID."""
        member_id, when = member_id or f"m{number}", utc_now() - timedelta(hours=1)
        urls = [
            self.photos.add_photo(f"m{number}/{position}.jpg", drawn(number, position))
            for position in range(gallery + 1)
        ]
        job = a_job(f"r{next(self._requests)}", member_id, when, selfie_url=urls[0], photo_urls=urls[1:])
        self.store.requests.accept(job, "verify", when)
        attempt = self.store.requests.acquire(job.request_id, "w", LEASE, MOST, when)
        assert isinstance(attempt, Attempt)
        findings = tuple(found(number, position) for position in range(1, gallery + 1))
        said = {"status": Status.REVIEW, "reason": Reason.DIFFERENT_PERSON, **verdict}
        said = {"selfie": found(number, 0), "photos": findings, **said}
        assert self.store.requests.finish(attempt, a_verdict(**said), when)
        return member_id


class Visitor:
    """Requests of one session, as its browser sends them but for what a test changes."""

    def __init__(self, console: Console, token: str) -> None:
        self._console = console
        self.csrf = csrf_of(token)
        self._session = requests.Session()
        self._session.cookies.set("session", token)

    def get(self, path: str) -> requests.Response:
        """A page; it is not followed to another one."""
        return self._session.get(self._console.at(path), allow_redirects=False, timeout=SECONDS)

    def post(self, path: str, **values: str) -> requests.Response:
        """A form, with this session's token if no other is given."""
        form = {"csrf": self.csrf, **values}
        address, headers = self._console.at(path), {"hx-request": "true"}
        return self._session.post(address, data=form, headers=headers, allow_redirects=False, timeout=SECONDS)


def drawn(person: int, position: int) -> bytes:
    """A photo of nobody: a face of a few strokes, in the colours of its person."""
    skin = f"hsl({24 + person * 7 % 14}, 45%, {66 + person * 5 % 16}%)"
    hair = f"hsl({20 + person * 31 % 40}, 18%, {22 + person * 13 % 50}%)"
    picture = Image.new("RGB", _SIZE, f"hsl({(person * 47 + position * 80) % 360}, 22%, 72%)")
    pen = ImageDraw.Draw(picture)
    left, top, right, bottom = _FACE.x, _FACE.y, _FACE.x + _FACE.width, _FACE.y + _FACE.height
    pen.ellipse((60, 440, 420, 800), f"hsl({(person * 83 + position * 40) % 360}, 30%, 42%)")
    pen.rectangle((205, 380, 275, 480), skin)
    pen.ellipse((left - 22, top - 34, right + 22, bottom - 60), hair)
    pen.ellipse((left, top, right, bottom), skin)
    pen.pieslice((left - 6, top - 30, right + 6, top + 150), 180, 360, hair)
    for eye in (Landmark.RIGHT_EYE, Landmark.LEFT_EYE):
        x, y = _PLACES[eye]
        pen.ellipse((x - 16, y - 9, x + 16, y + 9), "white", "#4a3a30", 2)
        pen.ellipse((x - 7, y - 7, x + 7, y + 7), "#33261e")
        pen.arc((x - 26, y - 38, x + 26, y - 8), 200, 340, hair, 6)
    x, y = _PLACES[Landmark.NOSE]
    pen.line((x, y - 36, x - 13, y + 4, x + 5, y + 7), "#8a6248", 4, joint="curve")
    x, y = _PLACES[Landmark.MOUTH]
    pen.arc((x - 44, y - 30, x + 44, y + 18), 20, 160, "#9c4a3c", 7)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    return file.getvalue()


def found(person: int, position: int) -> PhotoFinding:
    """What the machine has found in such a photo."""
    compared = {"comparison": a_comparison(), "outcome": Outcome.SAME}
    return PhotoFinding(
        position=position,
        sha256=hashlib.sha256(drawn(person, position)).hexdigest(),
        faces=1,
        box=_FACE,
        landmarks=_PLACES,
        quality={"sharpness": 120.5, "yaw": -0.05},
        **({"outcome": Outcome.USABLE} if position == 0 else compared),
    )


@contextmanager
def running_console(folder: Path, database_url: str, owner_url: str, **settings: str) -> Iterator[Console]:
    """`python -m worker console` as its operator starts it; the test fills the tables as their owner."""
    url = f"http://127.0.0.1:{free_port()}"
    home, temporary = folder / "home", folder / "tmp"
    temporary.mkdir(parents=True)
    chosen = {
        "VERIFY_HOME": str(home),
        "VERIFY_DATABASE_URL": database_url,
        "VERIFY_BROKER_URL": "filesystem://",
        "VERIFY_TOMBSTONE_KEY": KEY,
        "VERIFY_CONSOLE_ADDRESS": urlsplit(url).netloc,
        "VERIFY_ALLOW_HTTP": "true",
        "VERIFY_ALLOW_PRIVATE_ADDRESSES": "true",
        "VERIFY_SECOND_REVIEW_SHARE": "0",
        "VERIFY_WEBHOOKS": json.dumps(
            {"app": {"url": "https://app.example.com/events", "secrets": [SECRET]}}
        ),
        "TMPDIR": str(temporary),
        **settings,
    }
    store = open_store_at(owner_url, tombstone_key=KEY)
    with PhotoServer() as photos, Worker(chosen, folder, program="worker console") as worker:
        wait_until(lambda: not worker.running or _answers(url), SECONDS)
        assert worker.running, worker.words[-3000:]
        yield Console(url, store, photos, worker, home)
        assert worker.stop() == 0, worker.words[-3000:]
    store.close()


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=5).ok
    except requests.RequestException:
        return False
