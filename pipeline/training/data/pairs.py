"""Pairs to learn from: genuine and impostor ones, drawn by a seed, people kept apart.

Impostors are people of one gender and near age, as strangers on a dating site are; half of them
are the ones that the embedder finds hardest to tell apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pipeline.datasets.labels import BLOCK, Codes, Flags, Labels
from pipeline.faces.types import Vectors

SAME, DIFFERENT = 1, 0
"""The label of a pair. The one place that says which number means "same person"."""
NEIGHBOURS = 8
"""So many of the most alike strangers of each face are looked at when hard pairs are mined."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """n pairs as row numbers of a table of faces; ``same`` (n,) holds `SAME` or `DIFFERENT`."""

    first: Codes
    second: Codes
    same: Codes

    def __len__(self) -> int:
        """How many."""
        return len(self.same)


@dataclass(frozen=True, slots=True)
class PairSettings:
    """How many pairs of which kind."""

    genuine_per_person: int = 20
    """At most; else the few people with hundreds of photos would be all that is learned."""
    impostors_per_genuine: float = 2.0
    hard_share: float = 0.5
    """Of the impostors: mined from embeddings rather than drawn."""
    ceiling: float = 0.95
    """Strangers more alike than this (cosine) are one person under two names: not to be learned."""


def merge_aliases(identity: Codes, aliases: Iterable[tuple[int, int]]) -> Codes:
    """The same codes, with every two that name one person made one (the lower); chains too."""
    parent = {int(code): int(code) for code in np.unique(identity)}

    def root(code: int) -> int:
        while parent[code] != code:
            code = parent[code]
        return code

    for one, other in aliases:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return np.array([root(int(code)) for code in identity], dtype=np.int64)


def suspected_aliases(identity: Codes, vectors: Vectors, limit: float) -> list[tuple[int, int]]:
    """Two identities that share a face: (code, code) of pairs whose cosine reaches ``limit``.

    ``vectors`` is (n, d) of length 1. Two different people never are that alike, so it is one
    picture, or one person, under two names.
    """
    found: set[tuple[int, int]] = set()
    for start in range(0, len(identity), BLOCK):
        rows, columns = np.nonzero(vectors[start : start + BLOCK] @ vectors.T >= limit)
        one, other = identity[rows + start], identity[columns]
        found.update(zip(one[one < other].tolist(), other[one < other].tolist(), strict=True))
    return sorted(found)


def split_by_identity(identity: Codes, share: float, seed: int) -> Flags:
    """(n,) which faces are held out: all faces of about ``share`` of the people."""
    people = np.unique(identity)
    shuffled = np.random.default_rng(seed).permutation(people)
    held = shuffled[: round(share * len(people))]
    return np.isin(identity, held)


def draw_pairs(labels: Labels, vectors: Vectors, settings: PairSettings, rng: np.random.Generator) -> Pairs:
    """One round of pairs in random order: genuine ones, drawn impostors, hard impostors."""
    genuine = genuine_pairs(labels.identity, settings.genuine_per_person, rng)
    wanted = round(settings.impostors_per_genuine * len(genuine))
    hard = hard_impostors(labels, vectors, round(settings.hard_share * wanted), settings.ceiling)
    easy = drawn_impostors(labels, wanted - len(hard), rng)
    return shuffled(_joined(genuine, hard, easy), rng)


def genuine_pairs(identity: Codes, most: int, rng: np.random.Generator) -> Pairs:
    """Every two photos of a person, at most ``most`` pairs of each."""
    found = [np.empty((0, 2), np.int64)]
    for code in np.unique(identity):
        rows = np.flatnonzero(identity == code)
        one, other = np.triu_indices(len(rows), 1)
        if len(one) > most:
            chosen = rng.choice(len(one), most, replace=False)
            one, other = one[chosen], other[chosen]
        found.append(np.column_stack([rows[one], rows[other]]))
    return _pairs(np.concatenate(found), SAME)


def drawn_impostors(labels: Labels, count: int, rng: np.random.Generator, tries: int = 20) -> Pairs:
    """About ``count`` fair impostor pairs at random; fewer where there are hardly any."""
    found = np.empty((0, 2), np.int64)
    for _ in range(tries):
        if len(found) >= count:
            break
        drawn = np.sort(rng.integers(0, len(labels.identity), (2 * count + 16, 2)), axis=1)
        fair = drawn[labels.may_oppose(drawn[:, 0], drawn[:, 1])]
        found = np.unique(np.concatenate([found, fair]), axis=0)
    return _pairs(rng.permutation(found)[:count], DIFFERENT)


def hard_impostors(labels: Labels, vectors: Vectors, count: int, ceiling: float) -> Pairs:
    """The ``count`` most alike fair impostor pairs, by the cosine of ``vectors`` (n, d)."""
    rows, columns, scores = [], [], []
    everybody = np.arange(len(labels.identity))
    for start in range(0, len(everybody), BLOCK):
        block = everybody[start : start + BLOCK]
        cosine = vectors[block] @ vectors.T
        fair = labels.may_oppose(block[:, None], everybody[None]) & (block[:, None] < everybody[None])
        cosine[~fair | (cosine >= ceiling)] = -np.inf
        nearest = np.argpartition(-cosine, min(NEIGHBOURS, len(everybody)) - 1, axis=1)[:, :NEIGHBOURS]
        rows.append(np.repeat(block, nearest.shape[1]))
        columns.append(nearest.ravel())
        scores.append(np.take_along_axis(cosine, nearest, axis=1).ravel())
    if not rows:
        return _pairs(np.empty((0, 2), np.int64), DIFFERENT)
    score = np.concatenate(scores)
    order = np.argsort(-score, kind="stable")[:count]
    order = order[np.isfinite(score[order])]
    return _pairs(np.column_stack([np.concatenate(rows), np.concatenate(columns)])[order], DIFFERENT)


def shuffled(pairs: Pairs, rng: np.random.Generator) -> Pairs:
    """The same pairs in random order, each with its two faces in random order.

    Gender is learned from the first face, so both must come first at times.
    """
    order, turn = rng.permutation(len(pairs)), rng.random(len(pairs)) < 0.5
    first = np.where(turn, pairs.second, pairs.first)[order]
    second = np.where(turn, pairs.first, pairs.second)[order]
    return Pairs(first, second, pairs.same[order])


def _joined(*parts: Pairs) -> Pairs:
    return Pairs(
        np.concatenate([part.first for part in parts]),
        np.concatenate([part.second for part in parts]),
        np.concatenate([part.same for part in parts]),
    )


def _pairs(rows: Codes, label: int) -> Pairs:
    return Pairs(rows[:, 0], rows[:, 1], np.full(len(rows), label, dtype=np.int64))
