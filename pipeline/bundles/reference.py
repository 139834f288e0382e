"""Where the similarities of genuine and impostor pairs lie: histograms that belong to a head.

A head that was fitted since there are references carries its own in its metadata. Those that were shipped
before have a file beside them, ``NAME.reference.json``, because their versions depend on their metadata; the
file names the head by a fingerprint. Both are shares of pairs and hold nothing of a person. Nothing here
needs numpy, so a process without networks can read it.
"""

from __future__ import annotations

import hashlib
import json
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol

from pipeline.errors import WeightsCorrupt

BINS: Final = 40
REACH: Final = 28.0
"""The bins are equally wide on the log-odds of the similarity, from minus to plus this; the first and the
last take what lies beyond. On the similarity itself nearly all pairs would fall into two bins."""
KEY: Final = "reference"
"""In a head's metadata."""
SUFFIX: Final = ".reference.json"
HEADS: Final = Path(__file__).parents[1] / "heads"
Shares = tuple[float, ...]
"""`BINS` shares that add up to 1."""


def inner_bounds() -> Shares:
    """The log-odds between each two bins, ``BINS - 1`` of them; 0 is the approve threshold."""
    width = 2 * REACH / BINS
    return tuple(width * number - REACH for number in range(1, BINS))


def similarity_at(log_odds: float) -> float:
    """0..1, by log-odds."""
    return 1 / (1 + math.exp(-log_odds))


def log_odds_of(similarity: float) -> float:
    """The reverse; at most `REACH` to either side."""
    if not 0 < similarity < 1:
        return REACH if similarity > 0 else -REACH
    return max(-REACH, min(REACH, math.log(similarity / (1 - similarity))))


INNER: Final = tuple(similarity_at(bound) for bound in inner_bounds())
"""The similarities between each two bins, rising."""


def bin_of(similarity: float) -> int:
    """0 to ``BINS - 1``."""
    return bisect_right(INNER, similarity)


class Measured(StrEnum):
    """On which pairs a reference was measured."""

    CROSS_FIT = "cross_fit"
    """Of people left out of a fit that was otherwise the same: open data."""
    TEST_SET = "test_set"
    """Members on whom the head was not trained."""
    CALIBRATION = "calibration"
    """The operator's own pairs, which set the thresholds and nothing else."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The similarities of pairs whose people the head was not fitted on."""

    measured: Measured
    """On which pairs: of a calibration without genuine pairs, the genuine ones are those of before."""
    impostor: Shares
    impostor_pairs: int
    impostor_people: int
    genuine: Shares | None
    """None where there were no such pairs."""
    genuine_pairs: int
    genuine_people: int

    def facts(self) -> dict[str, Any]:
        """For a head's metadata."""
        return {**asdict(self), "reach": REACH}


def read_reference(facts: object) -> Reference | None:
    """The reference in a head's metadata; None where there is none that this version can read."""
    if not isinstance(facts, Mapping) or facts.get("reach") != REACH:
        return None
    try:
        return Reference(
            measured=Measured(facts["measured"]),
            impostor=_shares(facts["impostor"]),
            genuine=None if facts["genuine"] is None else _shares(facts["genuine"]),
            **{
                f"{kind}_{what}": int(facts[f"{kind}_{what}"])
                for kind in ("genuine", "impostor")
                for what in ("pairs", "people")
            },
        )
    except (KeyError, TypeError, ValueError):
        return None


def _shares(values: Sequence[float]) -> Shares:
    shares = tuple(float(value) for value in values)
    if len(shares) != BINS or min(shares) < 0 or abs(sum(shares) - 1) > 0.01:
        raise ValueError("not the shares of a histogram")
    return shares


def fingerprint(head_sha256: str, metadata: Mapping[str, Any]) -> str:
    """All that a similarity depends on in a head: its arrays, the weights and the thresholds."""
    parts = [head_sha256, metadata.get("weights"), metadata.get("edges")]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def reference_of(head_sha256: str, metadata: Mapping[str, Any]) -> Reference | None:
    """The reference of a head: in its metadata, or in a file that came with this version."""
    if KEY in metadata:
        return read_reference(metadata[KEY])
    return _shipped(HEADS).get(fingerprint(head_sha256, metadata))


class AnyHead(Protocol):
    """`pipeline.bundles.head.Head`, which needs numpy."""

    @property
    def metadata(self) -> Mapping[str, Any]: ...

    def pack(self) -> bytes: ...


def sha256_of(head: AnyHead) -> str:
    """Of the head's arrays, as a manifest names them."""
    return hashlib.sha256(head.pack()).hexdigest()


def write_beside(path: Path, head: AnyHead, reference: Reference, version: str) -> Path:
    """Write the file beside a head that was fitted before there were references; where it lies.

    ``version`` is that of the bundle with this head.
    """
    path = path.with_name(path.stem + SUFFIX)
    facts = {"head": fingerprint(sha256_of(head), head.metadata), "version": version}
    record = {**facts, **reference.facts()}
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return path


@cache
def shipped_as(version: str) -> tuple[str, Mapping[str, Any]] | None:
    """The sha256 and the metadata of the head that came with this version of the bundle; None of others.

    For a process that has no bundle.
    """
    for path in HEADS.glob(f"*{SUFFIX}"):
        if json.loads(path.read_text("utf-8"))["version"] == version:
            metadata = json.loads((HEADS / f"{path.name.removesuffix(SUFFIX)}.json").read_text("utf-8"))
            return str(metadata.pop("arrays_sha256")), metadata
    return None


@cache
def _shipped(folder: Path) -> dict[str, Reference]:
    """By fingerprint. Raises WeightsCorrupt."""
    found = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        record = json.loads(path.read_text("utf-8"))
        reference = read_reference(record)
        if reference is None:
            raise WeightsCorrupt(f"{path.name} holds no reference")
        found[str(record["head"])] = reference
    return found
