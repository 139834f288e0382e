"""What the store knows about models: frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pipeline.verdict import Status
from worker.store.tables.states import ModelState

ANY_CHAMPION: Final = "*"
"""Whichever head is champion just now. (No version has this name.)"""


@dataclass(frozen=True, slots=True)
class PublishedHead:
    """A head as it stands in the database. Unchecked: see `pipeline.bundles.bundle.open_head`."""

    version: str
    manifest: str
    """The text of the bundle's manifest.json: it vouches for the head and names the networks."""
    data: bytes
    """The bundle's head.npz."""
    signature: bytes | None = None
    """Of whoever published it: see `worker.serving.signatures`."""


@dataclass(frozen=True, slots=True)
class HeadsInUse:
    """Which heads judge just now."""

    champion: str | None
    """None: the bundle that each host was shipped with."""
    shadows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Replaced:
    """Returned by promote and rollback; None stands for the shipped bundle."""

    champion: str | None
    before: str | None


@dataclass(frozen=True, slots=True)
class HeadProblem:
    """A host that could not use a head, the last time it tried."""

    version: str
    host: str
    problem: str
    refused_at: datetime


@dataclass(frozen=True, slots=True)
class HostUse:
    """The head that a host has judged with last."""

    host: str
    version: str
    last_at: datetime


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """One version, without its head."""

    version: str
    state: ModelState
    calibration: str | None
    """As the manifest says; None where that cannot be read."""
    figures: Mapping[str, Any] | None
    created_at: datetime
    promoted_at: datetime | None
    shadow_verdicts: int
    """Requests that it has judged in shadow."""
    refused: tuple[HeadProblem, ...]


@dataclass(frozen=True, slots=True)
class Flip:
    """Requests about which a shadow disagrees with what was decided, of one kind."""

    decided: Status
    shadow: Status
    count: int
    examples: tuple[str, ...]
    """Some request IDs, the latest first."""


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """Where a version disagrees with what was decided."""

    version: str
    verdicts: int
    agreed: int
    first_at: datetime | None
    last_at: datetime | None
    flips: tuple[Flip, ...]
    """The most frequent first."""
