"""Asks for verifications, and sends objections."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeVar

from .broker import Access, check_broker_url, check_queue_prefix, scheme_of
from .errors import BadSettings, BadValue
from .identifiers import new_request_id
from .message import AHEAD, SIGNUP, objection_job, utc_now, verify_member_job
from .sender import Sender
from .task_message import BULK, RECORD_OBJECTION, VERIFY, VERIFY_MEMBER

PREFIX: Final = "VERIFY_"
_C = TypeVar("_C", bound="Client")


class Client(Sender):
    """Sends requests to the broker of the workers. Threads may share it, and it works on in a forked process.

    Use it as a context manager, or `close` it.
    """

    def __init__(
        self,
        broker_url: str,
        *,
        queue_prefix: str = "",
        broker_ca: Path | str | None = None,
        sentinel_master: str = "",
        sentinel_password: str = "",
        sentinel_tls: bool = False,
        folder: Path | str | None = None,
    ) -> None:
        """The settings are those of the workers, see docs/settings.md: ``broker_ca`` is a file; ``folder`` is
        `broker` in the workers' `VERIFY_HOME`, for `filesystem://` only. Raises BadSettings."""
        _checked("BROKER_URL", check_broker_url, broker_url)
        _checked("QUEUE_PREFIX", check_queue_prefix, queue_prefix)
        if scheme_of(broker_url) == "sentinel" and not sentinel_master:
            raise BadSettings(f"{PREFIX}SENTINEL_MASTER must name the Redis that Sentinel is to find")
        ca = Path(broker_ca) if broker_ca else None
        access = Access(ca, sentinel_master, sentinel_password, sentinel_tls, queue_prefix)
        super().__init__(broker_url, Path(folder) if folder else None, access)

    @classmethod
    def from_environment(cls: type[_C], environment: Mapping[str, str] = os.environ) -> _C:
        """With the workers' own variables: `VERIFY_BROKER_URL`, which must be set, `VERIFY_QUEUE_PREFIX`,
        `VERIFY_BROKER_CA`, `VERIFY_SENTINEL_MASTER`, `_PASSWORD` and `_TLS`. Raises BadSettings."""

        def value(name: str) -> str:
            return environment.get(PREFIX + name, "")

        if not (url := value("BROKER_URL")):
            # Without an address a worker has a folder of its own. Relative to the app's no worker finds it.
            raise BadSettings(
                f"{PREFIX}BROKER_URL is not set: it must name the broker that the workers serve"
            )
        return cls(
            url,
            queue_prefix=value("QUEUE_PREFIX"),
            broker_ca=value("BROKER_CA"),
            sentinel_master=value("SENTINEL_MASTER"),
            sentinel_password=value("SENTINEL_PASSWORD"),
            sentinel_tls=value("SENTINEL_TLS").lower() in ("true", "1", "yes", "on"),
            folder=Path(value("HOME") or "var") / "broker",
        )

    def request_verification(
        self,
        member_id: str,
        selfie_url: str,
        photo_urls: Sequence[str],
        declared_gender: str | None = None,
        why: str = SIGNUP,
        *,
        request_id: str | None = None,
        requested_at: datetime | None = None,
        queue: str = VERIFY,
        manual: bool = False,
        traceparent: str | None = None,
    ) -> str:
        """Queue one verification; returns its request ID.

        ``photo_urls`` are in the member's order, the primary photo first. ``declared_gender`` is `female`,
        `male` or None, ``why`` `signup`, `photos_changed` or `operator`. Of a member's requests the one with
        the latest ``requested_at`` counts (default: now, in UTC). The same ``request_id`` twice gives one
        result: to retry after NotSent, keep ID and time. ``queue`` is `bulk` for requests that nobody waits
        for. ``manual``: a person looks in place of the machine, which compares no face. ``traceparent`` (W3C)
        is the trace that the verification becomes a part of. Raises BadRequest before anything is sent, and
        NotSent.
        """
        now = utc_now()
        if queue not in (VERIFY, BULK):
            raise BadValue(f"queue: must be {VERIFY} or {BULK}")
        job = verify_member_job(
            request_id=new_request_id(now) if request_id is None else request_id,
            member_id=member_id,
            selfie_url=selfie_url,
            photo_urls=photo_urls,
            why=why,
            declared_gender=declared_gender,
            requested_at=now if requested_at is None else requested_at,
            latest=now + AHEAD,
            manual=manual,
        )
        self.send_task(VERIFY_MEMBER, {"job": job}, queue, traceparent)
        return str(job["request_id"])

    def send_objection(
        self, member_id: str, *, objection_id: str | None = None, requested_at: datetime | None = None
    ) -> str:
        """The member wants a person to look; returns the objection's ID.

        ``requested_at`` is when the member asked (default: now, in UTC). The same ``objection_id`` twice is
        one objection: to retry after NotSent, keep ID and time. The answer is the next decision by a person
        about the member. Raises BadRequest before anything is sent, and NotSent.
        """
        now = utc_now()
        job = objection_job(
            objection_id=new_request_id(now) if objection_id is None else objection_id,
            requested_at=now if requested_at is None else requested_at,
            member_id=member_id,
            latest=now + AHEAD,
        )
        self.send_task(RECORD_OBJECTION, {"job": job}, VERIFY)
        return str(job["objection_id"])


def request_verification(
    member_id: str,
    selfie_url: str,
    photo_urls: Sequence[str],
    declared_gender: str | None = None,
    why: str = SIGNUP,
    *,
    request_id: str | None = None,
    requested_at: datetime | None = None,
    queue: str = VERIFY,
    manual: bool = False,
    traceparent: str | None = None,
    client: Client | None = None,
) -> str:
    """`Client.request_verification` of the broker that the environment names (`Client.from_environment`)."""
    return (client or _default_client()).request_verification(
        member_id,
        selfie_url,
        photo_urls,
        declared_gender,
        why,
        request_id=request_id,
        requested_at=requested_at,
        queue=queue,
        manual=manual,
        traceparent=traceparent,
    )


@lru_cache(maxsize=1)
def _default_client() -> Client:
    return Client.from_environment()


def _checked(name: str, check: Callable[[str], str], value: str) -> None:
    try:
        check(value)
    except ValueError as error:
        raise BadSettings(f"{PREFIX}{name} {error}") from None
