"""Photo URLs in, bytes out, or one clear word why not.

All photos of a job at once, within one time budget. Nothing that a photo's server does may harm
the worker: hosts and addresses are checked (`worker.downloads.addresses`), connections obey the clock
(`worker.downloads.connections`), bytes are counted while they come in, redirects are followed by hand, and
what is no success becomes a `FetchFailure`. What the bytes are is decided by the pipeline, from the
bytes; only a web page in a photo's place is turned away here, for that is the host's fault and not
the member's.

The text of a failure and the log hold the host and a hash, never the URL: its query is a key.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from typing import Final
from urllib.parse import urlsplit

import requests
from pydantic import SecretStr
from requests_hardened import Config, HTTPSession
from urllib3.exceptions import HTTPError

from pipeline.verdict import Fault, FetchProblem, NotFetched
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
from worker.downloads.circuit_breaker import Breaker
from worker.downloads.connections import Leash, LeashedAdapter, on_leash
from worker.downloads.responses import Refusal, body_or_refusal, redirect_of, refusal_of, trouble
from worker.settings import Settings

_log = logging.getLogger(__name__)

USER_AGENT: Final = "face-verification-worker/1"
_CHUNK: Final = 64 * 1024
_GRACE: Final = 1.0  # seconds that a fetch may need to notice that its time is over
LEFT_BEHIND: Final = "no end in time, not even to be interrupted"
"""Detail of a fetch that did not notice: it hangs in the resolver."""
_SILENCE: Final = 4
"""A host that says nothing counts as so many failures: each costs a process its whole patience."""
_TRIAL_SECONDS: Final = 2.0
"""How long a host may be silent that was silent before."""
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
    """Of all photos of a job, which are in memory together: so each of many may have less."""
    connect_seconds: float = 4.0
    read_seconds: float = 10.0
    """The longest silence."""
    total_seconds: float = 20.0
    """For all photos of a job, which are fetched at the same time."""
    redirects: int = 3
    breaker_failures: int = 8
    """Failures in a row after which a host is left alone for ``breaker_seconds``."""
    breaker_seconds: float = 30.0
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
        """The fixed headers of a host."""
        matching = (headers for name, headers in self.headers.items() if matches(host, name.lower()))
        return {name: value.get_secret_value() for headers in matching for name, value in headers.items()}


@dataclass(frozen=True, slots=True)
class FetchFailure(NotFetched):
    """A photo that could not be had; ``retry_after`` is what its server asked for, capped."""

    retry_after: timedelta | None = None
    perhaps_gone: bool = False
    """Its host's refusal may mean that there is no such photo."""


Fetched = bytes | FetchFailure


class PhotoFetcher:
    """Fetches the photos of one job after the other; one per process, made after the fork."""

    def __init__(self, limits: FetchLimits, resolver: Resolver = system_resolver) -> None:
        # urllib3 writes whole URLs into its debug lines and into one warning.
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        self._limits = limits
        self._resolver = resolver
        self._breaker = Breaker(limits.breaker_failures, limits.breaker_seconds)
        self._session = _session(limits)

    def fetch_all(self, urls: Sequence[str]) -> list[Fetched]:
        """One entry for each URL, in their order, within `FetchLimits.total_seconds`.

        An address that appears twice is fetched once.
        """
        if not urls:
            return []
        deadline = time.monotonic() + self._limits.total_seconds
        distinct = list(dict.fromkeys(urls))
        most = self._limits.bytes_each(len(distinct))
        pool = ThreadPoolExecutor(len(distinct), thread_name_prefix="photo")
        try:
            futures = {url: pool.submit(self._fetch, url, deadline, most) for url in distinct}
            wait(futures.values(), timeout=self._limits.total_seconds + _GRACE)
            results = {url: _result(future, url) for url, future in futures.items()}
            return [_told_apart(results, url) for url in urls]
        finally:
            # A name that hangs in the resolver cannot be interrupted, only left behind.
            pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._session.close()

    def _fetch(self, url: str, deadline: float, most: int) -> Fetched:
        try:
            target = check_url(url, self._limits.rules)
        except AddressRefused as refused:
            return _failure(url, "?", trouble(refused))
        outcome = self._ask(target, Leash(deadline, self._patience(target), self._addresses, most))
        return outcome if isinstance(outcome, bytes) else _failure(url, target.host, outcome)

    def _patience(self, target: Target) -> float:
        """Less for a host that was silent before: its jobs come again, while others wait behind them."""
        patience = self._limits.read_seconds
        return min(patience, _TRIAL_SECONDS) if self._breaker.on_trial(_name(target)) else patience

    def _ask(self, target: Target, leash: Leash) -> bytes | Refusal:
        """The host is asked unless it rests; how it did is remembered."""
        host = _name(target)
        if rest := self._breaker.rest(host):
            text = "this host failed too often in a row and is left alone for a while"
            return Refusal(FetchProblem.UNREACHABLE, text, timedelta(seconds=rest))
        outcome = self._try(target, leash)
        if isinstance(outcome, Refusal) and outcome.broken:
            outcome = self._try(target, leash)  # a connection that was kept open may have been an old one
        if isinstance(outcome, Refusal) and outcome.problem.passing:
            self._breaker.failed(host, _SILENCE if outcome.problem is FetchProblem.TIMEOUT else 1)
        else:
            self._breaker.answered(host)
        return outcome

    def _try(self, target: Target, leash: Leash) -> bytes | Refusal:
        try:
            return self._follow(target, leash)
        except (requests.RequestException, HTTPError, HTTPException, OSError, AddressRefused) as error:
            return trouble(error)
        except Exception as error:  # noqa: BLE001 - what a host sends is about its photo, not about the job
            kind = type(error).__name__
            _log.warning("the answer of %s was not understood: %s", target.host, kind)
            return Refusal(FetchProblem.BAD_RESPONSE, f"an answer that is not understood: {kind}")

    def _follow(self, target: Target, leash: Leash) -> bytes | Refusal:
        """The bytes, or why not, redirects included."""
        limits = self._limits
        for _ in range(limits.redirects + 1):
            with on_leash(replace(leash, path=target.path)), self._get(target) as response:
                location = redirect_of(response)
                if location is None:
                    most = leash.most_bytes
                    return refusal_of(response, target.url, most) or self._read(response, most)
            target = next_hop(target, location, limits.rules)
        return Refusal(FetchProblem.BAD_RESPONSE, f"more than {limits.redirects} redirects")

    def _get(self, target: Target) -> requests.Response:
        """The head of the answer; the leash says what is asked for of the host."""
        headers = self._limits.headers_for(target.host)
        answer: requests.Response = self._session.get(
            target.origin, headers=headers, stream=True, allow_redirects=False
        )
        return answer

    def _read(self, response: requests.Response, most: int) -> bytes | Refusal:
        """The body, counted while it comes in: what the server says of its length is only a claim."""
        body = bytearray()
        while chunk := response.raw.read1(_CHUNK, decode_content=False):
            body += chunk
            if len(body) > most:
                return Refusal(FetchProblem.TOO_LARGE, f"more than {most} bytes")
        return body_or_refusal(bytes(body), response.headers)

    def _addresses(self, host: str, port: int) -> Sequence[IpAddress]:
        return self._limits.rules.resolve(host, port, self._resolver)


def _name(target: Target) -> str:
    return f"{target.host}:{target.port}"


class _Session(HTTPSession):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nothing: requests would read the whole body of a redirect, however long, even when told
        not to follow it (`Session.send`)."""


def _session(limits: FetchLimits) -> _Session:
    """Always a time-out, always our name, and nothing out of the environment: no proxy, no .netrc."""
    session = _Session(
        Config(
            ip_filter_enable=False,  # checks the first address only: see worker.downloads.connections
            ip_filter_allow_loopback_ips=False,
            never_redirect=True,
            default_timeout=(limits.connect_seconds, limits.read_seconds),
            user_agent_override=USER_AGENT,
        )
    )
    session.trust_env = False
    session.headers.update({"Accept": "image/*", "Accept-Encoding": "identity"})
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    adapter = LeashedAdapter(pool_maxsize=32, ca_file=limits.ca_file)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def _result(future: Future[Fetched], url: str) -> Fetched:
    if future.done():
        return future.result()
    return _failure(url, "?", Refusal(FetchProblem.TIMEOUT, LEFT_BEHIND))


def _failure(url: str, host: str, refusal: Refusal) -> FetchFailure:
    digest = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    _log.info("photo %s of %s: %s (%s)", digest, host, refusal.problem, refusal.detail)
    fault = _FAULTS.get(refusal.problem, Fault.HOST)
    return FetchFailure(refusal.problem, fault, refusal.detail, refusal.retry_after, refusal.perhaps_gone)


def _told_apart(results: Mapping[str, Fetched], url: str) -> Fetched:
    """A 403 that may mean "no such photo" does mean it where the same folder gave out another photo."""
    found = results[url]
    if not isinstance(found, FetchFailure) or not found.perhaps_gone:
        return found
    near = [other for other, fetched in results.items() if isinstance(fetched, bytes)]
    if not any(_folder(other) == _folder(url) for other in near):
        return found
    detail = f"{found.detail}, while another photo of this job came from there: there is no such photo"
    return replace(found, problem=FetchProblem.GONE, fault=Fault.MEMBER, detail=detail)


def _folder(url: str) -> tuple[str, str]:
    """Host and first part of the path: a bucket, or a folder in it."""
    parts = urlsplit(url)
    return parts.netloc.lower(), parts.path.lstrip("/").partition("/")[0]
