"""Paired scores: champion and challenger on the same pairs of the frozen test faces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.bundles.models import HeadParams
from pipeline.datasets.tables import NO_AGE, Labels
from pipeline.faces.types import Codes, Doubles, EmbeddingsByName, Flags, Rows
from pipeline.fitting.fit import BLOCK, FEMALE, MALE, FaceTable
from pipeline.promotion.bootstrap import FacePairs, draw_people
from pipeline.score import Scorer


@dataclass(frozen=True, slots=True, eq=False)
class FrozenFaces(Rows):
    """n test faces of people whom neither head was fitted on; the same ones for every challenger.

    ``table`` holds the embeddings by the champion's networks, ``challenger_embeddings`` those by the
    challenger's where it has other networks. ``age`` (n,) is `NO_AGE` where unknown.
    """

    table: FaceTable
    age: Codes
    challenger_embeddings: EmbeddingsByName | None = None

    @property
    def labels(self) -> Labels:
        """The labels by which fair impostor pairs are chosen."""
        return Labels(self.table.identity, self.table.gender, self.age)

    def at_most(self, people: int, photos: int, seed: int) -> FrozenFaces:
        """So many people at random, and the first so many faces of each.

        Nobody's photos outweigh all others, and all pairs fit into memory.
        """
        everybody = np.unique(self.table.identity)
        if len(everybody) > people:
            drawn = np.random.default_rng(seed).permutation(everybody)[:people]
            return self.only(np.isin(self.table.identity, drawn)).at_most(people, photos, seed)
        order = np.argsort(self.table.identity, kind="stable")
        ordered = self.table.identity[order]
        place = np.arange(len(ordered)) - np.searchsorted(ordered, ordered)
        chosen = np.zeros(len(ordered), dtype=bool)
        chosen[order] = place < photos
        return self.only(chosen)


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One head: projected embeddings, the scores of all pairs, log odds of male (n,)."""

    params: HeadParams
    embeddings: EmbeddingsByName
    genuine: Doubles
    impostor: Doubles
    male: Doubles


@dataclass(frozen=True, slots=True, eq=False)
class PairedScores:
    """Both heads on the same pairs; ``owner`` (n,) are people as columns of ``drawn``."""

    faces: FrozenFaces
    owner: Codes
    genuine: FacePairs
    impostor: FacePairs
    drawn: Doubles
    champion: Side
    challenger: Side

    @property
    def people(self) -> int:
        return self.drawn.shape[1]

    def slices(self) -> dict[str, Flags]:
        """The kinds of people with figures of their own, as flags of the faces."""
        gender, age = self.faces.table.gender, self.faces.age
        kind = self.faces.table.users_kind
        named = {"women": gender == FEMALE, "men": gender == MALE, "like the users": kind}
        for decade in np.unique(age[age != NO_AGE] // 10).tolist():
            named[f"age {10 * decade}-{10 * decade + 9}"] = (age != NO_AGE) & (age // 10 == decade)
        return {name: flags for name, flags in named.items() if flags.any() and not flags.all()}


def score_both(
    champion: HeadParams, challenger: HeadParams, faces: FrozenFaces, rounds: int, seed: int
) -> PairedScores:
    """Score all genuine and all fair impostor pairs with both heads."""
    people, owner = np.unique(faces.table.identity, return_inverse=True)
    genuine, impostor = _pairs(faces, owner)
    theirs = faces.table.embeddings
    own = faces.challenger_embeddings if faces.challenger_embeddings is not None else theirs
    return PairedScores(
        faces=faces,
        owner=owner,
        genuine=genuine,
        impostor=impostor,
        drawn=draw_people(len(people), rounds, seed),
        champion=_side(champion, theirs, genuine, impostor),
        challenger=_side(challenger, own, genuine, impostor),
    )


def _pairs(faces: FrozenFaces, owner: Codes) -> tuple[FacePairs, FacePairs]:
    """All genuine and all fair impostor pairs, sorted by the first face."""
    labels, everybody = faces.labels, np.arange(len(owner))
    genuine, impostor = [np.empty((0, 2), np.int64)], [np.empty((0, 2), np.int64)]
    for start in range(0, len(owner), BLOCK):
        rows = everybody[start : start + BLOCK, None]
        later = rows < everybody[None]
        same = owner[rows] == owner[None]
        fair = labels.may_oppose(rows, everybody[None])
        genuine.append(np.argwhere(later & same) + np.array([start, 0]))
        impostor.append(np.argwhere(later & fair) + np.array([start, 0]))
    return _of_rows(np.concatenate(genuine), owner), _of_rows(np.concatenate(impostor), owner)


def _of_rows(rows: Codes, owner: Codes) -> FacePairs:
    return FacePairs(rows[:, 0], rows[:, 1], owner[rows[:, 0]], owner[rows[:, 1]])


def _side(params: HeadParams, embeddings: EmbeddingsByName, genuine: FacePairs, impostor: FacePairs) -> Side:
    projected = params.scorer.project(embeddings)
    return Side(
        params=params,
        embeddings=projected,
        genuine=_scores(params.scorer, projected, genuine),
        impostor=_scores(params.scorer, projected, impostor),
        male=params.gender.logits(embeddings).astype(np.float64),
    )


def _scores(scorer: Scorer, projected: EmbeddingsByName, pairs: FacePairs) -> Doubles:
    """(n,) fused scores, computed in blocks of the score matrix, which is faster than by pair."""
    found = np.empty(len(pairs))
    for start in range(0, int(pairs.first.max(initial=-1)) + 1, BLOCK):
        part = slice(*np.searchsorted(pairs.first, [start, start + BLOCK]))
        block = {name: rows[start : start + BLOCK] for name, rows in projected.items()}
        found[part] = scorer.matrix(block, projected)[pairs.first[part] - start, pairs.second[part]]
    return found
