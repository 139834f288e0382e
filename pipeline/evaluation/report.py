"""The figures of scored pairs, with the keys that `evaluate --json` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.corrections import rightly_labelled
from pipeline.datasets.data import Pair
from pipeline.faces.types import Codes, Flags, Rows, Scores
from pipeline.fitting import metrics

RATES = (0.01, 0.001)


@dataclass(frozen=True, slots=True, eq=False)
class Scored(Rows):
    """n pairs with their scores relative to the thresholds of their heads.

    ``scores`` (n,) are `score - approve threshold`, so that pairs scored by different heads (one for each
    fold) can be combined and 0 is the approve threshold; ``-inf`` where a face was not found. ``band`` (n,)
    is the distance of the different threshold below it. ``reference`` (n,) is the score relative to the
    threshold at which `REFERENCE_FMR` of LFW's impostors pass, NaN where that is unknown.
    """

    pairs: Sequence[Pair]
    scores: Scores
    band: Scores
    reference: Scores
    people: Codes
    """(n, 2) codes of the people in the two photos."""

    @property
    def comparable(self) -> Scores:
        """(n,) the scores that are most comparable between the heads of different folds."""
        return self.scores if np.isnan(self.reference).any() else self.reference

    @property
    def same(self) -> Flags:
        """(n,) whether the pair is genuine."""
        return np.array([pair.same for pair in self.pairs], dtype=bool)


def figures(scored: Scored, *, folds: bool = True) -> dict[str, Any]:
    """All figures of a set of pairs; null where they cannot be computed.

    Figures without a threshold use scores relative to the reference threshold: the approve threshold of each
    fold depends on few people and would shift the folds against each other.
    """
    scores = scored.comparable
    genuine, impostor = scores[scored.same], scores[~scored.same]
    names = np.array([pair.fold for pair in scored.pairs])
    result: dict[str, Any] = {
        "pairs": len(scored.pairs),
        "genuine": len(genuine),
        "impostor": len(impostor),
        "failed_to_acquire": int(np.sum(np.isneginf(scores))),
        "undecided": float(np.mean((scored.scores < 0) & (scored.scores >= -scored.band))),
        "auc": metrics.auc(genuine, impostor),
        "eer": metrics.eer(genuine, impostor),
        "tar_at_fmr": {str(rate): metrics.tar_at_fmr(genuine, impostor, rate) for rate in RATES},
        "at_threshold": _rates(scored, scored.scores),
        "at_reference": None if np.isnan(scored.reference).any() else _rates(scored, scored.reference),
    }
    if folds and len(set(names.tolist())) > 1:
        result["folds"] = _across_folds(scored, names)
    return result


def _across_folds(scored: Scored, names: NDArray[np.str_]) -> dict[str, Any]:
    """LFW's protocol; ``wrong`` is the number of pairs that are classified wrongly."""
    across = metrics.across_folds(scored.comparable, scored.same, names)
    _, sizes = np.unique(names, return_counts=True)
    wrong = sum(round((1 - right) * int(size)) for right, size in zip(across.accuracies, sizes, strict=True))
    return {"mean": across.mean, "std": across.std, "each": list(across.accuracies), "wrong": wrong}


def _rates(scored: Scored, relative: Scores) -> dict[str, float | None]:
    """The error rates where ``relative`` crosses 0, with their intervals."""
    genuine, impostor = relative[scored.same], relative[~scored.same]
    false_matches = int(np.sum(impostor >= 0))
    low, high = metrics.wilson(int(np.sum(genuine < 0)), len(genuine))
    both = len(genuine) and len(impostor)
    return {
        "accuracy": metrics.accuracy(relative, scored.same, 0.0) if both else None,
        "fmr": metrics.fmr(impostor, 0.0),
        "fmr_upper95": metrics.upper95(false_matches, len(impostor)),
        "fnmr": metrics.fnmr(genuine, 0.0),
        "fnmr_low95": low if len(genuine) else None,
        "fnmr_high95": high if len(genuine) else None,
    }


def by_set(scored: Scored) -> dict[str, dict[str, Any]]:
    """The figures of each named set."""
    names = np.array([pair.set for pair in scored.pairs])
    return {
        name: figures(scored.only(names == name), folds=False) for name in sorted(set(names.tolist())) if name
    }


def by_labels(scored: Scored) -> dict[str, Any]:
    """The figures with the labels as published, and without the pairs of `lfw_labels.csv`."""
    right = rightly_labelled(scored.pairs)
    left_out = scored.same[~right]
    return {
        "as_published": figures(scored),
        "without_wrong_labels": figures(scored.only(right)),
        "left_out": {"pairs": len(left_out), "genuine": int(left_out.sum())},
    }


def summary(scored: Scored, extra: Mapping[str, Any]) -> dict[str, Any]:
    """The figures for `evaluate --json`; all but those below `labels` use the labels as published."""
    return {**figures(scored), "labels": by_labels(scored), "sets": by_set(scored), **extra}
