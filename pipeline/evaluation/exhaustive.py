"""All impostor pairs of one gender that the labelled people of a fold or a set can give.

Pair lists name a few thousand impostors; the same photos hold hundreds of thousands. Each pair
is scored by a head that knows neither of its people, as in `pipeline.evaluation.protocol`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.data import Pair
from pipeline.datasets.tables import People
from pipeline.evaluation.protocol import Judge, groups
from pipeline.fitting import metrics
from pipeline.fitting.fit import FEMALE, MALE, FaceTable

Codes = NDArray[np.int64]
GENDERS = {"male": MALE, "female": FEMALE}
ALL_FOLDS = "all folds"
TARGET_FMR = 0.001


@dataclass(frozen=True, slots=True, eq=False)
class Impostors:
    """n impostor pairs of one gender.

    ``scores`` (n,) are relative to the approve edge, ``reference`` (n,) to the threshold that
    compares kinds of people; ``people`` (n, 2) are codes; ``male`` and ``users_kind`` (n,) are
    said of both faces.
    """

    scores: NDArray[np.float64]
    reference: NDArray[np.float64]
    people: Codes
    male: NDArray[np.bool_]
    users_kind: NDArray[np.bool_]

    def only(self, chosen: NDArray[np.bool_]) -> Impostors:
        """The flagged pairs."""
        return Impostors(
            self.scores[chosen],
            self.reference[chosen],
            self.people[chosen],
            self.male[chosen],
            self.users_kind[chosen],
        )


def named_groups(pairs: Sequence[Pair], people: People) -> dict[str, Codes]:
    """The people of each fold ("fold 1") or set, as they are judged together."""
    found = {}
    for group in groups(pairs):
        first = pairs[int(group[0])]
        name = f"fold {first.fold}" if first.fold else first.set or "all pairs"
        files = [file for i in group for file in (pairs[int(i)].file_x, pairs[int(i)].file_y)]
        found[name] = np.unique(people.codes(files))
    return found


def all_impostors(
    named: Mapping[str, Codes], table: FaceTable, judge_for: Callable[[Codes], Judge]
) -> dict[str, Impostors]:
    """Every group's impostor pairs; the folds are laid together once more as `ALL_FOLDS`."""
    found = {name: _group(people, table, judge_for) for name, people in named.items()}
    folds = [pairs for name, pairs in found.items() if name.startswith("fold ")]
    return {**found, ALL_FOLDS: _joined(folds)} if len(folds) > 1 else found


def exhaustive_figures(found: Mapping[str, Impostors]) -> dict[str, Any]:
    """Men and women of each group apart, and faces of the users' kind apart again."""
    return {name: _slices(pairs) for name, pairs in found.items()}


def _group(people: Codes, table: FaceTable, judge_for: Callable[[Codes], Judge]) -> Impostors:
    faces = table.only(np.isin(table.identity, people))
    if len(faces.identity) == 0:
        return _joined([])
    judge = judge_for(people)
    return _joined([_of_gender(judge, faces.only(faces.gender == code)) for code in GENDERS.values()])


def _of_gender(judge: Judge, faces: FaceTable) -> Impostors:
    if len(faces.identity) < 2:
        return _joined([])
    first, second = np.triu_indices(len(faces.identity), 1)
    apart = faces.identity[first] != faces.identity[second]
    first, second = first[apart], second[apart]
    projected = judge.scorer.project(faces.vectors)
    scores = judge.scorer.matrix(projected, projected)[first, second]
    people = np.column_stack([faces.identity[first], faces.identity[second]])
    return Impostors(
        scores - _approve_edges(judge, people),
        scores - judge.reference,
        people,
        faces.gender[first] == MALE,
        faces.users_kind[first] & faces.users_kind[second],
    )


def _approve_edges(judge: Judge, people: Codes) -> NDArray[np.float64]:
    """(n,) the approve edge of every pair; asked for once for each two people."""
    if len(people) == 0:
        return np.empty(0)
    two, where = np.unique(np.sort(people, axis=1), axis=0, return_inverse=True)
    edges = np.array([judge.edges(int(one), int(other)).approve for one, other in two])
    return np.asarray(edges[where.reshape(-1)])


def _joined(parts: Sequence[Impostors]) -> Impostors:
    nothing = np.empty(0)
    nobody = np.empty(0, dtype=bool)
    parts = [Impostors(nothing, nothing, np.empty((0, 2), np.int64), nobody, nobody), *parts]
    return Impostors(
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.reference for part in parts]),
        np.concatenate([part.people for part in parts]),
        np.concatenate([part.male for part in parts]),
        np.concatenate([part.users_kind for part in parts]),
    )


def _slices(pairs: Impostors) -> dict[str, Any]:
    figures = {name: _figures(pairs.only(pairs.male == (code == MALE))) for name, code in GENDERS.items()}
    kind = pairs.only(pairs.users_kind)
    if len(kind.scores) and len(kind.scores) < len(pairs.scores):
        for name, code in GENDERS.items():
            figures[f"users_kind_{name}"] = _figures(kind.only(kind.male == (code == MALE)))
    return {"both": _figures(pairs), **figures}


def _figures(pairs: Impostors) -> dict[str, Any]:
    """Null for what so few pairs cannot tell."""
    passed = pairs.scores >= 0
    return {
        "people": len(np.unique(pairs.people)),
        "pairs": len(passed),
        "false_matches": int(passed.sum()),
        "fmr": metrics.fmr(pairs.scores, 0.0),
        "fmr_people_equal": people_equal(passed, pairs.people),
        "fmr_interval95": interval(passed, pairs.people),
        "fmr_upper95_if_independent": metrics.upper95(int(passed.sum()), len(passed)),
        "fmr_at_reference": None if np.isnan(pairs.reference).any() else metrics.fmr(pairs.reference, 0.0),
        "measurable": len(passed) * TARGET_FMR >= metrics.IMPOSTORS_PER_ERROR,
    }


def people_equal(passed: NDArray[np.bool_], people: Codes) -> float | None:
    """The share of false matches where every two people weigh the same, as for the approve edge."""
    if len(passed) == 0:
        return None
    _, which, count = np.unique(np.sort(people, axis=1), axis=0, return_inverse=True, return_counts=True)
    return float(np.mean(np.bincount(which.reshape(-1), passed) / count))


def interval(passed: NDArray[np.bool_], people: Codes) -> tuple[float, float] | None:
    """By drawing people again. Without any false match that gives 0, which nobody may believe:
    then the upper end counts only as many pairs as share no person.
    """
    if len(passed) == 0:
        return None
    if not passed.any():
        return 0.0, metrics.upper95(0, max(1, len(np.unique(people)) // 2)) or 1.0
    return metrics.identity_bootstrap(passed.astype(np.float64), people[:, 0], people[:, 1], seed=1)
