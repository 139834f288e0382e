"""Set both thresholds on an operator's own pairs, with confidence intervals.

Pairs that share a person are not independent, so the bootstrap resamples people, not pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from pipeline.bundles.head import CALIBRATED, Head
from pipeline.bundles.identities import FittedOn
from pipeline.bundles.reference import KEY, Reference, reference_of, sha256_of
from pipeline.errors import DataError
from pipeline.faces.types import Codes, EmbeddingsByName, Flags, Rows, Scores
from pipeline.fitting import metrics
from pipeline.fitting.fit import FitSettings, thresholds_at
from pipeline.fitting.reference import completed, reference_of_pairs
from pipeline.score import Scorer, Thresholds

ROUNDS = 500
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class ScoredPairs(Rows):
    """n pairs, each field (n,): fused score, whether genuine, the codes of the two people."""

    scores: Scores
    same: Flags
    first: Codes
    second: Codes


@dataclass(frozen=True, slots=True)
class Calibration:
    """The new thresholds, the 95 % intervals of both, and warnings for the operator."""

    thresholds: Thresholds
    approve95: Interval
    different95: Interval | None
    """None without genuine pairs: the different threshold is the earlier one."""
    genuine: int
    impostors: int
    people: int
    warnings: tuple[str, ...]
    reference: Reference | None = field(default=None, repr=False)
    """Where the similarities of these pairs lie."""

    def facts(self) -> dict[str, Any]:
        """For JSON, without the reference."""
        return {name: value for name, value in asdict(self).items() if name != KEY}


def require_impostors(count: int, fmr: float) -> None:
    """Raises DataError where so many impostor pairs cannot show the false-match rate even once."""
    if count * fmr < 1:
        needed = round(1 / fmr)
        raise DataError(
            f"{count} impostor pairs cannot show a false-match rate of {fmr:g}: at least {needed} are "
            f"needed, {metrics.IMPOSTORS_PER_ERROR * needed} for a reliable threshold"
        )


def calibrate(pairs: ScoredPairs, settings: FitSettings, before: Thresholds, seed: int = 1) -> Calibration:
    """Set the approve threshold by the impostor pairs and the different threshold by the genuine ones.

    Without genuine pairs (`--from-members`) the different threshold stays as it was ``before``, but not above
    the new approve threshold; the thresholds for refused faces, of which pairs show none, always stay. Raises
    DataError where the impostor pairs are too few to show the false-match rate even once.
    """
    genuine, impostors = pairs.scores[pairs.same], pairs.scores[~pairs.same]
    require_impostors(len(impostors), settings.approve_fmr)
    if len(genuine):
        thresholds = thresholds_at(genuine, impostors, settings)
    else:
        thresholds = thresholds_at(impostors, impostors, settings)
        thresholds = replace(thresholds, different=min(before.different, thresholds.approve))
    approve, different = _intervals(pairs, settings, seed)
    thresholds = thresholds.keeping(before)
    return Calibration(
        thresholds=thresholds,
        approve95=approve,
        different95=different if len(genuine) else None,
        genuine=len(genuine),
        impostors=len(impostors),
        people=len(np.unique(np.concatenate([pairs.first, pairs.second]))),
        warnings=tuple(_warnings(len(genuine), len(impostors), settings)),
        reference=reference_of_pairs(pairs.scores, pairs.first, pairs.second, thresholds),
    )


def pairs_of_members(
    scorer: Scorer, selfies: EmbeddingsByName, genders: Codes, twin: float
) -> tuple[ScoredPairs, int]:
    """Every pair of different members of one gender, and how many pairs were left out.

    ``selfies`` are (n, d) by embedder, not projected; ``genders`` (n,). A pair whose score reaches ``twin``
    is left out, because it shows one person with two accounts.
    """
    projected = scorer.project(selfies)
    found: list[tuple[Scores, Scores, Codes, Codes]] = []
    for gender in np.unique(genders):
        members = np.flatnonzero(genders == gender)
        own = {name: rows[members] for name, rows in projected.items()}
        first, second = np.triu_indices(len(members), 1)
        scores, likeness = (
            table[first, second] for table in (scorer.matrix(own, own), scorer.likeness(own, own))
        )
        found.append((scores, likeness, members[first], members[second]))
    scores, likeness, one, other = (np.concatenate(parts) for parts in zip(*found, strict=True))
    kept = likeness < twin
    pairs = ScoredPairs(scores[kept], np.zeros(int(kept.sum()), np.bool_), one[kept], other[kept])
    return pairs, int((~kept).sum())


def with_genuine(impostors: ScoredPairs, scores: Scores, members: Codes) -> ScoredPairs:
    """The pairs with genuine pairs added, (k,) each: their scores and whose they are."""
    genuine = ScoredPairs(scores, np.ones(len(scores), np.bool_), members, members)
    return ScoredPairs.joined([impostors, genuine])


def recalibrated(head: Head, result: Calibration, fmr: float, people: FittedOn | None = None) -> Head:
    """The head with these thresholds, which were set on ``people``, marked as calibrated."""
    facts = {**result.facts(), "fmr": fmr}
    del facts["thresholds"]
    before = head.fitted_on
    everybody = before.joined(people) if people else before
    metadata = {
        **head.metadata,
        "edges": asdict(result.thresholds),
        "calibration": CALIBRATED,
        "calibrated_on": facts,
        "fitted_on": everybody.facts(),
        KEY: _reference(head, result),
    }
    return Head({**head.arrays, **everybody.arrays()}, metadata)


def _reference(head: Head, result: Calibration) -> dict[str, Any] | None:
    """The reference under the new thresholds: that of before is wrong now."""
    if result.reference is None:
        return None
    before = reference_of(sha256_of(head), head.metadata)
    if before is None:
        return result.reference.facts()
    old = Thresholds(**head.metadata["edges"])
    return completed(result.reference, before, old, result.thresholds).facts()


def _warnings(genuine: int, impostors: int, settings: FitSettings) -> Sequence[str]:
    """Warnings where a rate depends on a handful of pairs; the manifest keeps them, so their words stay."""
    found = []
    if impostors * settings.approve_fmr < metrics.IMPOSTORS_PER_ERROR:
        needed = round(metrics.IMPOSTORS_PER_ERROR / settings.approve_fmr)
        found.append(
            f"only {impostors} impostor pairs: the approve edge hangs on "
            f"{int(impostors * settings.approve_fmr)} of them; {needed} would be sound"
        )
    if not genuine:
        found.append("no genuine pairs: the different edge stays as it was")
    elif genuine * settings.different_fnmr < 1:
        needed = round(1 / settings.different_fnmr)
        found.append(f"only {genuine} genuine pairs: {needed} would show the different edge's rate once")
    return found


def _intervals(pairs: ScoredPairs, settings: FitSettings, seed: int) -> tuple[Interval, Interval]:
    people, codes = np.unique(np.concatenate([pairs.first, pairs.second]), return_inverse=True)
    one, other = codes[: len(pairs.first)], codes[len(pairs.first) :]
    approve, different = [], []
    rising = np.argsort(pairs.scores, kind="stable")
    genuine, impostor = rising[pairs.same[rising]], rising[~pairs.same[rising]][::-1]
    for drawn in metrics.draw_people(len(people), ROUNDS, seed):
        weight = np.where(one == other, drawn[one], drawn[one] * drawn[other])
        approve.append(_crossing(pairs.scores, weight, impostor, settings.approve_fmr))
        different.append(_crossing(pairs.scores, weight, genuine, settings.different_fnmr))
    return _middle95(approve), _middle95(different)


def _crossing(scores: Scores, weight: Scores, order: Codes, rate: float) -> float:
    """The first score in this order at which more than ``rate`` of the weight has passed."""
    gone = np.cumsum(weight[order])
    if not len(gone) or gone[-1] == 0:
        return float("nan")
    return float(scores[order[min(int(np.searchsorted(gone, rate * gone[-1], "right")), len(order) - 1)]])


def _middle95(values: Sequence[float]) -> Interval:
    known = [value for value in values if np.isfinite(value)]
    if not known:
        return float("-inf"), float("inf")
    return float(np.quantile(known, 0.025)), float(np.quantile(known, 0.975))
