"""Posts signed JSON to the app's own servers: events to its webhooks, questions to its photo resolver.

Signed by the Standard Webhooks scheme: `webhook-id`, `webhook-timestamp` and, in `webhook-signature`, one
signature for each secret, so that a secret can be replaced while both are valid. The address is checked and
pinned like that of a photo (`addresses`, `connections`). The app is often in the private network: the hosts
that the operator names, and no others, may be at a private address, at any port, and asked over plain http.

Log lines hold the host, never the URL: it may be a key.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http.client import HTTPException
from typing import Final, Self

import requests
from pydantic import SecretStr
from standardwebhooks import Webhook
from urllib3.exceptions import HTTPError

from worker.clock import utc_now
from worker.downloads.addresses import (
    PRIVATE_NETWORKS,
    AddressRefused,
    AddressRules,
    Resolver,
    Target,
    canonical_host,
    check_url,
    system_resolver,
)
from worker.downloads.connections import FetchBounds, bounded_by
from worker.downloads.responses import FetchError, connection_error, retry_after
from worker.downloads.session import BoundedSession
from worker.errors import BadSettings
from worker.settings import Settings

_log = logging.getLogger(__name__)

_PUBLIC: Final = AddressRules(ports=None)
_PRIVATE: Final = AddressRules(allow_http=True, ports=None, networks=PRIVATE_NETWORKS)
_LONGEST_WAIT: Final = timedelta(days=1)
"""Cap of a server's own Retry-After."""
_CHUNK: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class PostLimits:
    """What one post may cost."""

    connect_seconds: float = 4.0
    read_seconds: float = 10.0
    """The longest silence."""
    total_seconds: float = 10.0
    max_bytes: int = 64 * 1024
    """Of the response's body; the rest is not read."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """A URL to post to, and the secrets that sign, the newest first."""

    url: str = field(repr=False)
    secrets: tuple[SecretStr, ...]
    """As in the settings: `whsec_` and base64."""


@dataclass(frozen=True, slots=True)
class PostResponse:
    """What came of a post."""

    status: int | None
    """Of HTTP; None where there was no response."""
    body: bytes = field(default=b"", repr=False)
    """Of the response, up to `PostLimits.max_bytes`; less where the connection broke off."""
    problem: str | None = None
    """Why the post failed, for operators, without the URL; None where the status is 200 to 299."""
    retry_after: timedelta | None = None
    """How long the server wants to be left alone, at most a day."""


class SignedPost:
    """Posts JSON; one per process, made after the fork. Threads may share it."""

    def __init__(
        self,
        private_hosts: Sequence[str] = (),
        limits: PostLimits | None = None,
        *,
        ca_file: str | None = None,
        resolver: Resolver = system_resolver,
    ) -> None:
        """``private_hosts`` may be in a private network. Raises OSError where ``ca_file`` cannot be read."""
        # urllib3 writes whole URLs into its debug lines and into one warning.
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        self._private = frozenset(canonical_host(host) for host in private_hosts)
        self._limits, self._resolver = limits or PostLimits(), resolver
        timeout = (self._limits.connect_seconds, self._limits.read_seconds)
        headers = {"Content-Type": "application/json", "Accept": "*/*"}
        self._session = BoundedSession(timeout, headers, ca_file=ca_file, traced=True)

    @classmethod
    def of(cls, settings: Settings, limits: PostLimits | None = None) -> Self:
        """With the hosts and the authority in the settings. Raises BadSettings."""
        ca_file = str(settings.photo_ca) if settings.photo_ca else None
        try:
            return cls(settings.app_private_hosts, limits, ca_file=ca_file)
        except AddressRefused as refused:
            raise BadSettings(f"VERIFY_APP_PRIVATE_HOSTS: {refused}") from None

    def post(self, to: Receiver, message_id: str, body: bytes) -> PostResponse:
        """Post the JSON text once, signed now. Raises nothing for what the other side does."""
        try:
            target = self._checked(to.url)
        except AddressRefused as refused:
            return _failed("?", connection_error(refused))
        result = self._try(target, to.secrets, message_id, body)
        if isinstance(result, FetchError) and result.broken:  # a connection kept open may be an old one
            result = self._try(target, to.secrets, message_id, body)
        return _failed(target.host, result) if isinstance(result, FetchError) else result

    def close(self) -> None:
        self._session.close()

    def _checked(self, url: str) -> Target:
        """Raises AddressRefused."""
        target = check_url(url, _PRIVATE)
        return check_url(url, self._rules(target.host))

    def _rules(self, host: str) -> AddressRules:
        return _PRIVATE if host in self._private else _PUBLIC

    def _try(
        self, target: Target, secrets: Sequence[SecretStr], message_id: str, body: bytes
    ) -> PostResponse | FetchError:
        limits = self._limits
        bounds = FetchBounds(
            deadline=time.monotonic() + limits.total_seconds,
            read_seconds=limits.read_seconds,
            addresses=lambda host, port: self._rules(host).resolve(host, port, self._resolver),
            max_bytes=limits.max_bytes,
            path=target.path,
        )
        headers = signature_headers(secrets, message_id, body)
        try:
            with bounded_by(bounds), self._send(target, headers, body) as response:
                return _response(response, limits.max_bytes)
        except (requests.RequestException, HTTPError, HTTPException, OSError, AddressRefused) as error:
            return connection_error(error)
        except Exception as error:  # noqa: BLE001 - what a server sends must not end its caller
            name = type(error).__name__
            return PostResponse(None, problem=f"a response that is not understood: {name}")

    def _send(self, target: Target, headers: Mapping[str, str], body: bytes) -> requests.Response:
        """The head of the response; the path to ask for is in the bounds."""
        response: requests.Response = self._session.post(
            target.origin, data=body, headers=headers, stream=True, allow_redirects=False
        )
        return response


def signature_headers(secrets: Sequence[SecretStr], message_id: str, body: bytes) -> dict[str, str]:
    """The three headers of the Standard Webhooks scheme, for this moment."""
    now, text = utc_now(), body.decode()
    signatures = (Webhook(one.get_secret_value()).sign(message_id, now, text) for one in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _response(response: requests.Response, max_bytes: int) -> PostResponse:
    """The body is read as far as it comes: once there is a status, that alone says how the post went."""
    status = response.status_code
    problem = None if 200 <= status < 300 else f"status {status}"
    if 300 <= status < 400:
        problem = f"status {status}: a redirect, which is not followed; the address must be the final one"
    wait = None if problem is None else retry_after(response, _LONGEST_WAIT)
    return PostResponse(status, _body(response, max_bytes), problem, wait)


def _body(response: requests.Response, max_bytes: int) -> bytes:
    body = bytearray()
    with suppress(HTTPError, HTTPException, OSError):
        while len(body) < max_bytes and (chunk := response.raw.read1(_CHUNK, decode_content=False)):
            body += chunk
    return bytes(body[:max_bytes])


def _failed(host: str, error: FetchError) -> PostResponse:
    _log.info("post to %s: %s (%s)", host, error.problem, error.detail)
    return PostResponse(None, problem=f"{error.problem}: {error.detail}")
