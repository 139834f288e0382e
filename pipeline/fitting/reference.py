"""Measure the reference of a head (`pipeline.bundles.reference`) on pairs.

Every person has the same weight among the genuine pairs, and every two people among the impostors, however
many photos they have.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipeline.bundles.reference import BINS, REACH, Measured, Reference, Shares, inner_bounds
from pipeline.faces.types import Codes, Doubles, Rows, Scores
from pipeline.fitting.fit import UNKNOWN, FaceTable, genuine_scores_by_person, users_impostors
from pipeline.score import Scorer, Thresholds


@dataclass(frozen=True, slots=True, eq=False)
class WeighedPairs(Rows):
    """n pairs, each field (n,): log-odds of the similarity, and weight."""

    log_odds: Scores
    weight: Doubles


def measured_on(
    measured: Measured, genuine: WeighedPairs, impostor: WeighedPairs, people: tuple[int, int]
) -> Reference | None:
    """The reference by these pairs; None without impostors. ``people``: how many are in the genuine pairs,
    and in the impostor pairs."""
    impostor_shares = _shares(impostor)
    if impostor_shares is None:
        return None
    return Reference(
        measured,
        impostor=impostor_shares,
        impostor_pairs=len(impostor.log_odds),
        impostor_people=people[1],
        genuine=_shares(genuine),
        genuine_pairs=len(genuine.log_odds),
        genuine_people=people[0],
    )


def reference_on(scorer: Scorer, faces: FaceTable, measured: Measured) -> Reference | None:
    """That of a head on faces of people whom it was not fitted on."""
    known = faces.only(faces.gender != UNKNOWN)
    genuine = genuine_pairs(scorer, known)
    scores, weight = users_impostors(scorer, known)
    impostor = WeighedPairs(log_odds(scores, scorer.thresholds), weight)
    people = len(np.unique(known.identity))
    return measured_on(measured, genuine, impostor, (people_with_pairs(known), people))


def reference_of_pairs(
    scores: Scores, first: Codes, second: Codes, thresholds: Thresholds
) -> Reference | None:
    """On an operator's own pairs, each (n,): score, and the codes of both people."""
    pairs, same = WeighedPairs(log_odds(scores, thresholds), np.ones(len(scores))), first == second
    people = len(np.unique(first[same])), len(np.unique(np.concatenate([first[~same], second[~same]])))
    return measured_on(Measured.CALIBRATION, pairs.only(same), pairs.only(~same), people)


def completed(found: Reference, before: Reference, old: Thresholds, new: Thresholds) -> Reference:
    """Without genuine pairs: with those of ``before``, moved from the old thresholds to the new ones."""
    if found.genuine is not None or before.genuine is None:
        return found
    return replace(
        found,
        genuine=moved(before.genuine, old, new),
        genuine_pairs=before.genuine_pairs,
        genuine_people=before.genuine_people,
    )


def moved(old_shares: Shares, old: Thresholds, new: Thresholds) -> Shares:
    """The shares under other thresholds; within a bin the pairs count as evenly spread."""
    bounds = np.array([-REACH, *inner_bounds(), REACH])
    scores = bounds / new.scale + new.approve
    below = np.concatenate([[0.0], np.cumsum(old_shares)])
    under = np.interp(log_odds(scores, old), bounds, below / below[-1])
    under[0], under[-1] = 0.0, 1.0
    return _rounded(np.diff(under))


def genuine_pairs(scorer: Scorer, faces: FaceTable) -> WeighedPairs:
    """The genuine pairs among these faces."""
    parts = [NO_PAIRS]
    for scores in genuine_scores_by_person(scorer, faces):
        odds = log_odds(scores, scorer.thresholds)
        parts.append(WeighedPairs(odds, np.full(len(scores), 1 / len(scores))))
    return WeighedPairs.joined(parts)


def people_with_pairs(faces: FaceTable) -> int:
    """How many people have two faces or more."""
    return int((np.unique(faces.identity, return_counts=True)[1] > 1).sum())


def log_odds(scores: Scores, thresholds: Thresholds) -> Scores:
    """Those of the similarity."""
    return np.asarray(thresholds.scale * (scores - thresholds.approve), dtype=np.float64)


def _shares(pairs: WeighedPairs) -> Shares | None:
    """The share of the pairs in each bin; None without any."""
    if len(pairs.log_odds) == 0:
        return None
    bins = np.searchsorted(inner_bounds(), pairs.log_odds, "right")
    counts = np.bincount(bins, pairs.weight, minlength=BINS)
    return _rounded(counts / counts.sum())


def _rounded(values: Doubles) -> Shares:
    return tuple(round(float(value), 7) for value in values)


NO_PAIRS = WeighedPairs(np.empty(0), np.empty(0))
