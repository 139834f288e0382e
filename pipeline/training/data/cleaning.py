"""Labels that cannot be right, found by the bundle that judges today: before anything is learned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.bundles.head_params import Judges
from pipeline.datasets.labels import BLOCK
from pipeline.faces.types import Vectors
from pipeline.fitting.fit import FaceTable
from pipeline.score import Scorer
from pipeline.training.data.pairs import merge_aliases, suspected_aliases

ENOUGH_PHOTOS = 3
"""Of a person, to say which one of them is the stranger."""


def fused(scorer: Scorer, table: FaceTable) -> Vectors:
    """(n, k) vectors whose inner products are the sums of the towers' cosines."""
    projected = scorer.project(table.vectors)
    return np.hstack([np.sqrt(t.weight) * projected[name] for name, t in scorer.towers.items()])


def with_aliases_merged(table: FaceTable, judges: Judges) -> tuple[FaceTable, int]:
    """Names that share a picture made one person, and how many pairs of names that were."""
    aliases = suspected_aliases(table.identity, fused(judges.scorer, table), judges.replay.score)
    return replace(table, identity=merge_aliases(table.identity, aliases)), len(aliases)


def mislabelled(table: FaceTable, scorer: Scorer) -> NDArray[np.bool_]:
    """(n,) faces unlike every other photo of their own person, but like somebody else's.

    Both by the scorer's own edges. A person needs `ENOUGH_PHOTOS` for it: of two that differ
    nobody knows which is wrong, and a photo that is only hard is what there is to learn.
    """
    projected, identity = scorer.project(table.vectors), table.identity
    photos = np.bincount(np.unique(identity, return_inverse=True)[1])
    many = photos[np.unique(identity, return_inverse=True)[1]] >= ENOUGH_PHOTOS
    wrong = np.zeros(len(identity), dtype=bool)
    for start in range(0, len(identity), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(identity)))
        scores = scorer.matrix({name: vectors[rows] for name, vectors in projected.items()}, projected)
        own = identity[rows, None] == identity[None]
        others = scores.max(axis=1, where=~own, initial=-np.inf)
        scores[np.arange(len(rows)), rows] = -np.inf
        mine = scores.max(axis=1, where=own, initial=-np.inf)
        wrong[rows] = many[rows] & (mine < scorer.edges.different) & (others >= scorer.edges.approve)
    return wrong
