"""Compute with embeddings: the scorer for two faces, and the gender head.

Training, evaluation and the workers use the same code. Each embedder has a tower: a mean that is subtracted
and a projection, both fitted on open data, after which lengths are made 1 again. The fused score is the
weighted sum of the towers' cosines, less the expectation of the two faces. A similarity of 0.5 is the approve
threshold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.faces.types import Embedding, Embeddings, EmbeddingsByName, Floats, Scores
from pipeline.verdict import Comparison, Gender, GenderReading

NEVER = float("-inf")
"""A threshold that every score reaches."""
EXPECTED = "expected"
"""The key of (n, 1) expectations among the projected embeddings of n faces."""


@dataclass(frozen=True, slots=True, eq=False)
class Tower:
    """The projection of one embedder: ``mean`` (d,), ``projection`` (d, k), ``weight`` in the score."""

    mean: Embedding
    projection: Embeddings
    weight: float

    def project(self, embeddings: Embeddings) -> Embeddings:
        """(n, d) embeddings to (n, k) float32 of length 1."""
        projected = (np.atleast_2d(embeddings) - self.mean) @ self.projection
        lengths = np.linalg.norm(projected, axis=1, keepdims=True)
        return np.asarray(projected / np.maximum(lengths, 1e-12), dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Expectation:
    """The score that a face is expected to have with its person's other photos, to normalise scores.

    Heads are no longer fitted with it: at equal false-match rates over hard and easy photos it gains nothing
    (`docs/accuracy.md`). It is read for older heads, whose thresholds depend on it.

    A face that is turned away, blurred, made up or behind glasses has lower genuine scores, and hardly higher
    impostor scores. ``weights`` (d,) for each embedder give the expected mean score, ``usual`` is that of
    most faces. ``share`` of a face's distance from it, at most ``limit``, is subtracted. Two hard faces get
    no more than one: impostor scores rise where both photos are bad, and an impostor can make both bad.
    """

    weights: EmbeddingsByName
    usual: float
    limit: float
    share: float

    def of(self, embeddings: EmbeddingsByName) -> Embeddings:
        """(n, 1) float32 to subtract, from (n, d) embeddings."""
        expected = sum(np.atleast_2d(embeddings[name]) @ row for name, row in self.weights.items())
        beyond = np.clip(np.asarray(expected) - self.usual, -self.limit, self.limit)
        return np.asarray(self.share * beyond[:, None], dtype=np.float32)

    def of_both(self, first: Embeddings, second: Embeddings) -> Embeddings:
        """The amount to subtract from the scores of pairs, from `of` both faces; the arrays broadcast."""
        return np.maximum(first + second, np.float32(-self.share * self.limit))


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The thresholds on the fused score, and the slope of the similarity (per unit of score).

    At or above ``approve`` two faces count as the same person, below ``different`` as different people;
    between them the comparison is unsure. ``refused`` has a lower ``different`` threshold by the outcome of
    the gate that refuses a face: such a face never approves a member, but may show a different person.
    """

    approve: float
    different: float
    scale: float
    refused: Mapping[str, float] = field(default_factory=dict)

    def different_at(self, outcome: str) -> float:
        """The different threshold of a face that a gate refuses with ``outcome``; `NEVER` without one."""
        return self.refused.get(outcome, NEVER)

    def keeping(self, before: Thresholds) -> Thresholds:
        """These with the thresholds for refused faces of ``before``, for pairs without refused faces."""
        kept = {outcome: min(score, self.different) for outcome, score in before.refused.items()}
        return replace(self, refused=kept)

    def similarity(self, score: float) -> float:
        """0..1, 0.5 at the approve threshold."""
        log_odds = np.clip(self.scale * (score - self.approve), -50, 50)  # exp would overflow
        return float(1 / (1 + np.exp(-log_odds)))

    def approve_among(self, faces: int) -> float:
        """The approve threshold for the best of ``faces`` comparisons.

        Each further face may be a false match. ``scale`` is the rate at which the log of the false-match
        rate falls with the score, so that this threshold keeps the rate of the whole photo.
        """
        return self.approve + float(np.log(max(faces, 1))) / self.scale

    def comparison(self, score: float, cosines: Mapping[str, float], comparisons: int = 1) -> Comparison:
        """The comparison with this score and these cosines, the best of so many ``comparisons``."""
        approve = self.approve_among(comparisons)
        return Comparison(
            score=score,
            similarity=self.similarity(score - (approve - self.approve)),
            approve_threshold=approve,
            different_threshold=self.different,
            cosines=cosines,
            distances={name: float(np.sqrt(max(0.0, 2 - 2 * c))) for name, c in cosines.items()},
        )


@dataclass(frozen=True, slots=True, eq=False)
class Scorer:
    """Towers by embedder name, the thresholds, and in older heads the expectation."""

    towers: Mapping[str, Tower]
    thresholds: Thresholds
    expectation: Expectation | None = None

    def project(self, embeddings: EmbeddingsByName) -> dict[str, Embeddings]:
        """The projected embeddings of n faces by tower, as the other methods take them."""
        projected = {name: tower.project(embeddings[name]) for name, tower in self.towers.items()}
        if self.expectation is None:
            return projected
        return {**projected, EXPECTED: self.expectation.of(embeddings)}

    def scores(self, first: EmbeddingsByName, second: EmbeddingsByName) -> Scores:
        """Fused scores (n,) of n pairs of projected faces."""
        rows = (t.weight * np.sum(first[n] * second[n], axis=1) for n, t in self.towers.items())
        fused = np.asarray(sum(rows), dtype=np.float64)
        if self.expectation is None:
            return fused
        return fused - self.expectation.of_both(first[EXPECTED], second[EXPECTED])[:, 0]

    def matrix(self, first: EmbeddingsByName, second: EmbeddingsByName) -> Scores:
        """Fused scores (n, m) of n projected faces with m others."""
        fused = self.likeness(first, second)
        if self.expectation is None:
            return fused
        return fused - self.expectation.of_both(first[EXPECTED], second[EXPECTED].T)

    def likeness(self, first: EmbeddingsByName, second: EmbeddingsByName) -> Scores:
        """The weighted sums of cosines (n, m), without expectations."""
        return np.asarray(
            sum(t.weight * (first[n] @ second[n].T) for n, t in self.towers.items()), np.float64
        )

    def fused(self, cosines: Mapping[str, float]) -> float:
        """The weighted sum of these cosines."""
        return sum(self.towers[name].weight * cosine for name, cosine in cosines.items())

    def compare(self, first: EmbeddingsByName, second: EmbeddingsByName, comparisons: int = 1) -> Comparison:
        """Compare one projected face, (1, k) for each tower, with one other.

        The approve threshold is that of the best of so many ``comparisons``.
        """
        cosines = {name: float(np.sum(first[name] * second[name])) for name in self.towers}
        return self.thresholds.comparison(float(self.scores(first, second)[0]), cosines, comparisons)


@dataclass(frozen=True, slots=True, eq=False)
class GenderHead:
    """A logistic head on embeddings: weights (d,) by embedder; a positive logit reads male.

    ``margin`` is the probability of the likelier gender below which the gender is unknown.
    """

    weights: Mapping[str, Embedding]
    bias: float
    margin: float

    def logits(self, embeddings: EmbeddingsByName) -> Floats:
        """(n,) log odds of male, from (n, d) unprojected embeddings of every embedder."""
        parts = [np.atleast_2d(embeddings[name]) @ weight for name, weight in self.weights.items()]
        return np.asarray(np.sum(parts, axis=0) + self.bias, dtype=np.float32)

    def read(self, logits: Sequence[float]) -> GenderReading:
        """The gender by the mean logit of one or more faces of one person."""
        if not logits:
            return GenderReading(Gender.UNKNOWN, None)
        male = float(1 / (1 + np.exp(-float(np.mean(logits)))))
        probability = max(male, 1 - male)
        if probability < self.margin:
            return GenderReading(Gender.UNKNOWN, probability)
        return GenderReading(Gender.MALE if male > 0.5 else Gender.FEMALE, probability)
