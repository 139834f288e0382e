"""Leakage check: no figures on people that the bundle was fitted on, unless they are asked for."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from pipeline.bundles.bundle import read_bundle
from pipeline.bundles.identities import Learner
from pipeline.datasets.embeddings import Dataset
from pipeline.errors import DataError


@dataclass(frozen=True, slots=True)
class Shipped:
    """Which parts of a bundle are used as they are."""

    head: bool = False
    """Whether the head is; else it is fitted again without the tested people."""
    in_sample: bool = False
    """Whether to report on people that the bundle was fitted on."""
    key: bytes = b""
    """The key of the operator on whose members the bundle was fitted."""

    @property
    def learners(self) -> frozenset[Learner]:
        """What must not have been fitted on the tested people."""
        return frozenset(Learner) if self.head else frozenset({Learner.NETWORKS})


def check_leakage(dataset: Dataset, names: AbstractSet[str], mode: Shipped) -> int | None:
    """The number of these people that the bundle was fitted on; None where it is unknown with `in_sample`.

    Raises DataError without `in_sample` where it is not 0 or unknown.
    """
    fitted_on = read_bundle(dataset.bundle).head.fitted_on
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
    """The key in a file; empty without a file."""
    return path.read_bytes().strip() if path else b""
