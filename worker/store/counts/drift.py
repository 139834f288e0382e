"""Drift: whether the numbers of the last days are distributed as they were.

The population stability index of two distributions over the same groups is the sum of
``(now - before) * ln(now / before)`` over their shares. Usual limits are 0.1 and 0.25 (N. Siddiqi, Credit
Risk Scorecards, 2006). Where nothing has changed the index by ``1/n + 1/m`` is distributed like
chi-squared with one degree of freedom less than there are groups (B. Yurdakul, Statistical Properties of
Population Stability Index, 2018), so small samples have large indexes by chance alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import log
from typing import Final

from pipeline.bundles.reference import BINS
from worker.store.counts.days import Day

MODERATE: Final = 0.1
LARGE: Final = 0.25
LEAST: Final = 200
"""Values on either side below which nothing is said."""
_GROUPS: Final = 10
_MANY: Final = 1e9
_Z95: Final = 1.6449


class DriftLevel(StrEnum):
    """What an index says."""

    TOO_FEW = "too_few"
    STABLE = "stable"
    """Below the first limit, or not more than chance makes it."""
    MODERATE = "moderate"
    LARGE = "large"


@dataclass(frozen=True, slots=True)
class Drift:
    """A comparison of two distributions."""

    level: DriftLevel
    index: float | None
    """None where there are too few."""
    by_sampling: float | None
    """What the index stays below in 95 of 100 cases where nothing has changed."""
    now: int
    before: int | None
    """How many values there are; None for a reference, which counts as known."""


def drift(now: Sequence[float], before: Sequence[float], *, reference: bool = False) -> Drift:
    """Compare two distributions over the same cells in order; counts, or the shares of a ``reference``.

    Neighbouring cells are joined into groups of at least a tenth of ``before``.
    """
    if reference:  # measured on so many pairs that chance plays no part
        before = [share * _MANY for share in before]
    groups = _joined(now, before)
    found = _compared([a for a, _ in groups], [b for _, b in groups])
    return replace(found, before=None) if reference else found


def _compared(now: Sequence[float], before: Sequence[float]) -> Drift:
    n, m, size = sum(now), sum(before), len(now)
    if min(n, m) < LEAST or size < 2:
        return Drift(DriftLevel.TOO_FEW, None, None, round(n), round(m))
    index = sum(_term(_share(a, n, size), _share(b, m, size)) for a, b in zip(now, before, strict=True))
    noise = _chi_squared95(size - 1) * (1 / n + 1 / m)
    return Drift(_level(index, noise), index, noise, round(n), round(m))


def _joined(now: Sequence[float], before: Sequence[float]) -> list[tuple[float, float]]:
    least, groups = sum(before) / _GROUPS, [(0.0, 0.0)]
    for a, b in zip(now, before, strict=True):
        if groups[-1][1] >= least:
            groups.append((0.0, 0.0))
        groups[-1] = groups[-1][0] + a, groups[-1][1] + b
    if len(groups) > 1 and groups[-1][1] < least / 2:
        last = groups.pop()
        groups[-1] = groups[-1][0] + last[0], groups[-1][1] + last[1]
    return groups


def _share(count: float, total: float, groups: int) -> float:
    """With half a value more in each group, so that none is empty."""
    return (count + 0.5) / (total + 0.5 * groups)


def _term(now: float, before: float) -> float:
    return (now - before) * log(now / before)


def _level(index: float, noise: float) -> DriftLevel:
    if index < MODERATE or index <= noise:
        return DriftLevel.STABLE
    return DriftLevel.MODERATE if index < LARGE else DriftLevel.LARGE


def _chi_squared95(freedom: int) -> float:
    """By Wilson and Hilferty; within 1 % from two degrees of freedom on."""
    part = 2 / (9 * freedom)
    return float(freedom * (1 - part + _Z95 * part**0.5) ** 3)


def similarities(days: Sequence[Day], version: str) -> list[int]:
    """How many similarities of these days lie in each bin, of one head."""
    found = [day.counts.similarity[version] for day in days if version in day.counts.similarity]
    return [sum(bins) for bins in zip(*found, strict=True)] or [0] * BINS


def summed(counts: Sequence[Mapping[str, int]]) -> Counter[str]:
    """Counts of several days together."""
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return total


def reason_drift(now: Sequence[Day], before: Sequence[Day]) -> Drift:
    """The shares of reasons in these days against those in others. Rare reasons count together."""
    mine, theirs = (summed([day.counts.reasons for day in days]) for days in (now, before))
    order = [reason for reason, _ in theirs.most_common()]
    order += sorted(mine.keys() - theirs.keys())
    kept = order[: _GROUPS - 1]
    cells = [[c[reason] for reason in kept] + [sum(c[r] for r in order[len(kept) :])] for c in (mine, theirs)]
    return _compared(*cells)
