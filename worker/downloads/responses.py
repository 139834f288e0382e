"""HTTP responses of photo hosts: photo, redirect or `FetchError`; and when a signed URL expires."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import requests
from urllib3.exceptions import ConnectTimeoutError, HTTPError, ProtocolError, ReadTimeoutError

from pipeline.verdict import FetchProblem
from worker.clock import utc_now
from worker.downloads.addresses import AddressRefused

LONGEST_WAIT: Final = timedelta(minutes=15)
"""Cap of a server's own Retry-After."""
_STATUS: Final = {
    401: FetchProblem.FORBIDDEN,
    403: FetchProblem.FORBIDDEN,
    404: FetchProblem.GONE,
    408: FetchProblem.SERVER_ERROR,
    410: FetchProblem.GONE,
    425: FetchProblem.SERVER_ERROR,
    429: FetchProblem.SERVER_ERROR,
}
_SUCCESS: Final = (200, 203)  # 203: a proxy on the way has changed headers
_ERROR_BODY: Final = 2048
# OpenSSL's numbers (X509_V_ERR_...).
_CERTIFICATE: Final = {
    9: "its certificate is not valid yet",
    10: "its certificate has expired",
    18: "its certificate is signed by itself: name its authority in VERIFY_PHOTO_CA",
    19: "its certificate is of an authority that is not trusted here: name it in VERIFY_PHOTO_CA",
    20: "its certificate's chain is incomplete (the host must send it whole), or of an authority that is not "
    "trusted here (VERIFY_PHOTO_CA)",
    62: "its certificate is for another host name",
    64: "its certificate is for another address",
}
_UNTRUSTED: Final = "its certificate cannot be verified"
_MAY_BE_EXPIRY: Final = (400, 401, 403)  # Google says 400
_PAGE_TYPES: Final = ("text/html", "application/xhtml+xml", "application/json", "text/plain")
_PAGE_STARTS: Final = (b"<!doctype html", b"<html", b"<head", b"<body")
_PHOTO_STARTS: Final = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"GIF8", b"II*\0", b"MM\0*", b"BM")


@dataclass(frozen=True, slots=True)
class FetchError:
    """Why there are no bytes. A value, for the traceback of an exception would keep sockets and bodies."""

    problem: FetchProblem
    detail: str
    """For operators; never holds a URL."""
    retry_after: timedelta | None = None
    broken: bool = False
    """The connection broke; a new one may do better."""
    perhaps_gone: bool = False
    """S3 says 403 for a photo that does not exist, where whoever signed the URL may not list the bucket."""


def redirect_of(response: requests.Response) -> str | None:
    """The address that a redirect leads to; None where the response is none."""
    location = response.headers.get("Location")
    if location is None or response.status_code not in (301, 302, 303, 307, 308):
        return None
    # Headers arrive decoded as latin-1; an address outside of ASCII is UTF-8 all the same.
    return location.encode("latin-1", "replace").decode("utf-8", "replace")


def head_error(response: requests.Response, url: str, max_bytes: int) -> FetchError | None:
    """Why the body is not worth reading; None for a success."""
    if response.status_code not in _SUCCESS:
        return _status_error(response, url)
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and _number(length) > max_bytes:
        return FetchError(FetchProblem.TOO_LARGE, f"{length[:20]} bytes, at most {max_bytes} are taken")
    return None


def body_error(body: bytes, headers: Mapping[str, str]) -> FetchError | None:
    """Whether the body is empty, compressed, or a web page in a photo's place; None for all else.

    Only the bytes can say what they are; the type and the encoding that the server names are not trusted,
    neither for a photo nor against one.
    """
    if not body:
        return FetchError(FetchProblem.WRONG_TYPE, "an empty body")
    if _is_photo(body):
        return None
    start = body[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if start.startswith(_PAGE_STARTS) or kind in _PAGE_TYPES:
        return FetchError(FetchProblem.WRONG_TYPE, "a web page or a text instead of a photo")
    if headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        return FetchError(FetchProblem.BAD_RESPONSE, "an encoding that was not asked for")
    return None


def connection_error(error: Exception) -> FetchError:
    """What went wrong before there was a whole response."""
    if isinstance(error, AddressRefused):
        return FetchError(FetchProblem.REFUSED_ADDRESS, str(error))
    if certificate := next((e for e in _chain(error) if isinstance(e, ssl.SSLCertVerificationError)), None):
        return FetchError(FetchProblem.UNREACHABLE, _CERTIFICATE.get(certificate.verify_code, _UNTRUSTED))
    name = type(_cause(error)).__name__
    if isinstance(error, requests.Timeout | ReadTimeoutError | ConnectTimeoutError | TimeoutError):
        return FetchError(FetchProblem.TIMEOUT, name)
    if isinstance(error, ProtocolError):
        return FetchError(FetchProblem.BAD_RESPONSE, f"the body broke off: {name}", broken=True)
    if isinstance(error, requests.RequestException) and not isinstance(error, requests.ConnectionError):
        return FetchError(FetchProblem.BAD_RESPONSE, name)
    return FetchError(FetchProblem.UNREACHABLE, name, broken=isinstance(_cause(error), ProtocolError))


def _cause(error: Exception) -> object:
    """What requests and urllib3 wrapped."""
    inner = error.args[0] if error.args and isinstance(error.args[0], Exception) else error
    return getattr(inner, "reason", None) or inner


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _status_error(response: requests.Response, url: str) -> FetchError:
    status = response.status_code
    if status in _MAY_BE_EXPIRY and expired(url, utc_now()):
        return FetchError(FetchProblem.EXPIRED, f"status {status}, and the address's own date is over")
    default = FetchProblem.SERVER_ERROR if status >= 500 else FetchProblem.BAD_RESPONSE
    problem = _STATUS.get(status, default)
    wait = retry_after(response, LONGEST_WAIT) if problem is FetchProblem.SERVER_ERROR else None
    code = _s3_code(response) if status in _MAY_BE_EXPIRY else ""
    if code == "ExpiredToken":
        problem = FetchProblem.EXPIRED
    return FetchError(problem, f"status {status} {code}".rstrip(), wait, perhaps_gone=code == "AccessDenied")


def _s3_code(response: requests.Response) -> str:
    """The error code in the XML of S3 and what is compatible with it; empty where there is none."""
    found = None
    with suppress(HTTPError, HTTPException, OSError):
        found = re.search(rb"<Code>([A-Za-z]{1,40})</Code>", response.raw.read1(_ERROR_BODY))
    return found[1].decode() if found else ""


def _number(digits: str) -> int:
    """A header's number; Python refuses to read some thousands of digits."""
    return int(digits[:20])


def retry_after(response: requests.Response, longest: timedelta) -> timedelta | None:
    """Seconds or a date, at most ``longest``; None where the server does not say, or not understandably."""
    text = response.headers.get("Retry-After", "").strip()
    try:
        wait = timedelta(seconds=int(text)) if text.isdecimal() else _from_now(text)
    except (ValueError, OverflowError):
        return longest if text.isdecimal() else None
    return max(timedelta(0), min(wait, longest))


def _from_now(text: str) -> timedelta:
    moment = parsedate_to_datetime(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - utc_now()


def _is_photo(body: bytes) -> bool:
    return body.startswith(_PHOTO_STARTS) or body[4:8] == b"ftyp"


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
