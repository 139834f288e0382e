"""`python -m chaos.stub_worker run …`: `python -m worker run` with a stub in place of the networks.

A photo of the stub is a text, `stub WHAT MILLISECONDS`, that says what comes of it: a status, or what
it does to the process that decodes it. Everything else is the product.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import resource
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import chaos.clock  # noqa: F401 - before everything that asks for the time
from pipeline.verdict import (
    Fault,
    Gender,
    NotFetched,
    Outcome,
    Photo,
    PhotoFinding,
    Reason,
    Status,
    Verdict,
    Verified,
)
from worker import runtime
from worker.cli import main

_REASONS: Final = {
    Status.APPROVED: Reason.SAME_PERSON,
    Status.REVIEW: Reason.DIFFERENT_PERSON,
    Status.RETRY_PHOTO: Reason.NO_USABLE_PHOTO,
    Status.ERROR: Reason.SELFIE_NOT_FETCHED,
}
_HARMLESS: Final = frozenset(str(status) for status in _REASONS)


def a_photo(what: str, milliseconds: int = 0, name: str = "") -> bytes:
    """The bytes of a photo of the stub; those of another name are another file."""
    return f"stub {what} {milliseconds} {name}".encode()


def verify(selfie: Photo, photos: Sequence[Photo], declared_gender: Gender | None) -> Verified:
    """What the selfie says, after the time that it says."""
    what, milliseconds = _read(selfie)
    time.sleep(milliseconds / 1000)
    if what not in _HARMLESS:
        _HARM[what]()
    status = Status(what)
    verdict = Verdict(
        status=status,
        reason=_REASONS[status],
        photo=None,
        same_person=True if status is Status.APPROVED else None,
        similarity=0.9 if status is Status.APPROVED else None,
        gender=declared_gender or Gender.UNKNOWN,
        gender_probability=None,
        selfie=_finding(0, selfie, Outcome.USABLE),
        photos=tuple(_finding(i, photo, Outcome.SAME) for i, photo in enumerate(photos, start=1)),
        model_version="stub",
        policy_version="1",
    )
    return Verified(verdict)


def _read(selfie: Photo) -> tuple[str, int]:
    if isinstance(selfie, NotFetched):
        return str(Status.ERROR), 0
    _, what, milliseconds, *_ = selfie.decode().split()
    return what, int(milliseconds)


def _finding(position: int, photo: Photo, outcome: Outcome) -> PhotoFinding:
    if isinstance(photo, NotFetched):
        return PhotoFinding(position, Outcome.NOT_FETCHED, Fault.HOST, fetch_problem=photo.problem)
    return PhotoFinding(position, outcome, sha256=hashlib.sha256(photo).hexdigest(), faces=1)


def _crash() -> None:
    """As a decoder that writes where it must not."""
    ctypes.string_at(0)


def _killed() -> None:
    """As by the kernel, when a container's memory is used up."""
    os.kill(os.getpid(), signal.SIGKILL)


def _memory() -> None:
    """As where the process may have no more memory."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 64 * 1024**2, most))
    try:
        bytearray(1024**3)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _hang() -> None:
    """As a decoder that never ends."""
    time.sleep(3600)


_HARM: Final[dict[str, Callable[[], None]]] = {
    "crash": _crash,
    "killed": _killed,
    "memory": _memory,
    "hang": _hang,
}


def _main() -> None:
    stubs: dict[str, Any] = {"_verify": verify, "_warm_up": lambda: None, "check": lambda *_: None}
    for name, stub in stubs.items():
        setattr(runtime, name, stub)
    main()


if __name__ == "__main__":
    _main()
