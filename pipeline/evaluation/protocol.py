"""Who may judge whom: every pair is scored by a head that knows neither of its people.

Pairs come in groups (LFW's folds, or the named sets). What is learned for a group excludes
all of its people. Where that leaves too few faces of the users' kind to set the approve edge
by, the edge is set for each pair anew, by all others but its two people; means and projections
still exclude the whole group. Where nobody's gender is known every two people are an impostor pair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.data import Pair
from pipeline.datasets.embeddings import Embedded
from pipeline.datasets.tables import People
from pipeline.errors import DataError
from pipeline.evaluation.report import Scored
from pipeline.faces.types import Vectors
from pipeline.fitting import metrics
from pipeline.fitting.fit import (
    FEMALE,
    MALE,
    UNKNOWN,
    FaceTable,
    FitSettings,
    edges_by_kind,
    fit_edges,
    fit_towers,
    genuine_scores,
)
from pipeline.score import Edges, Scorer

REFERENCE_FMR = 0.003
"""Where impostors of any kind pass in this share: a threshold for comparing kinds of people."""
ENOUGH_IMPOSTORS = 3000
"""Impostor pairs of the users' kind without which an edge of 0.1 % would hang on one or two pairs."""

NOBODY = np.empty(0, dtype=np.int64)
"""Tested people of whom none is among the labelled faces."""


def require_enough(tested: Iterable[NDArray[np.int64]], table: FaceTable) -> None:
    """Raises DataError where too little is left to fit on without one of these groups of people."""
    for people in tested:
        _left(people, table)


def _left(people: NDArray[np.int64], table: FaceTable) -> FaceTable:
    """The faces of everybody else. Raises DataError without any, or without pairs among them."""
    strangers = table.only(~np.isin(table.identity, people))
    if len(strangers.identity) == 0:
        raise DataError(
            "no faces are left to fit on: name a faces.csv with other people than the pairs show, or "
            "judge --as-shipped"
        )
    known = strangers.only(strangers.gender != UNKNOWN)
    _, photos = np.unique(known.identity, return_counts=True)
    genders = [len(np.unique(known.identity[known.gender == gender])) for gender in (MALE, FEMALE)]
    if photos.max(initial=0) < 2 or max(genders) < 2:
        raise DataError(
            "the faces that are left to fit on give no genuine or no impostor pairs of one gender: they "
            "must show somebody twice and two men or two women"
        )
    return strangers


def of_any_gender(table: FaceTable) -> FaceTable:
    """The same, but where nobody's gender is known all count as of one: every two people may be paired."""
    if (table.gender != UNKNOWN).any():
        return table
    return replace(table, gender=np.full(len(table.gender), MALE))


@dataclass(frozen=True, slots=True)
class Judge:
    """A scorer without edges of its own, the threshold to compare kinds of people at, and edges."""

    scorer: Scorer
    reference: float
    """NaN where no faces could tell it."""
    edges: Callable[[int, int], Edges]
    """For a pair of two people."""


def fixed_judge(scorer: Scorer, reference: float) -> Judge:
    """One head for all pairs, as it is shipped."""
    return Judge(scorer, reference, lambda _one, _other: scorer.edges)


def judge_without(people: NDArray[np.int64], table: FaceTable, settings: FitSettings) -> Judge:
    """Everything learned without ``people``. Raises DataError where too little is left."""
    table = of_any_gender(table)
    strangers = _left(people, table)
    scorer = fit_towers(strangers, settings)
    reference = reference_threshold(scorer, strangers)
    if _impostors_of_users_kind(strangers) >= ENOUGH_IMPOSTORS or not table.users_kind.any():
        edges = fit_edges(scorer, strangers, settings)
        return Judge(scorer, reference, lambda _one, _other: edges)
    return Judge(scorer, reference, _edges_for_each_pair(scorer, table, strangers, settings))


def _edges_for_each_pair(
    scorer: Scorer, table: FaceTable, strangers: FaceTable, settings: FitSettings
) -> Callable[[int, int], Edges]:
    """Edges by the users' kind without the two people of a pair, computed once for each two.

    Where two alone are of that kind, by everybody's.
    """
    kind = table.only(table.users_kind)
    genuine = genuine_scores(scorer, strangers)
    known: dict[frozenset[int], Edges] = {}

    def edges(one: int, other: int) -> Edges:
        key = frozenset({one, other} & set(kind.identity.tolist()))
        if key not in known:
            others = kind.only(~np.isin(kind.identity, list(key)))
            known[key] = edges_by_kind(genuine, scorer, others, strangers, settings)
        return known[key]

    return edges


def _impostors_of_users_kind(table: FaceTable) -> int:
    """How many impostor pairs of one gender the faces of the users' kind give."""
    total = 0
    for gender in (MALE, FEMALE):
        _, counts = np.unique(table.identity[table.users_kind & (table.gender == gender)], return_counts=True)
        total += int((counts.sum() ** 2 - (counts**2).sum()) // 2)
    return total


def reference_threshold(scorer: Scorer, table: FaceTable, most: int = 3000) -> float:
    """The score that `REFERENCE_FMR` of the impostor pairs reach, of whatever gender; NaN without any."""
    step = max(1, len(table.identity) // most)
    some = table.only(np.arange(len(table.identity)) % step == 0)
    projected = scorer.project(some.vectors)
    first, second = np.triu_indices(len(some.identity), 1)
    scores = scorer.matrix(projected, projected)[first, second]
    impostor = scores[some.identity[first] != some.identity[second]]
    return metrics.threshold_at_fmr(impostor, REFERENCE_FMR) if len(impostor) else float("nan")


def groups(pairs: Sequence[Pair]) -> Iterator[NDArray[np.int64]]:
    """The pairs that are judged by one head: a fold, else a named set, else all."""
    keys = [pair.fold or pair.set for pair in pairs]
    for key in sorted(set(keys)):
        yield np.array([i for i, other in enumerate(keys) if other == key], dtype=np.int64)


def score_pairs(
    pairs: Sequence[Pair],
    embedded: Embedded,
    people: People,
    judge_for: Callable[[NDArray[np.int64]], Judge],
) -> Scored:
    """All pairs, each group by the judge that ``judge_for`` gives for its people."""
    who = np.column_stack([people.codes([p.file_x for p in pairs]), people.codes([p.file_y for p in pairs])])
    rows = np.column_stack(
        [embedded.rows([p.file_x for p in pairs]), embedded.rows([p.file_y for p in pairs])]
    )
    scores, band, reference = (np.full(len(pairs), -np.inf) for _ in range(3))
    for group in groups(pairs):
        judge = judge_for(np.unique(who[group]))
        for index in group:
            if (rows[index] < 0).any():
                band[index] = 0.0
                continue
            edges = judge.edges(int(who[index, 0]), int(who[index, 1]))
            score = _score(judge.scorer, embedded.vectors, rows[index])
            scores[index], band[index] = score - edges.approve, edges.approve - edges.different
            reference[index] = score - judge.reference
    return Scored(pairs, scores, band, reference, who)


def _score(scorer: Scorer, vectors: Mapping[str, Vectors], rows: NDArray[np.int64]) -> float:
    first, second = (
        scorer.project({name: table[row : row + 1] for name, table in vectors.items()}) for row in rows
    )
    return float(scorer.scores(first, second)[0])
