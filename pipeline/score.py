"""The one scorer: embeddings of two faces in, one calibrated similarity out.

The same few lines of numpy serve training, evaluation and the workers. Each embedder (a
"tower") has a mean that is taken off and a projection, both fitted on open data, then
lengths are made 1 again; the fused score is the weighted sum of the towers' cosines, less what
is expected of the two faces. The similarity puts the approve edge at 0.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.faces.types import Vectors
from pipeline.verdict import Comparison

Scores = NDArray[np.float64]

NEVER = float("-inf")
"""A threshold that no score lies below."""
EXPECTED = "expected"
"""Stands among a face's projected vectors, (n, 1): what is taken off each of its scores."""


@dataclass(frozen=True, slots=True, eq=False)
class Tower:
    """What is done to one embedder's vectors: ``mean`` (d,), ``projection`` (d, k), ``weight``."""

    mean: Vectors
    projection: Vectors
    weight: float

    def project(self, vectors: Vectors) -> Vectors:
        """(n, d) embeddings to (n, k) float32 of length 1."""
        projected = (np.atleast_2d(vectors) - self.mean) @ self.projection
        lengths = np.linalg.norm(projected, axis=1, keepdims=True)
        return np.asarray(projected / np.maximum(lengths, 1e-12), dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Expectation:
    """How alike a face usually is to its person's other photos, so that less is asked of hard faces.

    Heads are no longer fitted with it: at equal false-match rates over hard and easy photos it gains
    nothing (`MODEL_CARD.md`). It is read for those that were, whose edges belong to it.

    A face that is turned away, blurred, made up or behind glasses is less alike to its own other
    photos, and hardly more alike to other people's. ``weights`` (d,) for each embedder tell the mean
    score to expect, ``usual`` is that of most faces; by how far a face lies from it, at most
    ``limit``, ``share`` of that is taken off. Two hard faces are given no more than one: strangers
    are more alike where both photos are spoilt, and whoever sends them can spoil both.
    """

    weights: Mapping[str, Vectors]
    usual: float
    limit: float
    share: float

    def of(self, embeddings: Mapping[str, Vectors]) -> Vectors:
        """(n, 1) float32, what to take off, from (n, d) embeddings."""
        expected = sum(np.atleast_2d(embeddings[name]) @ row for name, row in self.weights.items())
        beyond = np.clip(np.asarray(expected) - self.usual, -self.limit, self.limit)
        return np.asarray(self.share * beyond[:, None], dtype=np.float32)

    def of_both(self, first: Vectors, second: Vectors) -> Vectors:
        """What to take off the scores of pairs, from what `of` gave of both faces; they broadcast."""
        return np.maximum(first + second, np.float32(-self.share * self.limit))


@dataclass(frozen=True, slots=True)
class Edges:
    """The thresholds on the fused score, and the slope of the similarity (per unit of score).

    At or above ``approve`` two faces count as the same person, below ``different`` as
    different people; between the two nobody knows. ``refused`` has a lower ``different`` for faces that
    a gate refuses, by the gate's outcome: such a face never approves, but may be somebody else's.
    """

    approve: float
    different: float
    scale: float
    refused: Mapping[str, float] = field(default_factory=dict)

    def different_at(self, outcome: str) -> float:
        """Below this a face that a gate refuses with ``outcome`` is somebody else's; `NEVER` without one."""
        return self.refused.get(outcome, NEVER)

    def keeping(self, before: Edges) -> Edges:
        """These, with the thresholds for refused faces of ``before``: set on pairs that show none."""
        kept = {outcome: min(score, self.different) for outcome, score in before.refused.items()}
        return replace(self, refused=kept)

    def similarity(self, score: float) -> float:
        """0..1, 0.5 at the approve edge."""
        log_odds = np.clip(self.scale * (score - self.approve), -50, 50)  # exp would overflow
        return float(1 / (1 + np.exp(-log_odds)))

    def approve_among(self, faces: int) -> float:
        """The approve edge for the best of ``faces`` comparisons.

        Each further face is another chance of a false match. ``scale`` is how fast the log of
        the false-match rate falls with the score, so this keeps the rate of the whole photo.
        """
        return self.approve + float(np.log(max(faces, 1))) / self.scale


@dataclass(frozen=True, slots=True, eq=False)
class Scorer:
    """Towers by embedder name, the edges, and what is expected of a face, in heads that were fitted so."""

    towers: Mapping[str, Tower]
    edges: Edges
    expectation: Expectation | None = None

    def project(self, embeddings: Mapping[str, Vectors]) -> dict[str, Vectors]:
        """Every tower's vectors of the same n faces, ready to be compared."""
        projected = {name: tower.project(embeddings[name]) for name, tower in self.towers.items()}
        if self.expectation is None:
            return projected
        return {**projected, EXPECTED: self.expectation.of(embeddings)}

    def scores(self, first: Mapping[str, Vectors], second: Mapping[str, Vectors]) -> Scores:
        """Fused scores (n,) of projected faces, row by row."""
        rows = (t.weight * np.sum(first[n] * second[n], axis=1) for n, t in self.towers.items())
        fused = np.asarray(sum(rows), dtype=np.float64)
        if self.expectation is None:
            return fused
        return fused - self.expectation.of_both(first[EXPECTED], second[EXPECTED])[:, 0]

    def matrix(self, first: Mapping[str, Vectors], second: Mapping[str, Vectors]) -> Scores:
        """Fused scores (n, m) of every projected face against every other."""
        fused = self.likeness(first, second)
        if self.expectation is None:
            return fused
        return fused - self.expectation.of_both(first[EXPECTED], second[EXPECTED].T)

    def likeness(self, first: Mapping[str, Vectors], second: Mapping[str, Vectors]) -> Scores:
        """The same with nothing taken off: how alike two pictures are, however hard their faces."""
        return np.asarray(
            sum(t.weight * (first[n] @ second[n].T) for n, t in self.towers.items()), np.float64
        )

    def fused(self, cosines: Mapping[str, float]) -> float:
        """The likeness of two pictures with these cosines."""
        return sum(self.towers[name].weight * cosine for name, cosine in cosines.items())

    def compare(
        self, first: Mapping[str, Vectors], second: Mapping[str, Vectors], chances: int = 1
    ) -> Comparison:
        """One projected face ((1, k) for each tower) against one other, with all its numbers.

        ``chances`` is how many times as often as usual strangers would match: see `Edges.approve_among`.
        """
        approve = self.edges.approve_among(chances)
        cosines = {name: float(np.sum(first[name] * second[name])) for name in self.towers}
        score = float(self.scores(first, second)[0])
        return Comparison(
            score=score,
            similarity=self.edges.similarity(score - (approve - self.edges.approve)),
            approve_edge=approve,
            different_edge=self.edges.different,
            cosines=cosines,
            distances={name: float(np.sqrt(max(0.0, 2 - 2 * c))) for name, c in cosines.items()},
        )
