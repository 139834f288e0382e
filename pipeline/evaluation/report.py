"""The figures of a set of scored pairs, in the shape that `evaluate --json` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.data import Pair
from pipeline.datasets.lfw_labels import rightly_labelled
from pipeline.fitting import metrics

RATES = (0.01, 0.001)


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """n pairs with their scores relative to the edges that judged them.

    ``scores`` (n,) are `score - approve_edge`, so that pairs judged by different heads (one
    for each fold) can be laid together and 0 is the approve edge; ``-inf`` where a face was
    not found. ``band`` (n,) is how far the different edge lies below. ``reference`` (n,) is
    the score relative to the threshold at which `REFERENCE_FMR` of LFW's impostors pass, NaN where
    that is not known.
    """

    pairs: Sequence[Pair]
    scores: NDArray[np.float64]
    band: NDArray[np.float64]
    reference: NDArray[np.float64]
    people: NDArray[np.int64]
    """(n, 2) codes of whom the two photos show."""

    @property
    def comparable(self) -> NDArray[np.float64]:
        """(n,) scores of which the heads of different folds agree best what they mean."""
        return self.scores if np.isnan(self.reference).any() else self.reference

    @property
    def same(self) -> NDArray[np.bool_]:
        """(n,) whether the pair is genuine."""
        return np.array([pair.same for pair in self.pairs], dtype=bool)

    def only(self, chosen: NDArray[np.bool_]) -> Scored:
        """The pairs that are flagged."""
        pairs = [pair for pair, keep in zip(self.pairs, chosen, strict=True) if keep]
        return Scored(
            pairs, self.scores[chosen], self.band[chosen], self.reference[chosen], self.people[chosen]
        )


def figures(scored: Scored, *, folds: bool = True) -> dict[str, Any]:
    """Every figure of one set of pairs; null for what it cannot tell.

    What needs no edge is told by scores relative to the reference threshold: the approve edge of
    each fold hangs on few people and would move the folds against each other.
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
        "at_threshold": _at_edge(scored, scored.scores),
        "at_reference": None if np.isnan(scored.reference).any() else _at_edge(scored, scored.reference),
    }
    if folds and len(set(names.tolist())) > 1:
        result["folds"] = _across_folds(scored, names)
    return result


def _across_folds(scored: Scored, names: NDArray[np.str_]) -> dict[str, Any]:
    """LFW's protocol; ``wrong`` is the number of pairs that are not called rightly."""
    across = metrics.across_folds(scored.comparable, scored.same, names)
    _, sizes = np.unique(names, return_counts=True)
    wrong = sum(round((1 - right) * int(size)) for right, size in zip(across.accuracies, sizes, strict=True))
    return {"mean": across.mean, "std": across.std, "each": list(across.accuracies), "wrong": wrong}


def _at_edge(scored: Scored, relative: NDArray[np.float64]) -> dict[str, float | None]:
    """The error rates where ``relative`` crosses 0, with their uncertainty."""
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
    """The same figures for each named set on its own."""
    names = np.array([pair.set for pair in scored.pairs])
    return {
        name: figures(scored.only(names == name), folds=False) for name in sorted(set(names.tolist())) if name
    }


def by_labels(scored: Scored) -> dict[str, Any]:
    """The figures with every label as it was published, and without the pairs of `lfw_labels.csv`."""
    right = rightly_labelled(scored.pairs)
    left_out = scored.same[~right]
    return {
        "as_published": figures(scored),
        "without_wrong_labels": figures(scored.only(right)),
        "left_out": {"pairs": len(left_out), "genuine": int(left_out.sum())},
    }


def summary(scored: Scored, extra: Mapping[str, Any]) -> dict[str, Any]:
    """What `evaluate --json` prints; whatever is not below `labels` takes them as they were published."""
    return {**figures(scored), "labels": by_labels(scored), "sets": by_set(scored), **extra}
