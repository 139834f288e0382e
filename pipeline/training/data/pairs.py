"""Pairs to train on: genuine and impostor ones, drawn with a seed.

Impostors are people of one gender and near age, as they are on a dating site; half of them are the pairs with
the highest scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.datasets.tables import Labels
from pipeline.faces.types import Codes, Embeddings, Flags, Random, Rows
from pipeline.fitting.fit import BLOCK

SAME, DIFFERENT = 1, 0
"""The labels of pairs, defined only here."""
NEIGHBOURS = 8
"""Hard pairs are chosen among so many nearest neighbours of each face."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs(Rows):
    """n pairs as rows of a table of faces; ``same`` (n,) holds `SAME` or `DIFFERENT`."""

    first: Codes
    second: Codes
    same: Codes

    def __len__(self) -> int:
        return len(self.same)


@dataclass(frozen=True, slots=True)
class PairSettings:
    """The numbers of pairs."""

    genuine_per_person: int = 20
    """At most; else a few people with hundreds of photos would dominate."""
    impostors_per_genuine: float = 2.0
    hard_share: float = 0.5
    """Share of the impostors that are chosen by score rather than at random."""
    ceiling: float = 0.95
    """Impostor pairs above this cosine are left out, because they show one person under two names."""


def split_by_identity(identity: Codes, share: float, seed: int) -> Flags:
    """(n,) the held-out faces: all faces of about ``share`` of the people."""
    people = np.unique(identity)
    shuffled = np.random.default_rng(seed).permutation(people)
    held = shuffled[: round(share * len(people))]
    return np.isin(identity, held)


def draw_pairs(labels: Labels, embeddings: Embeddings, settings: PairSettings, rng: Random) -> Pairs:
    """The pairs of one epoch in random order: genuine ones, random impostors, hard impostors."""
    genuine = genuine_pairs(labels.identity, settings.genuine_per_person, rng)
    wanted = round(settings.impostors_per_genuine * len(genuine))
    hard = hard_impostors(labels, embeddings, round(settings.hard_share * wanted), settings.ceiling)
    easy = drawn_impostors(labels, wanted - len(hard), rng)
    return shuffled(Pairs.joined([genuine, hard, easy]), rng)


def genuine_pairs(identity: Codes, most: int, rng: Random) -> Pairs:
    """The genuine pairs, at most ``most`` of each person."""
    found = [np.empty((0, 2), np.int64)]
    for code in np.unique(identity):
        rows = np.flatnonzero(identity == code)
        one, other = np.triu_indices(len(rows), 1)
        if len(one) > most:
            chosen = rng.choice(len(one), most, replace=False)
            one, other = one[chosen], other[chosen]
        found.append(np.column_stack([rows[one], rows[other]]))
    return _pairs(np.concatenate(found), SAME)


def drawn_impostors(labels: Labels, count: int, rng: Random, tries: int = 20) -> Pairs:
    """About ``count`` fair impostor pairs at random; fewer where there are hardly any."""
    found = np.empty((0, 2), np.int64)
    for _ in range(tries):
        if len(found) >= count:
            break
        drawn = np.sort(rng.integers(0, len(labels.identity), (2 * count + 16, 2)), axis=1)
        fair = drawn[labels.may_oppose(drawn[:, 0], drawn[:, 1])]
        found = np.unique(np.concatenate([found, fair]), axis=0)
    return _pairs(rng.permutation(found)[:count], DIFFERENT)


def hard_impostors(labels: Labels, embeddings: Embeddings, count: int, ceiling: float) -> Pairs:
    """The ``count`` fair impostor pairs with the highest cosine of ``embeddings`` (n, d)."""
    rows, columns, scores = [], [], []
    everybody = np.arange(len(labels.identity))
    for start in range(0, len(everybody), BLOCK):
        block = everybody[start : start + BLOCK]
        cosine = embeddings[block] @ embeddings.T
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


def shuffled(pairs: Pairs, rng: Random) -> Pairs:
    """The pairs in random order, each with its two faces in random order.

    The gender output is trained on the first face only, so both faces must come first at times.
    """
    order, turn = rng.permutation(len(pairs)), rng.random(len(pairs)) < 0.5
    first = np.where(turn, pairs.second, pairs.first)[order]
    second = np.where(turn, pairs.first, pairs.second)[order]
    return Pairs(first, second, pairs.same[order])


def _pairs(rows: Codes, label: int) -> Pairs:
    return Pairs(rows[:, 0], rows[:, 1], np.full(len(rows), label, dtype=np.int64))
