"""Photo URLs in, bytes out, or one clear word why not.

All photos of a job at once, within one time budget. Nothing that a photo's server does may harm
the worker: hosts and addresses are checked (`worker.addresses`), connections obey the clock
(`worker.connections`), bytes are counted while they come in, redirects are followed by hand, and
what is no success becomes a `FetchFailure`. What the bytes are is decided by the pipeline, from the
bytes; only a web page in a photo's place is turned away here, for that is the host's fault and not
the member's.

The text of a failure and the log hold the host and a hash, never the URL: its query is a key.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import timedelta
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from typing import Final

import requests
from requests_hardened import Config, HTTPSession
from urllib3.exceptions import HTTPError

from pipeline.verdict import Fault, FetchProblem, NotFetched
from worker.addresses import (
    PRIVATE_NETWORKS,
    AddressRefused,
    AddressRules,
    IpAddress,
    Resolver,
    Target,
    check_url,
    next_hop,
    system_resolver,
)
from worker.answers import Refusal, body_or_refusal, redirect_of, refusal_of, trouble
from worker.breaker import Breaker
from worker.connections import Leash, LeashedAdapter, on_leash
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
    max_bytes: int = 10 * 1024 * 1024
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
    """Certificates of a photo store of one's own; None: the usual ones."""

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
        )


@dataclass(frozen=True, slots=True)
class FetchFailure(NotFetched):
    """A photo that could not be had; ``retry_after`` is what its server asked for, capped."""

    retry_after: timedelta | None = None


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
        pool = ThreadPoolExecutor(len(distinct), thread_name_prefix="photo")
        try:
            futures = {url: pool.submit(self._fetch, url, deadline) for url in distinct}
            wait(futures.values(), timeout=self._limits.total_seconds + _GRACE)
            return [_result(futures[url], url) for url in urls]
        finally:
            # A name that hangs in the resolver cannot be interrupted, only left behind.
            pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._session.close()

    def _fetch(self, url: str, deadline: float) -> Fetched:
        try:
            target = check_url(url, self._limits.rules)
        except AddressRefused as refused:
            return _failure(url, "?", trouble(refused))
        with on_leash(Leash(deadline, self._patience(target), self._addresses)):
            outcome = self._ask(target)
        return outcome if isinstance(outcome, bytes) else _failure(url, target.host, outcome)

    def _patience(self, target: Target) -> float:
        """Less for a host that was silent before: its jobs come again, while others wait behind them."""
        patience = self._limits.read_seconds
        return min(patience, _TRIAL_SECONDS) if self._breaker.on_trial(_name(target)) else patience

    def _ask(self, target: Target) -> bytes | Refusal:
        """The host is asked unless it rests; how it did is remembered."""
        host = _name(target)
        if rest := self._breaker.rest(host):
            text = "this host failed too often in a row and is left alone for a while"
            return Refusal(FetchProblem.UNREACHABLE, text, timedelta(seconds=rest))
        outcome = self._try(target)
        if isinstance(outcome, Refusal) and outcome.broken:
            outcome = self._try(target)  # a connection that was kept open may have been an old one
        if isinstance(outcome, Refusal) and outcome.problem.passing:
            self._breaker.failed(host, _SILENCE if outcome.problem is FetchProblem.TIMEOUT else 1)
        else:
            self._breaker.answered(host)
        return outcome

    def _try(self, target: Target) -> bytes | Refusal:
        try:
            return self._follow(target)
        except (requests.RequestException, HTTPError, HTTPException, OSError, AddressRefused) as error:
            return trouble(error)

    def _follow(self, target: Target) -> bytes | Refusal:
        """The bytes, or why not, redirects included."""
        limits = self._limits
        for _ in range(limits.redirects + 1):
            with self._session.get(target.url, stream=True, allow_redirects=False) as response:
                location = redirect_of(response)
                if location is None:
                    return refusal_of(response, target.url, limits.max_bytes) or self._read(response)
            target = next_hop(target, location, limits.rules)
        return Refusal(FetchProblem.BAD_RESPONSE, f"more than {limits.redirects} redirects")

    def _read(self, response: requests.Response) -> bytes | Refusal:
        """The body, counted while it comes in: what the server says of its length is only a claim."""
        body = bytearray()
        while chunk := response.raw.read1(_CHUNK, decode_content=False):
            body += chunk
            if len(body) > self._limits.max_bytes:
                return Refusal(FetchProblem.TOO_LARGE, f"more than {self._limits.max_bytes} bytes")
        return body_or_refusal(bytes(body), response.headers.get("Content-Type", ""))

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
            ip_filter_enable=False,  # it pins and checks the first address only: see worker.connections
            ip_filter_allow_loopback_ips=False,
            never_redirect=True,
            default_timeout=(limits.connect_seconds, limits.read_seconds),
            user_agent_override=USER_AGENT,
        )
    )
    session.trust_env = False
    session.verify = limits.ca_file or True
    session.headers.update({"Accept": "image/*", "Accept-Encoding": "identity"})
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    adapter = LeashedAdapter(pool_maxsize=32)
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
    return FetchFailure(refusal.problem, fault, refusal.detail, refusal.retry_after)
