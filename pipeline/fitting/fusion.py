"""Learn how much an added network counts beside those whose weights are fixed.

The criterion is the FNMR at the allowed FMR. Of a few weights the smallest is taken whose FNMR lies within
one standard error of the lowest (the one-standard-error rule of Breiman et al., 1984), so that a network that
adds nothing beyond chance is left out. Several networks are weighted one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pipeline.faces.types import Codes, Embeddings, EmbeddingsByName, Flags, Scores
from pipeline.fitting import metrics
from pipeline.score import Scorer

WEIGHTS: Final = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0)
"""Of a further network, where SFace's is 1."""
PHOTOS: Final = 10
"""Photos of one person that give genuine pairs, so that nobody's pairs outweigh all others."""
IMPOSTORS: Final = 300_000
"""Pairs that are sampled where there are more."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledEmbeddings:
    """n faces: (n, d) by embedder, identities and genders (n,).

    Two faces of one gender may be an impostor pair if both are flagged in ``impostors`` (n,).
    """

    embeddings: EmbeddingsByName
    identity: Codes
    gender: Codes
    impostors: Flags


def with_learned_weights(
    scorer: Scorer, faces: LabelledEmbeddings, names: Sequence[str], fmr: float
) -> Scorer:
    """The scorer with the towers ``names`` at learned weights, without those that add nothing.

    The towers must have weight 0 before. ``fmr`` is the allowed false-match rate. The result is
    deterministic. Without genuine or impostor pairs nothing can be learned, and the towers are left out.
    """
    if not names:
        return scorer
    projected, genuine, impostor = scorer.project(faces.embeddings), _genuine(faces), _impostors(faces)
    people = len(np.unique(faces.identity[genuine]))
    for name in names:
        mine, theirs = (_scores(scorer, projected, pairs) for pairs in (genuine, impostor))
        own, others = (_cosines(projected[name], pairs) for pairs in (genuine, impostor))
        lost = [_fnmr(mine + w * own, theirs + w * others, fmr) for w in WEIGHTS] if people else []
        scorer = _weighted(scorer, name, _smallest_of_the_best(lost, people))
    return scorer


def _smallest_of_the_best(lost: Sequence[float], people: int) -> float:
    """The weight. The standard error counts people, because pairs are not independent."""
    if not lost or np.isnan(lost).any():
        return 0.0
    best = min(lost)
    allowed = best + float(np.sqrt(best * (1 - best) / people))
    return next(weight for weight, share in zip(WEIGHTS, lost, strict=True) if share <= allowed)


def _fnmr(genuine: Scores, impostor: Scores, fmr: float) -> float:
    """NaN without impostors."""
    if not len(impostor):
        return float("nan")
    return float(np.mean(genuine < metrics.threshold_at_fmr(impostor, fmr)))


def _weighted(scorer: Scorer, name: str, weight: float) -> Scorer:
    towers = {**scorer.towers, name: replace(scorer.towers[name], weight=weight)}
    return replace(scorer, towers={n: tower for n, tower in towers.items() if n != name or weight})


def _scores(scorer: Scorer, projected: EmbeddingsByName, pairs: Codes) -> Scores:
    """(k,) of pairs of rows (k, 2)."""
    first, second = ({name: rows[side] for name, rows in projected.items()} for side in pairs.T)
    return scorer.scores(first, second)


def _cosines(embeddings: Embeddings, pairs: Codes) -> Scores:
    return np.asarray(np.sum(embeddings[pairs[:, 0]] * embeddings[pairs[:, 1]], axis=1), np.float64)


def _genuine(faces: LabelledEmbeddings) -> Codes:
    """(k, 2) rows of genuine pairs, of the first `PHOTOS` of each person."""
    found = [np.empty((0, 2), np.int64)]
    for rows in metrics.rows_of_each(faces.identity):
        one, other = np.triu_indices(min(len(rows), PHOTOS), 1)
        found.append(np.column_stack([rows[one], rows[other]]))
    return np.concatenate(found)


def _impostors(faces: LabelledEmbeddings) -> Codes:
    """(k, 2) rows of impostor pairs of one gender: all, or a random sample."""
    rows = np.flatnonzero(faces.impostors)
    if len(rows) * (len(rows) - 1) // 2 <= IMPOSTORS:
        pairs = np.column_stack([rows[side] for side in np.triu_indices(len(rows), 1)])
    else:
        pairs = rows[np.random.default_rng(0).integers(len(rows), size=(IMPOSTORS, 2))]
    one, other = pairs.T
    different = faces.identity[one] != faces.identity[other]
    return np.asarray(pairs[different & (faces.gender[one] == faces.gender[other])])
