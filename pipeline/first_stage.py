"""The first stage of a comparison: one fast network decides what the others could not change.

A cascade of two stages. SFace with matrix products in 8 bits takes half of SFace's time, and SFace carries
most of the score. Where its cosine alone lies far on one side of the thresholds, the other networks are not
asked: their share of the score is bounded by what all pairs of the fit had (`pipeline.fitting.first_stage`).
All other comparisons are made by the scorer, as without a first stage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.faces.types import Embeddings
from pipeline.score import Scorer
from pipeline.verdict import Comparison

EIGHT_BITS: Final = 0.05
"""By no more the cosine of a near copy differs from that of the network in float32."""


@dataclass(frozen=True, slots=True)
class FirstStage:
    """Cosines are those of ``embedder``'s embeddings after the projection of ``tower``."""

    embedder: str
    tower: str
    sure: float
    """From this cosine on the score is at least the cosine."""
    most: float
    """Of a cosine below the approve threshold the score exceeds the expected one by less than this."""
    intercept: float
    slope: float
    """The score that is expected: intercept + slope × cosine."""

    def project(self, scorer: Scorer, embeddings: Embeddings) -> Embeddings:
        """(n, d) embeddings of ``embedder`` to (n, k), each row of length 1."""
        return scorer.towers[self.tower].project(embeddings)

    def compare(
        self, scorer: Scorer, one: Embeddings, other: Embeddings, replay_score: float
    ) -> Comparison | None:
        """The comparison of two projected faces, each (1, k), with the expected score; None if undecided.

        It is undecided unless the score would certainly lie at or above the approve threshold and below
        ``replay_score``, or below the different threshold.
        """
        cosine, thresholds = float(np.sum(one * other)), scorer.thresholds
        others = sum(tower.weight for name, tower in scorer.towers.items() if name != self.tower)
        expected = self.intercept + self.slope * cosine
        if max(thresholds.approve, self.sure) <= cosine < replay_score - others - EIGHT_BITS:
            score = max(expected, thresholds.approve)
        elif cosine < thresholds.approve and expected + self.most < thresholds.different:
            score = expected
        else:
            return None
        return thresholds.comparison(score, {self.embedder: cosine})
