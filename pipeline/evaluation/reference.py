"""The reference of a head that is fitted on all labelled faces: by fits without the people of each pair."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.bundles.reference import Measured, Reference
from pipeline.errors import DataError
from pipeline.evaluation.protocol import PairScorer, fit_without, of_any_gender
from pipeline.faces.types import Codes, Flags
from pipeline.fitting import metrics
from pipeline.fitting.fit import UNKNOWN, FaceTable, FitSettings
from pipeline.fitting.reference import NO_PAIRS, WeighedPairs, log_odds, measured_on

FOLDS = 5
ENOUGH_PEOPLE = 20
"""With fewer people of the users' kind the impostor pairs are everybody's."""
AT_ONCE = 100
"""Up to so many people of the users' kind are one fold, because each fold's impostors are among its own."""
MOST_FACES = 2000
"""Of a fold: millions of impostor pairs tell no more."""


def cross_fit_reference(table: FaceTable, settings: FitSettings) -> Reference | None:
    """The reference, with impostors of the users' kind where they are enough; None where the faces are too
    few to fit without some."""
    known = of_any_gender(table)
    known = known.only(known.gender != UNKNOWN)
    kind = known.only(known.users_kind)
    impostors = kind if len(np.unique(kind.identity)) >= ENOUGH_PEOPLE else known
    genuine, other, pairs_of = [NO_PAIRS], [NO_PAIRS], 0
    try:
        for people in _folds(known.identity, FOLDS):
            scorer = fit_without(people, table, settings)
            parts = list(_genuine(scorer, known.only(np.isin(known.identity, people))))
            genuine, pairs_of = [*genuine, *parts], pairs_of + len(parts)
        few = len(np.unique(impostors.identity)) <= AT_ONCE
        for people in _folds(impostors.identity, 1 if few else FOLDS):
            faces = impostors.only(_some(np.isin(impostors.identity, people)))
            other.append(_impostors(fit_without(people, table, settings), faces))
    except DataError:
        return None
    counts = (pairs_of, len(np.unique(impostors.identity)))
    return measured_on(Measured.CROSS_FIT, WeighedPairs.joined(genuine), WeighedPairs.joined(other), counts)


def _folds(identity: Codes, folds: int) -> list[Codes]:
    people = np.unique(identity)
    return [people[start::folds] for start in range(folds)]


def _some(chosen: Flags) -> Flags:
    """At most `MOST_FACES` of the chosen, spread evenly."""
    rows = np.flatnonzero(chosen)
    kept = np.zeros(len(chosen), np.bool_)
    kept[rows[:: max(1, -(-len(rows) // MOST_FACES))]] = True
    return kept


def _genuine(fitted: PairScorer, faces: FaceTable) -> Iterator[WeighedPairs]:
    """For each person with two faces or more."""
    projected = fitted.scorer.project(faces.embeddings)
    for rows in metrics.rows_of_each(faces.identity):
        if len(rows) > 1:
            own = {name: embeddings[rows] for name, embeddings in projected.items()}
            scores = fitted.scorer.matrix(own, own)[np.triu_indices(len(rows), 1)]
            person = int(faces.identity[rows[0]])
            odds = log_odds(scores, fitted.thresholds(person, person))
            yield WeighedPairs(odds, np.full(len(scores), 1 / len(scores)))


def _impostors(fitted: PairScorer, faces: FaceTable) -> WeighedPairs:
    """All of one gender; every two people have the same weight."""
    first, second = np.triu_indices(len(faces.identity), 1)
    who, gender = faces.identity, faces.gender
    apart = (who[first] != who[second]) & (gender[first] == gender[second])
    first, second = first[apart], second[apart]
    projected = fitted.scorer.project(faces.embeddings)
    scores = fitted.scorer.matrix(projected, projected)[first, second]
    two = np.sort(np.column_stack([who[first], who[second]]), axis=1)
    pairs, where, count = np.unique(two, axis=0, return_inverse=True, return_counts=True)
    where = where.reshape(-1)
    found = [fitted.thresholds(int(one), int(other)) for one, other in pairs]
    scale, approve = (np.array([getattr(t, name) for t in found]) for name in ("scale", "approve"))
    odds = scale[where] * (scores - approve[where])
    return WeighedPairs(odds, 1.0 / count[where])
