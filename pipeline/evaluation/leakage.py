"""No figures on people from whom the bundle learned, unless they are asked for by name."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from pipeline.bundles.bundle import read_bundle
from pipeline.bundles.identities import FittedOn, Learner
from pipeline.datasets.embeddings import Album
from pipeline.errors import DataError


@dataclass(frozen=True, slots=True)
class Shipped:
    """How much of a bundle is judged as it is."""

    head: bool = False
    """The head too; else it is fitted again without the tested people, and only networks stay."""
    in_sample: bool = False
    """Report on people from whom the bundle learned."""
    key: bytes = b""
    """Of the operator whose members the bundle learned from."""

    @property
    def learners(self) -> frozenset[Learner]:
        """What must be new to the tested people."""
        return frozenset(Learner) if self.head else frozenset({Learner.NETWORKS})


def require_strangers(album: Album, names: AbstractSet[str], mode: Shipped) -> int | None:
    """How many of the people the bundle learned from: 0, or with `in_sample` some (None: unknown).

    Raises DataError where it is not 0 and was not asked for, or cannot be told.
    """
    fitted_on = FittedOn.read(read_bundle(album.bundle).head)
    try:
        known = len(fitted_on.known(names, mode.learners, mode.key))
    except DataError:
        if mode.in_sample:
            return None
        raise
    if known and not mode.in_sample:
        instead = "; without --as-shipped the head is fitted again without them" if mode.head else ""
        raise DataError(
            f"the bundle learned from {known} of the {len(names)} people: figures on them would flatter "
            f"it (--in-sample gives them all the same{instead})"
        )
    return known


def read_key(path: Path | None) -> bytes:
    """The key in a file; none without a file."""
    return path.read_bytes().strip() if path else b""
