"""When a signed URL ends: a refusal after that moment says `expired`, not `forbidden`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit


def expired(url: str, now: datetime) -> bool:
    """Whether the URL carries a date in its signature, and that is over."""
    ends = expiry(url)
    return ends is not None and ends <= now


def expiry(url: str) -> datetime | None:
    """The moment (UTC) from which the URL no longer works; None where it does not say.

    Known: Amazon's and every S3-compatible store's version 4 (``X-Amz-Date`` + ``X-Amz-Expires``),
    Google's (``X-Goog-…``), CloudFront's and S3's version 2 (``Expires``, seconds since 1970),
    Azure's shared access signatures (``se``).
    """
    query = {name.lower(): value for name, value in parse_qsl(urlsplit(url).query)}
    try:
        return _dated(query, "x-amz") or _dated(query, "x-goog") or _epoch(query) or _azure(query)
    except (ValueError, OverflowError, OSError):
        return None


def _dated(query: Mapping[str, str], prefix: str) -> datetime | None:
    start, seconds = query.get(f"{prefix}-date"), query.get(f"{prefix}-expires")
    if start is None or seconds is None:
        return None
    return datetime.strptime(start, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) + timedelta(seconds=int(seconds))


def _epoch(query: Mapping[str, str]) -> datetime | None:
    seconds = query.get("expires")
    return None if seconds is None else datetime.fromtimestamp(int(seconds), UTC)


def _azure(query: Mapping[str, str]) -> datetime | None:
    """``se`` alone is too short a name to mean anything; with ``sig`` it is Azure's."""
    if "se" not in query or "sig" not in query:
        return None
    ends = datetime.fromisoformat(query["se"])
    return ends if ends.tzinfo else ends.replace(tzinfo=UTC)
