"""Paired bootstrap: two heads on the same pairs of faces, and the interval of their difference.

Pairs that share a person are not independent, so people are resampled, not pairs. Both heads are compared on
the same samples, so that what is hard for both cancels out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.faces.types import Codes, Doubles, Flags, Rows
from pipeline.fitting import metrics

DEEP = 50
"""A threshold is searched among so many times as many impostor pairs as may pass, since a sample may leave
the highest scores out."""
AT_LEAST = 2000
"""At least so many impostor pairs are searched, however low the rate is."""


@dataclass(frozen=True, slots=True, eq=False)
class FacePairs(Rows):
    """n pairs of faces: ``first`` and ``second`` (n,) are rows, ``one`` and ``other`` their people."""

    first: Codes
    second: Codes
    one: Codes
    other: Codes

    def __len__(self) -> int:
        return len(self.first)

    def among(self, faces: Flags) -> Flags:
        """(n,) the pairs whose two faces are flagged."""
        return np.asarray(faces[self.first] & faces[self.second])


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of both heads, and the 95 % interval of ``challenger - champion``."""

    champion: float
    challenger: float
    low95: float
    high95: float


def draw_people(people: int, rounds: int, seed: int) -> Doubles:
    """(rounds + 1, people): how often each was drawn; in the first row everybody counts once."""
    return np.concatenate([np.ones((1, people)), metrics.draw_people(people, rounds, seed)])


def difference(champion: Doubles, challenger: Doubles) -> Difference:
    """From a figure (rounds + 1,) of both, the first not resampled; rounds without a figure are NaN."""
    apart = (challenger - champion)[1:]
    low, high = np.nanquantile(apart, [0.025, 0.975])
    return Difference(float(champion[0]), float(challenger[0]), float(low), float(high))


def resampled_thresholds(scores: Doubles, pairs: FacePairs, drawn: Doubles, rate: float) -> Doubles:
    """(rounds + 1,) the score of the best impostor that must not pass, so that ``rate`` of them do."""
    total = metrics.drawn_sums(drawn, pairs.one, pairs.other, np.ones(len(pairs)))
    most = min(len(scores), max(AT_LEAST, round(DEEP * rate * len(scores))))
    top = np.argpartition(-scores, most - 1)[:most]
    top = top[np.argsort(-scores[top], kind="stable")]
    one, other, falling = pairs.one[top], pairs.other[top], scores[top]
    found = np.empty(len(drawn))
    for number, often in enumerate(drawn):
        passed = np.cumsum(often[one] * often[other])
        found[number] = falling[min(int(np.searchsorted(passed, rate * total[number], "right")), most - 1)]
    return found


def lost(scores: Doubles, pairs: FacePairs, drawn: Doubles, beyond: Doubles) -> Doubles:
    """(rounds + 1,) share of the genuine pairs at or below each round's threshold."""
    rising = np.argsort(scores, kind="stable")
    ordered, owner = scores[rising], pairs.one[rising]
    found = np.full(len(drawn), np.nan)
    for number, often in enumerate(drawn):
        gone = np.concatenate([[0.0], np.cumsum(often[owner])])
        if gone[-1]:
            found[number] = gone[np.searchsorted(ordered, beyond[number], "right")] / gone[-1]
    return found


def shares(hits: Flags, pairs: FacePairs, drawn: Doubles) -> Doubles:
    """(rounds + 1,) share of hits among the pairs; NaN in rounds without any of them."""
    count = metrics.drawn_sums(drawn, pairs.one, pairs.other, np.ones(len(pairs)))
    found = metrics.drawn_sums(drawn, pairs.one, pairs.other, hits.astype(np.float64))
    return np.divide(found, count, out=np.full(len(drawn), np.nan), where=count > 0)


def shares_of_faces(hits: Flags, owner: Codes, drawn: Doubles) -> Doubles:
    """(rounds + 1,) share of hits among faces; ``owner`` (n,) are their people, as columns of ``drawn``."""
    size = drawn.shape[1]
    count = drawn @ np.bincount(owner, minlength=size)
    found = drawn @ np.bincount(owner, weights=hits, minlength=size)
    return np.divide(found, count, out=np.full(len(drawn), np.nan), where=count > 0)
