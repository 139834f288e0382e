"""Fetches photos: URLs in; for each its bytes, or why there are none.

All photos of a request at once, within one time budget. Nothing that a photo host does may harm the
worker: hosts and addresses are checked (`addresses`), connections keep to their deadline (`connections`),
bytes are counted while they come in, redirects are followed by hand. What the bytes are is decided by the
pipeline, from the bytes; only a web page in a photo's place is refused here, for that is the host's fault
and not the member's.

Details and log lines hold the host and a hash, never the URL: its query is a key.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.client import HTTPException
from typing import Final
from urllib.parse import urlsplit

import requests
from pydantic import SecretStr
from urllib3.exceptions import HTTPError

from pipeline.verdict import Fault, FetchProblem, NotFetched, Photo
from worker.downloads.addresses import (
    PRIVATE_NETWORKS,
    AddressRefused,
    AddressRules,
    IpAddress,
    Resolver,
    Target,
    check_url,
    matches,
    next_hop,
    system_resolver,
)
from worker.downloads.circuit_breaker import CircuitBreaker
from worker.downloads.connections import FetchBounds, bounded_by
from worker.downloads.responses import FetchError, body_error, connection_error, head_error, redirect_of
from worker.downloads.session import BoundedSession
from worker.logs import in_context
from worker.settings import Settings

_log = logging.getLogger(__name__)

_CHUNK: Final = 64 * 1024
_GRACE: Final = 1.0  # seconds that a fetch may need to notice that its time is over
ABANDONED: Final = "no end in time, not even to be interrupted"
"""Detail of a fetch that did not notice: it hangs in the resolver."""
_TIMEOUT_WEIGHT: Final = 4
"""A time-out counts as so many failures: each costs a process its whole time."""
_HALF_OPEN_SECONDS: Final = 2.0
"""The longest silence of a host whose circuit is half-open."""
_FAULTS: Final = {
    FetchProblem.GONE: Fault.MEMBER,
    FetchProblem.TOO_LARGE: Fault.MEMBER,
    FetchProblem.REFUSED_ADDRESS: Fault.OURS,
}
"""Whom a new photo would help: the member can replace one that is gone or too large. All else is
the host's fault."""


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """What a download may cost, and where it may go."""

    rules: AddressRules = field(default_factory=AddressRules)
    max_bytes: int = 32 * 1024 * 1024
    """Of one photo: a phone's 108 megapixels, or a motion photo with its video."""
    job_bytes: int = 224 * 1024 * 1024
    """Of all photos of a request, which are in memory together: so each of many may have less."""
    connect_seconds: float = 4.0
    read_seconds: float = 10.0
    """The longest silence."""
    total_seconds: float = 20.0
    """For all photos of a request, which are fetched at the same time."""
    redirects: int = 3
    circuit_failures: int = 8
    """Failures in a row after which a host is left alone for ``circuit_seconds``."""
    circuit_seconds: float = 30.0
    ca_file: str | None = None
    """Authorities of a photo store of one's own, beside the usual ones."""
    headers: Mapping[str, Mapping[str, SecretStr]] = field(default_factory=dict)
    """By host (as in `AddressRules.hosts`): what is sent to it with every request, and to no other host."""

    @classmethod
    def of(cls, settings: Settings) -> FetchLimits:
        """The limits in the settings."""
        private = settings.allow_private_addresses
        rules = AddressRules(
            hosts=settings.photo_hosts,
            allow_http=settings.allow_http,
            ports=None if private else frozenset(settings.photo_ports),
            networks=PRIVATE_NETWORKS if private else (),
        )
        return cls(
            rules=rules,
            max_bytes=settings.fetch_max_bytes,
            connect_seconds=settings.fetch_connect_seconds,
            read_seconds=settings.fetch_read_seconds,
            total_seconds=settings.fetch_total_seconds,
            redirects=settings.fetch_redirects,
            ca_file=str(settings.photo_ca) if settings.photo_ca else None,
            headers=settings.photo_headers,
        )

    def bytes_each(self, photos: int) -> int:
        """What each of so many photos may have."""
        return min(self.max_bytes, self.job_bytes // max(1, photos))

    def headers_for(self, host: str) -> dict[str, str]:
        matching = (headers for name, headers in self.headers.items() if matches(host, name.lower()))
        return {name: value.get_secret_value() for headers in matching for name, value in headers.items()}


@dataclass(frozen=True, slots=True)
class Getter:
    """Gets what lies at an address, within the bounds of the request that it is for."""

    get: Callable[[str], bytes | FetchError]
    deadline: float
    """In seconds of `time.monotonic`."""

    def __call__(self, url: str) -> bytes | FetchError:
        return self.get(url)

    def seconds_left(self) -> float:
        return self.deadline - time.monotonic()


How = Callable[[str, Getter], bytes | FetchError]
"""How a photo is fetched, out of its URL; must not raise."""


def _plainly(url: str, get: Getter) -> bytes | FetchError:
    return get(url)


class PhotoFetcher:
    """Fetches the photos of one request after the other; one per process, made after the fork."""

    def __init__(
        self,
        limits: FetchLimits,
        resolver: Resolver = system_resolver,
        opened: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``opened`` is told the name of each host that is left alone for a while; must not raise."""
        # urllib3 writes whole URLs into its debug lines and into one warning.
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        self._limits = limits
        self._resolver = resolver
        self._circuits = CircuitBreaker(limits.circuit_failures, limits.circuit_seconds, opened=opened)
        timeout = (limits.connect_seconds, limits.read_seconds)
        self._session = BoundedSession(timeout, {"Accept": "image/*"}, ca_file=limits.ca_file)

    def fetch_all(self, urls: Sequence[str], how: How = _plainly) -> list[Photo]:
        """One entry for each URL, in their order, within `FetchLimits.total_seconds`.

        An address that appears twice is fetched once. ``how`` may get other addresses in its place.
        """
        if not urls:
            return []
        deadline = time.monotonic() + self._limits.total_seconds
        distinct = list(dict.fromkeys(urls))
        max_bytes = self._limits.bytes_each(len(distinct))
        pool = ThreadPoolExecutor(len(distinct), thread_name_prefix="photo")
        try:
            get = Getter(lambda url: self._fetch(url, deadline, max_bytes), deadline)
            futures = {url: pool.submit(in_context(how), url, get) for url in distinct}
            wait(futures.values(), timeout=self._limits.total_seconds + _GRACE)
            results = {url: _result(future, url) for url, future in futures.items()}
            return [_photo(results, url) for url in urls]
        finally:
            # A name that hangs in the resolver cannot be interrupted, only abandoned.
            pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        self._session.close()

    def _fetch(self, url: str, deadline: float, max_bytes: int) -> bytes | FetchError:
        try:
            target = check_url(url, self._limits.rules)
        except AddressRefused as refused:
            return _logged(connection_error(refused), url, "?")
        bounds = FetchBounds(deadline, self._read_seconds(target), self._addresses, max_bytes)
        result = self._ask(target, bounds)
        return result if isinstance(result, bytes) else _logged(result, url, target.host)

    def _read_seconds(self, target: Target) -> float:
        """Less for a host that failed before: its requests come again, while others wait behind them."""
        seconds = self._limits.read_seconds
        return min(seconds, _HALF_OPEN_SECONDS) if self._circuits.is_half_open(_name(target)) else seconds

    def _ask(self, target: Target, bounds: FetchBounds) -> bytes | FetchError:
        """The bytes, unless the host's circuit is open; how the host did is recorded."""
        host = _name(target)
        if seconds := self._circuits.open_for(host):
            text = "this host failed too often in a row and is left alone for a while"
            return FetchError(FetchProblem.UNREACHABLE, text, timedelta(seconds=seconds))
        result = self._try(target, bounds)
        if isinstance(result, FetchError) and result.broken:
            result = self._try(target, bounds)  # a connection that was kept open may have been an old one
        if isinstance(result, FetchError) and result.problem.passing:
            weight = _TIMEOUT_WEIGHT if result.problem is FetchProblem.TIMEOUT else 1
            self._circuits.record_failure(host, weight)
        else:
            self._circuits.record_success(host)
        return result

    def _try(self, target: Target, bounds: FetchBounds) -> bytes | FetchError:
        try:
            return self._follow(target, bounds)
        except (requests.RequestException, HTTPError, HTTPException, OSError, AddressRefused) as error:
            return connection_error(error)
        except Exception as error:  # noqa: BLE001 - what a host sends concerns its photo, not the request
            kind = type(error).__name__
            _log.warning("the response of %s was not understood: %s", target.host, kind)
            return FetchError(FetchProblem.BAD_RESPONSE, f"a response that is not understood: {kind}")

    def _follow(self, target: Target, bounds: FetchBounds) -> bytes | FetchError:
        """The body, redirects included. Raises what the connection raises."""
        limits = self._limits
        for _ in range(limits.redirects + 1):
            with bounded_by(replace(bounds, path=target.path)), self._get(target) as response:
                location = redirect_of(response)
                if location is None:
                    max_bytes = bounds.max_bytes
                    return head_error(response, target.url, max_bytes) or self._read(response, max_bytes)
            target = next_hop(target, location, limits.rules)
        return FetchError(FetchProblem.BAD_RESPONSE, f"more than {limits.redirects} redirects")

    def _get(self, target: Target) -> requests.Response:
        """The head of the response; the path to ask for is in the bounds."""
        headers = self._limits.headers_for(target.host)
        response: requests.Response = self._session.get(
            target.origin, headers=headers, stream=True, allow_redirects=False
        )
        return response

    def _read(self, response: requests.Response, max_bytes: int) -> bytes | FetchError:
        """The body, counted while it comes in: a server may send more than it announced."""
        body = bytearray()
        while chunk := response.raw.read1(_CHUNK, decode_content=False):
            body += chunk
            if len(body) > max_bytes:
                return FetchError(FetchProblem.TOO_LARGE, f"more than {max_bytes} bytes")
        data = bytes(body)
        return body_error(data, response.headers) or data

    def _addresses(self, host: str, port: int) -> Sequence[IpAddress]:
        return self._limits.rules.resolve(host, port, self._resolver)


def _name(target: Target) -> str:
    return f"{target.host}:{target.port}"


def _result(future: Future[bytes | FetchError], url: str) -> bytes | FetchError:
    if future.done():
        return future.result()
    return _logged(FetchError(FetchProblem.TIMEOUT, ABANDONED), url, "?")


def _logged(error: FetchError, url: str, host: str) -> FetchError:
    digest = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    _log.info("photo %s of %s: %s (%s)", digest, host, error.problem, error.detail)
    return error


def _photo(results: Mapping[str, bytes | FetchError], url: str) -> Photo:
    """A 403 that may mean "no such photo" does mean it where the same folder gave out another photo."""
    result = results[url]
    if isinstance(result, bytes):
        return result
    problem, detail = result.problem, result.detail
    near = [other for other, fetched in results.items() if isinstance(fetched, bytes)]
    if result.perhaps_gone and any(_folder(other) == _folder(url) for other in near):
        problem = FetchProblem.GONE
        detail = f"{detail}, while another photo of this job came from there: there is no such photo"
    return NotFetched(problem, _FAULTS.get(problem, Fault.HOST), detail, result.retry_after)


def _folder(url: str) -> tuple[str, str]:
    """Host and first part of the path: a bucket, or a folder in it."""
    parts = urlsplit(url)
    return parts.netloc.lower(), parts.path.lstrip("/").partition("/")[0]
