"""The messages `verify_member` and `record_objection`: their jobs as JSON, checked before they are sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from .errors import BadIdentifier, BadRequest, BadTime, BadUrl, BadValue, TooLarge, TooManyPhotos, WrongType
from .identifiers import MAX_LENGTH, is_identifier

SCHEMA: Final = 1
MAX_BODY_BYTES: Final = 64 * 1024
MAX_URL: Final = 2048
MAX_PHOTOS: Final = 20
EARLIEST: Final = datetime(2020, 1, 1, tzinfo=timezone.utc)
AHEAD: Final = timedelta(days=1)
"""Limit for `requested_at`: with a time further ahead all later requests of the member would count as
older."""
SIGNUP: Final = "signup"
WHY: Final = (SIGNUP, "photos_changed", "operator")
GENDERS: Final = ("female", "male")
_T = TypeVar("_T")


def utc_now() -> datetime:
    """Now, by this machine's clock."""
    return datetime.now(timezone.utc)


def check_identifier(value: str) -> str:
    """The value if it may be a member's or a request's ID. Raises BadIdentifier."""
    if not is_identifier(value):
        raise BadIdentifier(f"must be 1 to {MAX_LENGTH} printable ASCII characters without spaces")
    return value


def check_url(value: str) -> str:
    """The value if it may be the address of a photo. Raises BadUrl."""
    if len(value) > MAX_URL:
        raise BadUrl(f"longer than {MAX_URL} characters")
    if any(c.isspace() or not c.isprintable() for c in value):
        raise BadUrl("holds spaces or control characters")
    try:
        parts = urlsplit(value)
    except ValueError:
        raise BadUrl("not an address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadUrl("not an http(s) address")
    return value


def as_utc(value: datetime) -> datetime:
    """The time in UTC. Raises BadTime."""
    if value.tzinfo is None:
        raise BadTime("has no time zone")
    try:
        return value.astimezone(timezone.utc)
    except OverflowError:
        raise BadTime("outside of the calendar") from None


def verify_member_job(
    *,
    request_id: str,
    member_id: str,
    selfie_url: str,
    photo_urls: Sequence[str],
    why: str = SIGNUP,
    declared_gender: str | None = None,
    requested_at: datetime,
    latest: datetime | None = None,
    manual: bool = False,
) -> dict[str, Any]:
    """The job of a message. Raises BadRequest; ``latest`` is the limit for ``requested_at``."""
    job = job_as_json(
        schema=SCHEMA,
        request_id=check_field("request_id", request_id, str, check_identifier),
        requested_at=check_field("requested_at", requested_at, datetime, as_utc),
        member_id=check_field("member_id", member_id, str, check_identifier),
        why=_one_of("why", why, WHY),
        selfie_url=check_field("selfie_url", selfie_url, str, check_url),
        photo_urls=_photos(photo_urls),
        declared_gender=_one_of("declared_gender", declared_gender, (*GENDERS, None)),
        manual=_true_or_false("manual", manual),
    )
    check_requested_at(requested_at, latest)
    if (size := len(json.dumps(job))) > MAX_BODY_BYTES:
        raise TooLarge(f"{size} bytes, at most {MAX_BODY_BYTES} are taken")
    return job


def objection_job(
    *, objection_id: str, requested_at: datetime, member_id: str, latest: datetime | None = None
) -> dict[str, Any]:
    """The job of an objection's message. Raises BadRequest; ``latest`` is the limit for ``requested_at``."""
    job = {
        "schema": SCHEMA,
        "objection_id": check_field("objection_id", objection_id, str, check_identifier),
        "requested_at": _as_text(check_field("requested_at", requested_at, datetime, as_utc)),
        "member_id": check_field("member_id", member_id, str, check_identifier),
    }
    check_requested_at(requested_at, latest)
    return job


def check_requested_at(requested_at: datetime, latest: datetime | None) -> None:
    """Raise BadTime for a moment that cannot be right."""
    if not EARLIEST <= requested_at <= (latest or requested_at):
        raise BadTime("requested_at: before 2020 or more than a day ahead")


def _as_text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def job_as_json(
    *,
    schema: int,
    request_id: str,
    requested_at: datetime,
    member_id: str,
    why: str,
    selfie_url: str,
    photo_urls: Sequence[str],
    declared_gender: str | None,
    manual: bool = False,
) -> dict[str, Any]:
    """These values, whose time is in UTC, as JSON primitives. ``manual`` is there only where it is true: so
    messages of before have the same content."""
    job = {
        "schema": schema,
        "request_id": request_id,
        "requested_at": _as_text(requested_at),
        "member_id": member_id,
        "why": str.__str__(why),  # an Enum's value, not its name
        "selfie_url": selfie_url,
        "photo_urls": list(photo_urls),
        "declared_gender": None if declared_gender is None else str.__str__(declared_gender),
    }
    return {**job, "manual": True} if manual else job


def _photos(values: Sequence[str]) -> list[str]:
    if isinstance(values, (str, bytes)) or not isinstance(values, Sequence):
        raise WrongType("photo_urls: must be a list of addresses")
    if len(values) > MAX_PHOTOS:
        raise TooManyPhotos(f"photo_urls: {len(values)} photos, at most {MAX_PHOTOS} are taken")
    return [check_field(f"photo_urls.{at}", value, str, check_url) for at, value in enumerate(values)]


def check_field(name: str, value: _T, kind: type, check: Callable[[_T], _T]) -> _T:
    """The value as the check gives it back. Raises BadRequest, which names the field."""
    if not isinstance(value, kind):
        raise WrongType(f"{name}: must be a {'time' if kind is datetime else 'text'}")
    try:
        return check(value)
    except BadRequest as bad:
        raise bad.of(name) from None


def _true_or_false(name: str, value: bool) -> bool:
    if not isinstance(value, bool):
        raise WrongType(f"{name}: must be true or false")
    return value


def _one_of(name: str, value: _T, allowed: Sequence[object]) -> _T:
    if value not in allowed:
        *others, last = map(str, allowed)
        raise BadValue(f"{name}: must be {', '.join(others)} or {last}")
    return value
