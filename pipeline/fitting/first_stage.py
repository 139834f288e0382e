"""Fit the first stage of comparisons: how far the score may lie from one network's cosine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from pipeline.faces.types import Flags, Scores
from pipeline.first_stage import FirstStage
from pipeline.fitting.fit import BLOCK, FaceTable
from pipeline.score import Scorer

EMBEDDER: Final = "sface8"
TOWER: Final = "sface"
MARGIN: Final = 0.1
"""Beyond what any pair of the fit had, for the pairs of other people. With half of it one of 784,378 pairs of
others was decided that all networks leave unsure."""
ENOUGH: Final = 1_000_000
"""Pairs; a retraining on fewer keeps the bounds of the head before."""


def fit_first_stage(scorer: Scorer, table: FaceTable, before: FirstStage | None = None) -> FirstStage | None:
    """The first stage by all pairs of these faces, whatever the gender; None without its network or pairs.

    Its bounds are not narrower than those of ``before``; without one, `ENOUGH` pairs are needed. Heads with
    an expectation have none: it moves scores by what the other networks see.
    """
    if EMBEDDER not in table.embeddings or TOWER not in scorer.towers or scorer.expectation is not None:
        return None
    line = _line(scorer, table)
    if line is None:
        return None
    pairs, sure, most = 0, -1.0, 0.0
    for cosine, score, _ in _pairs(scorer, table):
        pairs += len(score)
        beyond = score - (line[0] + line[1] * cosine)
        sure = float(np.max(cosine[score < cosine], initial=sure))
        most = float(np.max(beyond[cosine < scorer.thresholds.approve], initial=most))
    if before is not None:
        sure, most = max(sure, before.sure - MARGIN), max(most, before.most - MARGIN)
    elif pairs < ENOUGH:
        return None
    return FirstStage(EMBEDDER, TOWER, sure + MARGIN, most + MARGIN, *line)


def _line(scorer: Scorer, table: FaceTable) -> tuple[float, float] | None:
    """Intercept and slope of the score that is expected; None without genuine or impostor pairs.

    By least squares. Both kinds count the same, however many more impostor pairs there are.
    """
    sums = np.zeros((2, 2, 3))
    for cosine, score, same in _pairs(scorer, table):
        for moments, kind in zip(sums, (~same, same), strict=True):
            x, y = cosine[kind], score[kind]
            moments += [[len(x), x.sum(), y.sum()], [x.sum(), x @ x, x @ y]]
    if not sums[:, 0, 0].all():
        return None
    left, right = np.hsplit((sums / sums[:, :1, :1]).sum(axis=0), [2])
    intercept, slope = np.linalg.solve(left, right[:, 0]).tolist()
    return intercept, slope


def _pairs(scorer: Scorer, table: FaceTable) -> Iterator[tuple[Scores, Scores, Flags]]:
    """Cosine of the first stage, score, and whether they are genuine, of all pairs, in blocks."""
    fast, everybody = scorer.towers[TOWER].project(table.embeddings[EMBEDDER]), np.arange(len(table.identity))
    projected = scorer.project(table.embeddings)
    for start in range(0, len(everybody), BLOCK):
        rows = everybody[start : start + BLOCK]
        later = everybody[None] > rows[:, None]
        scores = scorer.matrix({name: v[rows] for name, v in projected.items()}, projected)
        same = table.identity[rows, None] == table.identity[None]
        yield (fast[rows] @ fast.T).astype(np.float64)[later], scores[later], same[later]
