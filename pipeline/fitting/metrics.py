"""Error rates of a verifier, from the scores of genuine and impostor pairs.

Higher scores mean more similar faces. FMR is the share of impostor pairs at or above a threshold, FNMR the
share of genuine pairs below it, TAR = 1 - FNMR. A pair whose face was not found has the score ``-inf``: it
can only be a non-match, so failures to acquire always count. Terms as in ISO/IEC 19795-1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.stats import beta

from pipeline.faces.types import Codes, Doubles, Flags, Scores

IMPOSTORS_PER_ERROR = 10
"""A false-match rate counts as measurable where this many false matches are expected."""

DENSE = 0.02
"""A table filled to more than this share is multiplied faster as a dense array."""


def rows_of_each(identity: Codes) -> list[Codes]:
    """The rows of each person in order, from the people's codes (n,)."""
    order = np.argsort(identity, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(identity[order])) + 1)


def fmr(impostor: Scores, threshold: float) -> float | None:
    """Share of impostor pairs that would pass; None without any."""
    return float(np.mean(impostor >= threshold)) if len(impostor) else None


def fnmr(genuine: Scores, threshold: float) -> float | None:
    """Share of genuine pairs that would not pass; None without any."""
    return float(np.mean(genuine < threshold)) if len(genuine) else None


def threshold_at_fmr(impostor: Scores, rate: float, weight: Scores | None = None) -> float:
    """The lowest threshold at which at most ``rate`` of the impostor pairs pass.

    With ``weight`` (n,) the rate is that of the pairs' weight.
    """
    last = len(impostor) - 1
    if weight is not None:
        falling = np.argsort(-impostor, kind="stable")
        passed = np.cumsum(weight[falling])
        place = falling[min(int(np.searchsorted(passed, rate * passed[-1], "right")), last)]
        return float(np.nextafter(impostor[place], np.inf))
    place = last - min(int(np.floor(rate * len(impostor))), last)
    return float(np.nextafter(np.partition(impostor, place)[place], np.inf))


def threshold_at_fnmr(genuine: Scores, rate: float) -> float:
    """The highest threshold below which at most ``rate`` of the genuine pairs lie."""
    place = min(int(np.floor(rate * len(genuine))), len(genuine) - 1)
    return float(np.partition(genuine, place)[place])


def tar_at_fmr(genuine: Scores, impostor: Scores, rate: float) -> float | None:
    """TAR at a false-match rate; None where too few impostor pairs could show that rate."""
    if not len(genuine) or len(impostor) * rate < 1:
        return None
    return float(np.mean(genuine >= threshold_at_fmr(impostor, rate)))


def auc(genuine: Scores, impostor: Scores) -> float | None:
    """Area under the ROC curve: how often a genuine pair outscores an impostor pair."""
    if not len(genuine) or not len(impostor):
        return None
    ordered = np.sort(impostor)
    below = np.searchsorted(ordered, genuine, side="left")
    ties = np.searchsorted(ordered, genuine, side="right") - below
    return float(np.mean(below + ties / 2) / len(impostor))


def roc(genuine: Scores, impostor: Scores) -> tuple[Scores, Scores, Scores]:
    """(thresholds, FMR, FNMR) at every distinct score, thresholds rising."""
    thresholds = np.unique(np.concatenate([genuine, impostor]))
    thresholds = thresholds[np.isfinite(thresholds)]
    false_match = 1 - np.searchsorted(np.sort(impostor), thresholds, side="left") / max(len(impostor), 1)
    false_non_match = np.searchsorted(np.sort(genuine), thresholds, side="left") / max(len(genuine), 1)
    return thresholds, false_match, false_non_match


def eer(genuine: Scores, impostor: Scores) -> float | None:
    """Equal error rate: where FMR and FNMR cross, their mean at the nearest threshold."""
    if not len(genuine) or not len(impostor):
        return None
    _, false_match, false_non_match = roc(genuine, impostor)
    nearest = int(np.argmin(np.abs(false_match - false_non_match)))
    return float((false_match[nearest] + false_non_match[nearest]) / 2)


def best_threshold(scores: Scores, same: Flags) -> float:
    """The threshold with the highest accuracy: the middle of its gap between scores."""
    order = np.argsort(-scores, kind="stable")
    ranked, truth = scores[order], same[order]
    right = np.concatenate([[0], np.cumsum(np.where(truth, 1, -1))])  # relative to "none passes"
    upper = np.concatenate([[np.inf], ranked])
    lower = np.concatenate([ranked, [-np.inf]])
    right[upper == lower] = -len(scores)  # equal scores cannot be parted
    cut = int(np.argmax(right))
    if not np.isfinite(lower[cut]) or not np.isfinite(upper[cut]):
        return float(upper[cut] if np.isfinite(upper[cut]) else np.nextafter(lower[cut], np.inf))
    return float((upper[cut] + lower[cut]) / 2)


def accuracy(scores: Scores, same: Flags, threshold: float) -> float:
    """Share of pairs that the threshold classifies correctly."""
    return float(np.mean((scores >= threshold) == same))


@dataclass(frozen=True, slots=True)
class Folds:
    """LFW's protocol: the accuracy of each fold at the best threshold of all others."""

    accuracies: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean accuracy over the folds."""
        return float(np.mean(self.accuracies))

    @property
    def std(self) -> float:
        """Standard deviation over the folds."""
        return float(np.std(self.accuracies))


def across_folds(scores: Scores, same: Flags, folds: NDArray[np.str_]) -> Folds:
    """Accuracy of every fold at the threshold that is best for the other folds."""
    names = sorted(set(folds.tolist()))
    return Folds(
        tuple(
            accuracy(
                scores[folds == name],
                same[folds == name],
                best_threshold(scores[folds != name], same[folds != name]),
            )
            for name in names
        )
    )


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval of a share (95 % by default), (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    share = successes / trials
    centre = share + z * z / (2 * trials)
    spread = z * np.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return float(max(0.0, (centre - spread) / scale)), float(min(1.0, (centre + spread) / scale))


def upper95(false_matches: int, pairs: int) -> float | None:
    """One-sided 95 % upper bound of a rate over independent pairs (Clopper-Pearson).

    With no error at all this is the "rule of three". None without any pair.
    """
    if pairs == 0:
        return None
    if false_matches >= pairs:
        return 1.0
    return float(beta.ppf(0.95, false_matches + 1, pairs - false_matches))


def identity_bootstrap(
    hits: Doubles, first: Codes, second: Codes, *, seed: int, rounds: int = 1000
) -> tuple[float, float]:
    """95 % interval of the share of hits among pairs; people are resampled, not pairs.

    ``hits`` (n,) is 1 where a pair is an error; ``first`` and ``second`` (n,) are the identities of its two
    faces. Pairs that share a person are not independent: each round draws people with replacement and weights
    a pair by how often both of its people were drawn. Pairs of the same two people have the same weight, so
    millions of pairs are summed once into a table of people by people, and a round is a product with that
    table.
    """
    people, codes = np.unique(np.concatenate([first, second]), return_inverse=True)
    size, one, other = len(people), codes[: len(first)], codes[len(first) :]
    weights = draw_people(size, rounds, seed)
    errors = drawn_sums(weights, one, other, hits)
    pairs = drawn_sums(weights, one, other, np.ones(len(hits)))
    shares = errors[pairs > 0] / pairs[pairs > 0]
    return float(np.quantile(shares, 0.025)), float(np.quantile(shares, 0.975))


def draw_people(people: int, rounds: int, seed: int) -> Scores:
    """(rounds, people): how often each was drawn with replacement, as many draws as people."""
    rng = np.random.default_rng(seed)
    drawn = [np.bincount(rng.integers(0, people, people), minlength=people) for _ in range(rounds)]
    return np.array(drawn, dtype=np.float64).reshape(rounds, people)


def drawn_sums(weights: Scores, one: Codes, other: Codes, counts: Doubles) -> Scores:
    """(rounds,) sums of ``counts`` over pairs, each times how often both its people were drawn.

    ``weights`` (rounds, people) says how often; ``one`` and ``other`` (n,) are columns of it. A pair of one
    person's photos counts as often as that person was drawn.
    """
    size = weights.shape[1]
    some = counts != 0
    sparse = coo_array((counts[some], (one[some], other[some])), shape=(size, size)).tocsr()
    within = sparse.diagonal()
    table = sparse.toarray() if sparse.nnz > DENSE * size * size else sparse
    across = np.einsum("ij,ij->i", weights @ table, weights) - (weights**2) @ within
    return np.asarray(across + weights @ within, dtype=np.float64)
