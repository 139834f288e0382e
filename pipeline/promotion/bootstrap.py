"""Two judges on the same pairs of faces: by how much they differ, and how sure that is.

Pairs that share a person are not independent, so people are drawn again, not pairs; and both
judges are asked about the same draw, so that what is hard for both cancels out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.fitting import metrics

Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]

DEEP = 50
"""A threshold is looked for among so many times as many impostor pairs as may pass: a draw may
leave the most alike ones out."""
AT_LEAST = 2000
"""So many impostor pairs are looked through however low the rate is."""


@dataclass(frozen=True, slots=True, eq=False)
class FacePairs:
    """n pairs of faces: ``first`` and ``second`` (n,) are rows, ``one`` and ``other`` whose they are."""

    first: Codes
    second: Codes
    one: Codes
    other: Codes

    def __len__(self) -> int:
        """How many."""
        return len(self.first)

    def among(self, faces: Flags) -> Flags:
        """(n,) the pairs whose two faces are flagged."""
        return np.asarray(faces[self.first] & faces[self.second])

    def only(self, chosen: Flags) -> FacePairs:
        """The flagged pairs."""
        return FacePairs(self.first[chosen], self.second[chosen], self.one[chosen], self.other[chosen])


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of both judges, and the 95 % interval of ``challenger - champion``."""

    champion: float
    challenger: float
    low95: float
    high95: float


def draw_people(people: int, rounds: int, seed: int) -> Floats:
    """(rounds + 1, people): how often each was drawn. In the first row everybody counts once."""
    return np.concatenate([np.ones((1, people)), metrics.draw_people(people, rounds, seed)])


def difference(champion: Floats, challenger: Floats) -> Difference:
    """Of a figure (rounds + 1,) of both, the first without drawing; rounds without a figure are NaN."""
    apart = (challenger - champion)[1:]
    low, high = np.nanquantile(apart, [0.025, 0.975])
    return Difference(float(champion[0]), float(challenger[0]), float(low), float(high))


def resampled_thresholds(scores: Floats, pairs: FacePairs, drawn: Floats, rate: float) -> Floats:
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


def lost(scores: Floats, pairs: FacePairs, drawn: Floats, beyond: Floats) -> Floats:
    """(rounds + 1,) share of the genuine pairs that do not lie beyond each round's threshold."""
    rising = np.argsort(scores, kind="stable")
    ordered, owner = scores[rising], pairs.one[rising]
    found = np.full(len(drawn), np.nan)
    for number, often in enumerate(drawn):
        gone = np.concatenate([[0.0], np.cumsum(often[owner])])
        if gone[-1]:
            found[number] = gone[np.searchsorted(ordered, beyond[number], "right")] / gone[-1]
    return found


def shares(hits: Flags, pairs: FacePairs, drawn: Floats) -> Floats:
    """(rounds + 1,) share of hits among the pairs; NaN in rounds that drew none of them."""
    count = metrics.drawn_sums(drawn, pairs.one, pairs.other, np.ones(len(pairs)))
    found = metrics.drawn_sums(drawn, pairs.one, pairs.other, hits.astype(np.float64))
    return np.divide(found, count, out=np.full(len(drawn), np.nan), where=count > 0)


def shares_of_faces(hits: Flags, owner: Codes, drawn: Floats) -> Floats:
    """(rounds + 1,) share of hits among faces whose people, columns of ``drawn``, are ``owner`` (n,)."""
    size = drawn.shape[1]
    count = drawn @ np.bincount(owner, minlength=size)
    found = drawn @ np.bincount(owner, weights=hits, minlength=size)
    return np.divide(found, count, out=np.full(len(drawn), np.nan), where=count > 0)
