"""Fetches photos by their links, and looks for a fresh link where one has died.

A link has died when the date in it is over, or when its host says that the photo is gone or forbidden. Then
the photo is sought where the member has it now, and at last the app is asked (`resolver`). What lies at
another address counts as the photo only where it has the content that is known. Else all stays as it was,
and the photo's detail says why.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from pipeline.verdict import FetchProblem, Photo
from worker.clock import utc_now
from worker.downloads.fetcher import Getter, PhotoFetcher
from worker.downloads.resolver import NoLink, PhotoResolver
from worker.downloads.responses import FetchError, expired
from worker.jobs.links import PhotoLink, may_be_link_of

_DEAD: Final = (FetchProblem.EXPIRED, FetchProblem.FORBIDDEN, FetchProblem.GONE)
_OVER: Final = FetchError(FetchProblem.EXPIRED, "the address's own date is over")


Arrived = Callable[[str, bytes], None]


def _nothing(_url: str, _photo: bytes) -> None:
    """Nobody waits for single photos."""


class LinkFetcher:
    """Fetches the photos of one request after the other; without a ``resolver`` the app is never asked."""

    def __init__(self, photos: PhotoFetcher, resolver: PhotoResolver | None = None) -> None:
        self._photos = photos
        self._resolver = resolver

    def fetch_all(self, links: Sequence[PhotoLink], arrived: Arrived = _nothing) -> list[Photo]:
        """One entry for each link, in their order; the questions to the app take part of the same time.

        ``arrived`` gets the URL of a link and its photo as soon as it is there, in the thread that fetched
        it; must not raise.
        """
        by_url = {link.url: link for link in links}

        def fetch(url: str, get: Getter) -> bytes | FetchError:
            got = self._fetch(by_url[url], get)
            if isinstance(got, bytes):
                arrived(url, got)
            return got

        return self._photos.fetch_all([link.url for link in links], fetch)

    def close(self) -> None:
        self._photos.close()

    def _fetch(self, link: PhotoLink, get: Getter) -> bytes | FetchError:
        known_dead = self._resolver is not None and expired(link.url, utc_now())
        got = _OVER if known_dead else get(link.url)
        if isinstance(got, bytes) or got.problem not in _DEAD:
            return got
        if link.moved_to and isinstance(moved := get(link.moved_to), bytes) and _is_it(link, moved):
            return moved
        return self._ask(self._resolver, link, got, get) if self._resolver else got

    def _ask(
        self, resolver: PhotoResolver, link: PhotoLink, dead: FetchError, get: Getter
    ) -> bytes | FetchError:
        answer = resolver.ask(link, get.seconds_left())
        if isinstance(answer, NoLink):
            if answer.gone:
                return FetchError(FetchProblem.GONE, answer.why)
            return _unchanged(dead, answer.why, answer.retry_after)
        if answer == link.url:
            return _unchanged(dead, "the same link again")
        return _from_the_app(link, answer, dead, get)


def _from_the_app(link: PhotoLink, url: str, dead: FetchError, get: Getter) -> bytes | FetchError:
    at_its_address = may_be_link_of(link.url, url)
    if not at_its_address and link.sha256 is None:
        return _unchanged(dead, "another photo: its address is not that of this one")
    got = get(url)
    if isinstance(got, bytes):
        if at_its_address or _is_it(link, got):
            return got
        return _unchanged(dead, "another photo: its address and content are not those of this one")
    if got.problem.passing:
        return replace(got, detail=f"at the resolver's link: {got.detail}")
    return _unchanged(dead, f"its link: {got.problem}, {got.detail}")


def _is_it(link: PhotoLink, content: bytes) -> bool:
    return link.sha256 == hashlib.sha256(content).hexdigest()


def _unchanged(dead: FetchError, why: str, retry_after: timedelta | None = None) -> FetchError:
    """What it was before the app was asked, and why that did not help."""
    return replace(dead, detail=f"{dead.detail}; resolver: {why}", retry_after=retry_after)
