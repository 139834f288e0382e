"""Find wrong labels by the current head, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from pipeline.bundles.models import HeadParams
from pipeline.faces.types import Codes, Embeddings, Flags
from pipeline.fitting.fit import BLOCK, FaceTable
from pipeline.score import Scorer

ENOUGH_PHOTOS = 3
"""A person needs so many photos before one of them can be called wrong."""


def fused(scorer: Scorer, table: FaceTable) -> Embeddings:
    """(n, k) embeddings whose inner products are the fused scores."""
    projected = scorer.project(table.embeddings)
    return np.hstack([np.sqrt(t.weight) * projected[name] for name, t in scorer.towers.items()])


def with_aliases_merged(table: FaceTable, params: HeadParams) -> tuple[FaceTable, int]:
    """The table with names that share a picture merged, and how many pairs of names were."""
    aliases = suspected_aliases(table.identity, fused(params.scorer, table), params.replay.score)
    return replace(table, identity=merge_aliases(table.identity, aliases)), len(aliases)


def mislabelled(table: FaceTable, scorer: Scorer) -> Flags:
    """(n,) faces that are unlike every other photo of their own person, but like somebody else's.

    Both by the scorer's thresholds. A person needs `ENOUGH_PHOTOS`: of two photos that differ either may be
    wrong, and photos that are only hard are worth learning from.
    """
    projected, identity = scorer.project(table.embeddings), table.identity
    photos = np.bincount(np.unique(identity, return_inverse=True)[1])
    many = photos[np.unique(identity, return_inverse=True)[1]] >= ENOUGH_PHOTOS
    wrong = np.zeros(len(identity), dtype=bool)
    for start in range(0, len(identity), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(identity)))
        scores = scorer.matrix({name: embeddings[rows] for name, embeddings in projected.items()}, projected)
        own = identity[rows, None] == identity[None]
        others = scores.max(axis=1, where=~own, initial=-np.inf)
        scores[np.arange(len(rows)), rows] = -np.inf
        mine = scores.max(axis=1, where=own, initial=-np.inf)
        wrong[rows] = (
            many[rows] & (mine < scorer.thresholds.different) & (others >= scorer.thresholds.approve)
        )
    return wrong


def merge_aliases(identity: Codes, aliases: Iterable[tuple[int, int]]) -> Codes:
    """The identities with every two that name one person merged into the lower code, chains included."""
    parent = {int(code): int(code) for code in np.unique(identity)}

    def root(code: int) -> int:
        while parent[code] != code:
            code = parent[code]
        return code

    for one, other in aliases:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return np.array([root(int(code)) for code in identity], dtype=np.int64)


def suspected_aliases(identity: Codes, embeddings: Embeddings, limit: float) -> list[tuple[int, int]]:
    """Pairs of identities that share a face: (code, code) where a cosine reaches ``limit``.

    ``embeddings`` is (n, d) of length 1. Different people are never so similar, so it is one picture, or one
    person, under two names.
    """
    found: set[tuple[int, int]] = set()
    for start in range(0, len(identity), BLOCK):
        rows, columns = np.nonzero(embeddings[start : start + BLOCK] @ embeddings.T >= limit)
        one, other = identity[rows + start], identity[columns]
        found.update(zip(one[one < other].tolist(), other[one < other].tolist(), strict=True))
    return sorted(found)
