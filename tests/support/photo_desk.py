"""A case with photos on a host of this machine, and whoever reviews it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.testclient import TestClient

from pipeline.verdict import Outcome, PhotoFinding, Reason, Status
from support.console_photos import Point, box_of, digest, face_picture, landmarks_of, phone_exif, saved
from support.jobs import LEASE, MOST, NOW, a_comparison, a_job, a_verdict, later
from support.photo_server import PhotoServer
from worker.console.guard import Guard
from worker.console.pages import photos as page
from worker.console.services import ConsoleRules, Services
from worker.downloads.link_fetcher import LinkFetcher
from worker.store import Access, Attempt, Claim, Store
from worker.store.staff.records import Person
from worker.store.tables.states import Role

SIZE = (800, 600)
EYES: Mapping[int, tuple[Point, Point]] = {
    0: ((340.0, 250.0), (460.0, 250.0)),
    1: ((300.0, 200.0), (360.0, 220.0)),
    2: ((500.0, 300.0), (560.0, 290.0)),
}
"""Of the compared face, by position."""
BYSTANDER: tuple[Point, Point] = ((150.0, 300.0), (230.0, 300.0))


def file_of(position: int) -> bytes:
    """A photo as a phone writes it; photo 2 shows somebody else besides."""
    pairs = [EYES[position], BYSTANDER] if position == 2 else [EYES[position]]
    return saved(face_picture(SIZE, *pairs), exif=phone_exif())


FILES: Mapping[int, bytes] = {position: file_of(position) for position in EYES}


def found(position: int, **changes: Any) -> PhotoFinding:
    """What the machine found in it."""
    outcome = Outcome.GROUP_SAME if position == 2 else Outcome.SAME
    finding: dict[str, Any] = {
        "position": position,
        "outcome": outcome if position else Outcome.USABLE,
        "sha256": digest(FILES[position]),
        "faces": 2 if position == 2 else 1,
        "box": box_of(EYES[position]),
        "landmarks": landmarks_of(EYES[position]),
        "comparison": a_comparison() if position else None,
        **changes,
    }
    return PhotoFinding(**finding)


def judged(
    store: Store,
    host: PhotoServer,
    request_id: str = "r1",
    member_id: str = "m1",
    *,
    at: float = 0,
    findings: Sequence[PhotoFinding] = (found(0), found(1), found(2)),
    query: str = "",
    **job: Any,
) -> None:
    """A request that waits for a person, whose photos lie on the host."""
    for position, data in FILES.items():
        host.add_photo(f"{request_id}/{position}.jpg", data)
    selfie, *gallery = (host.at(f"{request_id}/{position}.jpg{query}") for position in FILES)
    links = {"selfie_url": selfie, "photo_urls": gallery, **job}
    store.requests.accept(a_job(request_id, member_id, later(at), **links), "verify", later(at))
    attempt = store.requests.acquire(request_id, "w", LEASE, MOST, later(at))
    assert isinstance(attempt, Attempt)
    verdict = a_verdict(
        Status.REVIEW, Reason.DIFFERENT_PERSON, selfie=findings[0], photos=tuple(findings[1:])
    )
    assert store.requests.finish(attempt, verdict, later(at))


def reviewer(name: str = "kim", *roles: Role) -> Person:
    return Person(7, name, frozenset(roles or [Role.REVIEWER]), None, 1, "token")


@dataclass
class PhotoDesk:
    """The pictures of the console, and who asks for them when."""

    store: Store
    fetcher: LinkFetcher
    who: Person = field(default_factory=reviewer)
    now: datetime = NOW

    def __post_init__(self) -> None:
        zone = ZoneInfo("Asia/Seoul")
        self.services = Services(
            store=self.store,
            rules=ConsoleRules(url="http://localhost", zone=zone),
            clock=lambda: self.now,
            fetch=self.fetcher.fetch_all,
        )
        guard = Guard(services=self.services, person_of=lambda _: self.who, menu=())
        self.client = TestClient(
            Starlette(routes=page.routes(guard)), base_url="http://localhost", client=("10.1.2.3", 50000)
        )

    def claim(self, at: float = 0) -> Claim:
        """The next case of whoever sits here, looked at."""
        claim = self.store.reviews.queue.claim_next(self.who.name, later(at))
        assert claim is not None
        return self.look(claim, at)

    def look(self, claim: Claim, at: float = 0) -> Claim:
        """Once more."""
        access = Access(self.who.name, "review", "look", "desk", None, "console")
        return self.store.reviews.queue.look(claim, access, later(at)).claim

    def records(self, member_id: str = "m1") -> list[str]:
        """How this member's photos were shown, by the records; the oldest first."""
        ways = [record.way for record in self.store.accesses.of_member(member_id, 1000)]
        return [way for way in reversed(ways) if way.startswith("photo")]


@contextmanager
def desk(store: Store, fetcher: LinkFetcher) -> Iterator[PhotoDesk]:
    """Closed at the end."""
    made = PhotoDesk(store, fetcher)
    yield made
    made.services.photos.close()
