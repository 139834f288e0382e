"""An app that is asked for fresh links, what it may answer wrongly, and a fetcher that asks it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from support.downloading import JPEG, PATIENT
from support.photo_server import Answer, PhotoServer
from support.webhook_receiver import Received, Reply, WebhookReceiver, made_up_secret
from worker.downloads.fetcher import PhotoFetcher
from worker.downloads.link_fetcher import LinkFetcher
from worker.downloads.resolver import PhotoResolver
from worker.jobs.links import PhotoLink
from worker.settings import load_settings

MOVED: Final = JPEG + b"moved"
PHOTO: Final = "1.jpg"


def photo_host() -> PhotoServer:
    """Gives photos out to links of today only."""
    server = PhotoServer()
    for name in (PHOTO, "2.jpg", "3.jpg", "4.jpg"):
        server.add_photo(name, JPEG + name.encode())
    server.add_photo("moved.jpg", MOVED)
    server.add("page.jpg", Answer(b"<html>", content_type="text/html"))
    server.signature = "new"
    return server


def fresh_link(asked: Received) -> Reply:
    return says({"url": f"{asked.payload['data']['address']}?sig=new"})


def says(answer: object) -> Reply:
    return Reply(200, json.dumps(answer).encode())


@contextmanager
def fetching(app: WebhookReceiver, seconds: float = 30) -> Iterator[LinkFetcher]:
    """A fetcher of photos whose resolver is the app, which has so long for an answer, and 5 s at most."""
    settings = load_settings(
        {
            "photo_resolver": app.url,
            "photo_resolver_secrets": f"{made_up_secret('coming')},{app.secrets[0]}",
            "app_private_hosts": "127.0.0.1",
            "fetch_total_seconds": seconds * 2,
            "time_limit_seconds": 200,
            "lease_seconds": 300,
        }
    )
    photos = PhotoFetcher(PATIENT)
    yield LinkFetcher(photos, PhotoResolver.of(settings))
    photos.close()


@dataclass(frozen=True, slots=True)
class WrongAnswer:
    """What the app answers about a photo whose link has died, with the base of the photo host's addresses."""

    name: str
    reply: Callable[[str], Reply]
    why: str
    """How the reason begins that is recorded."""
    photo: str = PHOTO
    content: bytes | None = None
    """That of the photo, where it is known."""

    def link(self, host: str) -> PhotoLink:
        """The link that has died."""
        known = None if self.content is None else hashlib.sha256(self.content).hexdigest()
        return PhotoLink(f"{host}/{self.photo}?sig=old", "m1", 1, sha256=known)


def _link_to(path: str) -> Callable[[str], Reply]:
    return lambda host: says({"url": f"{host}/{path}"})


def _always(reply: Reply) -> Callable[[str], Reply]:
    return lambda _: reply


WRONG: Final = (
    WrongAnswer("another member's photo", _link_to("2.jpg?sig=new"), "another photo: its address"),
    WrongAnswer(
        "another photo, where the content of the right one is known",
        _link_to("2.jpg?sig=new"),
        "another photo: its address and content",
        content=MOVED,
    ),
    WrongAnswer(
        "an address of the internal network",
        _always(says({"url": "http://169.254.169.254/1.jpg"})),
        "its link: refused_address, 169.254",
        content=MOVED,
    ),
    WrongAnswer("the same link again", _link_to(f"{PHOTO}?sig=old"), "the same link again"),
    WrongAnswer(
        "a link that is dead as well", _link_to(f"{PHOTO}?sig=older"), "its link: forbidden, status 403"
    ),
    WrongAnswer(
        "a link to a web page", _link_to("page.jpg?sig=new"), "its link: wrong_type", photo="page.jpg"
    ),
    WrongAnswer(
        "the address of a file",
        _always(says({"url": "file:///etc/passwd"})),
        "no link in its answer: not an http",
    ),
    WrongAnswer("JSON without a link", _always(says({"link": "https://h/1.jpg"})), "no link in its answer"),
    WrongAnswer("a list", _always(says(["https://h/1.jpg"])), "no link in its answer"),
    WrongAnswer("a web page", _always(Reply(200, b"<html>Log in</html>")), "its answer is no JSON"),
    WrongAnswer(
        "10,000 characters", _always(Reply(200, b'{"url": "' + b"a" * 10_000)), "its answer is no JSON"
    ),
    WrongAnswer("nothing (204)", _always(Reply(204)), "status 204"),
    WrongAnswer("400", _always(Reply(400)), "status 400"),
    WrongAnswer(
        "a redirect",
        _always(Reply(302, b"", {"Location": "https://app.example.com/"})),
        "status 302: a redirect, which is not followed",
    ),
)
