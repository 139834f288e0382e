"""Cross-fit protocol: every pair is scored by a head that was fitted on neither of its people.

Pairs come in groups (LFW's folds, or the named sets). The fit for a group excludes all of its people. Where
that leaves too few faces of the users' kind for the approve threshold, it is set for each pair anew, on all
others but its two people; means and projections still exclude the whole group. Where no gender is known every
two people are an impostor pair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.bundles.models import HeadParams
from pipeline.datasets.data import Pair
from pipeline.datasets.embeddings import EmbeddingTable
from pipeline.datasets.tables import PersonCodes
from pipeline.errors import DataError
from pipeline.evaluation.report import Scored
from pipeline.faces.types import Codes, EmbeddingsByName
from pipeline.fitting import metrics
from pipeline.fitting.fit import (
    FEMALE,
    MALE,
    UNKNOWN,
    FaceTable,
    FitSettings,
    fit_thresholds,
    fit_towers,
    genuine_scores,
    thresholds_by_kind,
)
from pipeline.score import Scorer, Thresholds

REFERENCE_FMR = 0.003
"""The share of all impostors that pass the reference threshold, by which kinds of people are compared."""
ENOUGH_IMPOSTORS = 3000
"""With fewer impostor pairs of the users' kind a threshold at 0.1 % would depend on one or two pairs."""

NOBODY = np.empty(0, dtype=np.int64)
"""Tested people none of whom is among the labelled faces."""


def require_enough(test_people: Iterable[Codes], table: FaceTable) -> None:
    """Raises DataError where too little is left to fit on without one of these groups of people."""
    for people in test_people:
        _left(people, table)


def _left(people: Codes, table: FaceTable) -> FaceTable:
    """The faces of everybody else. Raises DataError where they give no pairs."""
    others = table.only(~np.isin(table.identity, people))
    if len(others.identity) == 0:
        raise DataError(
            "no faces are left to fit on: name a faces.csv with other people than the pairs show, or "
            "judge --as-shipped"
        )
    known = others.only(others.gender != UNKNOWN)
    _, photos = np.unique(known.identity, return_counts=True)
    genders = [len(np.unique(known.identity[known.gender == gender])) for gender in (MALE, FEMALE)]
    if photos.max(initial=0) < 2 or max(genders) < 2:
        raise DataError(
            "the faces that are left to fit on give no genuine or no impostor pairs of one gender: they "
            "must show somebody twice and two men or two women"
        )
    return others


def of_any_gender(table: FaceTable) -> FaceTable:
    """The table; where no gender is known, all have one gender, so that every two people may be paired."""
    if (table.gender != UNKNOWN).any():
        return table
    return replace(table, gender=np.full(len(table.gender), MALE))


@dataclass(frozen=True, slots=True)
class PairScorer:
    """A scorer, the reference threshold, and the thresholds for each pair of people."""

    scorer: Scorer
    reference: float
    """NaN where no faces could give it."""
    thresholds: Callable[[int, int], Thresholds]
    """By the codes of two people."""


ScorerFor = Callable[[Codes], PairScorer]
"""Gives the scorer for tested people, whom it was not fitted on."""


def pair_scorers(table: FaceTable, settings: FitSettings, fixed: HeadParams | None = None) -> ScorerFor:
    """Scorers fitted on ``table`` without the tested people, or that of ``fixed``; each is made once."""
    known: dict[bytes, PairScorer] = {}

    def scorer_for(people: Codes) -> PairScorer:
        key = b"" if fixed else np.unique(people).tobytes()
        if key not in known:
            known[key] = _fixed_scorer(fixed.scorer, table) if fixed else fit_without(people, table, settings)
        return known[key]

    return scorer_for


def _fixed_scorer(scorer: Scorer, table: FaceTable) -> PairScorer:
    """One head for all pairs, as it is shipped."""
    return PairScorer(scorer, reference_threshold(scorer, table), lambda _one, _other: scorer.thresholds)


def fit_without(people: Codes, table: FaceTable, settings: FitSettings) -> PairScorer:
    """A head fitted without ``people``. Raises DataError where too little is left."""
    table = of_any_gender(table)
    others = _left(people, table)
    scorer = fit_towers(others, settings)
    reference = reference_threshold(scorer, others)
    if _impostors_of_users_kind(others) >= ENOUGH_IMPOSTORS or not table.users_kind.any():
        thresholds = fit_thresholds(scorer, others, settings)
        return PairScorer(scorer, reference, lambda _one, _other: thresholds)
    return PairScorer(scorer, reference, _thresholds_for_each_pair(scorer, table, others, settings))


def _thresholds_for_each_pair(
    scorer: Scorer, table: FaceTable, others: FaceTable, settings: FitSettings
) -> Callable[[int, int], Thresholds]:
    """Thresholds on the users' kind without the two people of a pair, computed once for each two.

    Where only these two are of that kind, everybody's pairs are used.
    """
    kind = table.only(table.users_kind)
    genuine = genuine_scores(scorer, others)
    known: dict[frozenset[int], Thresholds] = {}

    def thresholds(one: int, other: int) -> Thresholds:
        key = frozenset({one, other} & set(kind.identity.tolist()))
        if key not in known:
            rest = kind.only(~np.isin(kind.identity, list(key)))
            known[key] = thresholds_by_kind(genuine, scorer, rest, others, settings)
        return known[key]

    return thresholds


def _impostors_of_users_kind(table: FaceTable) -> int:
    """The number of impostor pairs of one gender among faces of the users' kind."""
    total = 0
    for gender in (MALE, FEMALE):
        _, counts = np.unique(table.identity[table.users_kind & (table.gender == gender)], return_counts=True)
        total += int((counts.sum() ** 2 - (counts**2).sum()) // 2)
    return total


def reference_threshold(scorer: Scorer, table: FaceTable, most: int = 3000) -> float:
    """The score that `REFERENCE_FMR` of the impostor pairs of any gender reach; NaN without pairs."""
    step = max(1, len(table.identity) // most)
    some = table.only(np.arange(len(table.identity)) % step == 0)
    projected = scorer.project(some.embeddings)
    first, second = np.triu_indices(len(some.identity), 1)
    scores = scorer.matrix(projected, projected)[first, second]
    impostor = scores[some.identity[first] != some.identity[second]]
    return metrics.threshold_at_fmr(impostor, REFERENCE_FMR) if len(impostor) else float("nan")


def groups(pairs: Sequence[Pair]) -> Iterator[Codes]:
    """The rows of the pairs that one head scores: a fold, else a named set, else all."""
    keys = [pair.fold or pair.set for pair in pairs]
    for key in sorted(set(keys)):
        yield np.array([i for i, other in enumerate(keys) if other == key], dtype=np.int64)


def score_pairs(
    pairs: Sequence[Pair], embedded: EmbeddingTable, people: PersonCodes, scorer_for: ScorerFor
) -> Scored:
    """Score all pairs, each group with the scorer that ``scorer_for`` gives for its people."""
    sides = [pair.file_x for pair in pairs], [pair.file_y for pair in pairs]
    who = np.column_stack([people.codes(files) for files in sides])
    rows = np.column_stack([embedded.rows(files) for files in sides])
    scores, band, reference = (np.full(len(pairs), -np.inf) for _ in range(3))
    for group in groups(pairs):
        pair_scorer = scorer_for(np.unique(who[group]))
        for index in group:
            if (rows[index] < 0).any():
                band[index] = 0.0
                continue
            thresholds = pair_scorer.thresholds(int(who[index, 0]), int(who[index, 1]))
            score = _score(pair_scorer.scorer, embedded.embeddings, rows[index])
            scores[index], band[index] = score - thresholds.approve, thresholds.approve - thresholds.different
            reference[index] = score - pair_scorer.reference
    return Scored(pairs, scores, band, reference, who)


def _score(scorer: Scorer, embeddings: EmbeddingsByName, rows: Codes) -> float:
    first, second = (
        scorer.project({name: table[row : row + 1] for name, table in embeddings.items()}) for row in rows
    )
    return float(scorer.scores(first, second)[0])
