"""Figures about people's answers: exact intervals, and agreement beyond chance; without scipy."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

_HALVINGS: Final = 60


def exact_interval(hits: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Clopper-Pearson's interval of a share; (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else _root(lambda p: 1 - _at_most(hits - 1, trials, p) - tail)
    high = 1.0 if hits == trials else _root(lambda p: tail - _at_most(hits, trials, p))
    return low, high


def _at_most(hits: int, trials: int, rate: float) -> float:
    """Probability of so many hits or fewer; 0 < rate < 1."""
    logs = math.log(rate), math.log1p(-rate)
    return math.fsum(
        math.exp(_log_choose(trials, n) + n * logs[0] + (trials - n) * logs[1]) for n in range(hits + 1)
    )


def _log_choose(of: int, some: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(some + 1) - math.lgamma(of - some + 1)


def _root(rising: Callable[[float], float]) -> float:
    """Where a function of a rate, which rises, is 0."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2


def kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa of two people's words about the same things; None where it is not defined."""
    if not pairs:
        return None
    agreed = sum(one == other for one, other in pairs) / len(pairs)
    mine, others = (Counter(pair[side] for pair in pairs) for side in (0, 1))
    by_guessing = sum(mine[word] * others[word] for word in mine) / len(pairs) ** 2
    return None if by_guessing == 1 else (agreed - by_guessing) / (1 - by_guessing)
