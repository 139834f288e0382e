"""What the worker tells an app: results of requests, where a member stands, events. All frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

ENDED: Final = frozenset({"done", "dead", "superseded"})
"""States in which nothing more happens to a request, unless a person decides it."""
APPROVED: Final = "approved"


@dataclass(frozen=True)
class Standing:
    """Where a member stands: the verdict that counts, and apart from it the newest request.

    Show a badge by `approved`, never by the newest request: while that one waits, fails or is judged, the
    verdict of an earlier one may stand.
    """

    status: str | None
    """`approved`, `review`, `retry_photo`, `rejected`, `error`; None before the first verdict."""
    verified_request_id: str | None
    """The request that the status is from, and whose photos were judged."""
    request_id: str | None
    """The newest request."""
    requested_state: str | None
    """How the newest request stands: `queued`, `retry_wait`, `done`, `dead`."""

    @property
    def approved(self) -> bool:
        """Whether the member may carry a badge; which photos: `Result.verified_photos` of
        `verified_request_id`."""
        return self.status == APPROVED


@dataclass(frozen=True)
class Photo:
    """What was found in one photo of a request."""

    position: int
    """0 is the selfie, 1 the first of the message's `photo_urls`."""
    outcome: str | None
    verdict: str | None
    """`verified`, `not_verified` or `contradicts`; None for the selfie."""
    verified: bool | None
    similarity: float | None
    """0 to 1; from 0.5 on a face counts as the same."""
    fault: str | None
    """Whose fault it is that the photo could not be judged: `member`, `host`, `ours`."""
    text_ko: str | None
    text_en: str | None


@dataclass(frozen=True)
class Result:
    """One request, as the table `result` has it. Times are in UTC.

    It says what came of this request, not where the member stands now: a badge follows
    `Results.standing` (or an event's `member`), that is the member's `verified_request_id`.
    """

    request_id: str
    member_id: str | None
    """None for a message that could not be read so far."""
    state: str
    """`queued`, `retry_wait` (until ``waiting_until``), `done`, `dead` (see ``problem``), `superseded`."""
    waiting_until: datetime | None
    status: str | None
    reason: str | None
    problem: str | None
    photo: int | None
    """The photo that the reason is about, 0 is the selfie."""
    similarity: float | None
    decided_by: str | None
    """`machine` or `person`."""
    text_ko: str | None
    text_en: str | None
    """What the member may read."""
    photos: tuple[Photo, ...]
    sandbox: bool
    requested_at: datetime | None
    accepted_at: datetime | None
    finished_at: datetime | None
    changed_at: datetime

    @property
    def ended(self) -> bool:
        """Whether only a person can still change it."""
        return self.state in ENDED

    @property
    def verified_photos(self) -> tuple[int, ...]:
        """Positions of the gallery photos that show the member: those that may carry a badge while this is
        the member's `verified_request_id` and the member is approved."""
        return tuple(photo.position for photo in self.photos if photo.position and photo.verified)


@dataclass(frozen=True)
class EventPhoto:
    """What an event says of one photo."""

    position: int
    verified: bool
    problem: str | None
    """What the member can do better: `no_face`, `too_dark`, …"""
    fault: str | None


@dataclass(frozen=True)
class Event:
    """A webhook whose signature was right.

    The same event may come more than once: remember ``id``. An unknown ``type`` is from a newer worker:
    answer 2xx and ignore it. ``data`` is the payload's own, with fields that this version does not know.
    """

    id: str
    type: str
    timestamp: datetime
    member_id: str | None
    request_id: str | None
    state: str | None
    status: str | None
    reason: str | None
    problem: str | None
    decided_by: str | None
    photo: int | None
    text_ko: str | None
    text_en: str | None
    photos: tuple[EventPhoto, ...]
    member: Standing | None
    """Where the member stands after this event; None for a message without a known member."""
    sandbox: bool
    data: Mapping[str, Any]

    @property
    def verified_photos(self) -> tuple[int, ...]:
        """As `Result.verified_photos`, of ``request_id``."""
        return tuple(photo.position for photo in self.photos if photo.position and photo.verified)


@dataclass(frozen=True)
class PhotoRequest:
    """The worker asks for a fresh link to a photo (`VERIFY_PHOTO_RESOLVER`)."""

    member_id: str
    position: int
    """0 is the selfie."""
    address: str
    """The address that the worker has, without its query."""
