"""Asks the app for a fresh link of a photo: a signed POST, bounded in time, behind a circuit breaker.

What is asked and how it may be answered stands in `worker/RESOLVER.md`.
"""

from __future__ import annotations

import json
import logging
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self

from worker.client.errors import BadRequest
from worker.client.message import check_url
from worker.downloads.circuit_breaker import CircuitBreaker
from worker.downloads.signed_post import PostLimits, PostResponse, Receiver, SignedPost
from worker.errors import BadMessage
from worker.jobs.links import PhotoLink, without_query
from worker.jobs.verify_job import decode_json
from worker.settings import Settings

_log = logging.getLogger(__name__)

_TYPE: Final = "photo.resolve"
_SCHEMA: Final = 1
_MOST_SECONDS: Final = 5.0
_MAX_BYTES: Final = 8 * 1024
_FAILURES: Final = 3
_CIRCUIT_SECONDS: Final = 30.0
_GONE: Final = (404, 410)
_PASSING: Final = (408, 425, 429)
_THE_APP: Final = "resolver"


@dataclass(frozen=True, slots=True)
class NoLink:
    """Returned when the app has given no link."""

    why: str
    """For operators; never holds a URL."""
    retry_after: timedelta | None = None
    """Where a later question may be answered: the least wait."""
    gone: bool = False
    """The app has no such photo."""


class PhotoResolver:
    """Asks the app; one per process, made after the fork. Threads may share it."""

    def __init__(self, post: SignedPost, to: Receiver, seconds: float) -> None:
        """``seconds``: what a question may take, as in the limits of ``post``."""
        self._post, self._to, self._seconds = post, to, seconds
        self._circuits = CircuitBreaker(_FAILURES, _CIRCUIT_SECONDS)

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """The resolver in the settings; None where there is none."""
        if settings.photo_resolver is None:
            return None
        seconds = min(_MOST_SECONDS, settings.fetch_total_seconds / 2)
        limits = PostLimits(seconds, seconds, seconds, _MAX_BYTES)
        to = Receiver(settings.photo_resolver.get_secret_value(), settings.photo_resolver_secrets)
        return cls(SignedPost.of(settings, limits), to, seconds)

    def ask(self, link: PhotoLink, seconds_left: float) -> str | NoLink:
        """A fresh link, valid in its form, or why there is none."""
        if wait := self._circuits.open_for(_THE_APP):
            text = "it failed too often in a row and is left alone for a while"
            return NoLink(text, timedelta(seconds=wait))
        if seconds_left < self._seconds:
            return NoLink("no time was left to ask", timedelta(0))
        response = self._post.post(self._to, f"msg_{secrets.token_hex(16)}", _question(link))
        answer: str | NoLink
        failed = _may_pass(response.status)
        (self._circuits.record_failure if failed else self._circuits.record_success)(_THE_APP)
        if failed:
            answer = NoLink(response.problem or "no answer", response.retry_after or timedelta(0))
        else:
            answer = _answer(response)
        if isinstance(answer, NoLink) and not answer.gone:
            _log.warning("the photo resolver gave no link: %s", answer.why)
        return answer


def _may_pass(status: int | None) -> bool:
    return status is None or status >= 500 or status in _PASSING


def _question(link: PhotoLink) -> bytes:
    data = {
        "schema": _SCHEMA,
        "member_id": link.member_id,
        "position": link.position,
        "address": without_query(link.url),
    }
    return json.dumps({"type": _TYPE, "data": data}).encode()


def _answer(response: PostResponse) -> str | NoLink:
    if response.status in _GONE:
        return NoLink("the app has no such photo", gone=True)
    if response.status != 200:
        return NoLink(response.problem or f"status {response.status}, where 200 or 404 is expected")
    try:
        answer = decode_json(response.body)
    except BadMessage:
        return NoLink("its answer is no JSON")
    url = answer.get("url") if isinstance(answer, dict) else None
    if not isinstance(url, str):
        return NoLink("no link in its answer")
    try:
        return check_url(url)
    except BadRequest as bad:
        return NoLink(f"no link in its answer: {bad.text}")
