"""The gender that faces show: a logistic head on the embeddings that are there anyway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.faces.types import Vector, Vectors
from pipeline.verdict import Gender, GenderReading


@dataclass(frozen=True, slots=True, eq=False)
class GenderJudge:
    """Weights (d,) for each embedder by name; a positive logit reads male.

    ``margin`` is the probability of the likelier gender below which the answer is unknown.
    """

    weights: Mapping[str, Vector]
    bias: float
    margin: float

    def logits(self, embeddings: Mapping[str, Vectors]) -> Vectors:
        """(n,) log odds of male, from (n, d) unprojected embeddings of every embedder."""
        parts = [np.atleast_2d(embeddings[name]) @ weight for name, weight in self.weights.items()]
        return np.asarray(np.sum(parts, axis=0) + self.bias, dtype=np.float32)

    def read(self, logits: Sequence[float]) -> GenderReading:
        """One reading from the logits of one or more faces of one person (their mean)."""
        if not logits:
            return GenderReading(Gender.UNKNOWN, None)
        male = float(1 / (1 + np.exp(-float(np.mean(logits)))))
        probability = max(male, 1 - male)
        if probability < self.margin:
            return GenderReading(Gender.UNKNOWN, probability)
        return GenderReading(Gender.MALE if male > 0.5 else Gender.FEMALE, probability)
