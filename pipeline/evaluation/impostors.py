"""False-match rates over all impostor pairs of one gender that labelled photos can give.

Pair lists have a few thousand impostor pairs; the same photos give hundreds of thousands. Each pair is scored
by a head that was fitted on neither of its people, as in `pipeline.evaluation.protocol`. Sets with one photo
of each person have no genuine pairs, but impostor pairs as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.datasets.corrections import merge_same_people
from pipeline.datasets.data import LabelledFace, Pair, files_of, first_age, read_faces
from pipeline.datasets.embeddings import Dataset, EmbeddingTable
from pipeline.datasets.tables import NEAR_AGE, PersonCodes
from pipeline.evaluation.protocol import PairScorer, ScorerFor, groups
from pipeline.faces.types import Codes, Doubles, Flags, Rows, Scores
from pipeline.fitting import metrics
from pipeline.fitting.fit import FEMALE, MALE, FaceTable
from pipeline.verdict import Gender

GENDERS = {"male": MALE, "female": FEMALE}
ALL_FOLDS = "all folds"
TARGET_FMR = 0.001
SENIORS = range(50, 70)


@dataclass(frozen=True, slots=True, eq=False)
class Impostors(Rows):
    """n impostor pairs of one gender.

    ``scores`` (n,) are relative to the approve threshold, ``reference`` (n,) to the threshold that
    compares kinds of people; ``people`` (n, 2) are codes; ``male`` and ``users_kind`` (n,) are
    true where they are of both faces.
    """

    scores: Scores
    reference: Scores
    people: Codes
    male: Flags
    users_kind: Flags


_NONE = Impostors(
    np.empty(0), np.empty(0), np.empty((0, 2), np.int64), np.empty(0, np.bool_), np.empty(0, np.bool_)
)


def named_groups(pairs: Sequence[Pair], people: PersonCodes) -> dict[str, Codes]:
    """The people of each fold ("fold 1") or set, who are scored by one head."""
    found = {}
    for group in groups(pairs):
        first = pairs[int(group[0])]
        name = f"fold {first.fold}" if first.fold else first.set or "all pairs"
        found[name] = np.unique(people.codes(files_of(pairs[int(i)] for i in group)))
    return found


def all_impostors(
    named: Mapping[str, Codes], table: FaceTable, scorer_for: ScorerFor
) -> dict[str, Impostors]:
    """The impostor pairs of every group, and those of all folds together as `ALL_FOLDS`."""
    found = {name: _group(people, table, scorer_for) for name, people in named.items()}
    folds = [pairs for name, pairs in found.items() if name.startswith("fold ")]
    return {**found, ALL_FOLDS: Impostors.joined(folds)} if len(folds) > 1 else found


def exhaustive_figures(found: Mapping[str, Impostors]) -> dict[str, Any]:
    """Figures of each group, of its men and women, and of faces of the users' kind."""
    return {name: _slices(pairs) for name, pairs in found.items()}


def _group(people: Codes, table: FaceTable, scorer_for: ScorerFor) -> Impostors:
    faces = table.only(np.isin(table.identity, people))
    if len(faces.identity) == 0:
        return _NONE
    scorer = scorer_for(people)
    return Impostors.joined(
        [_of_gender(scorer, faces.only(faces.gender == code)) for code in GENDERS.values()]
    )


def _of_gender(pair_scorer: PairScorer, faces: FaceTable) -> Impostors:
    if len(faces.identity) < 2:
        return _NONE
    first, second = np.triu_indices(len(faces.identity), 1)
    apart = faces.identity[first] != faces.identity[second]
    first, second = first[apart], second[apart]
    projected = pair_scorer.scorer.project(faces.embeddings)
    scores = pair_scorer.scorer.matrix(projected, projected)[first, second]
    people = np.column_stack([faces.identity[first], faces.identity[second]])
    return Impostors(
        scores - _approve_thresholds(pair_scorer, people),
        scores - pair_scorer.reference,
        people,
        faces.gender[first] == MALE,
        faces.users_kind[first] & faces.users_kind[second],
    )


def _approve_thresholds(pair_scorer: PairScorer, people: Codes) -> Doubles:
    """(n,) the approve threshold of every pair, computed once for each two people."""
    if len(people) == 0:
        return np.empty(0)
    two, where = np.unique(np.sort(people, axis=1), axis=0, return_inverse=True)
    approve = np.array([pair_scorer.thresholds(int(one), int(other)).approve for one, other in two])
    return np.asarray(approve[where.reshape(-1)])


def _slices(pairs: Impostors) -> dict[str, Any]:
    figures = {name: _figures(pairs.only(pairs.male == (code == MALE))) for name, code in GENDERS.items()}
    kind = pairs.only(pairs.users_kind)
    if len(kind.scores) and len(kind.scores) < len(pairs.scores):
        for name, code in GENDERS.items():
            figures[f"users_kind_{name}"] = _figures(kind.only(kind.male == (code == MALE)))
    return {"both": _figures(pairs), **figures}


def _figures(pairs: Impostors) -> dict[str, Any]:
    """Rates are null where there are too few pairs."""
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


def people_equal(passed: Flags, people: Codes) -> float | None:
    """The share of false matches where every two people have the same weight."""
    if len(passed) == 0:
        return None
    _, which, count = np.unique(np.sort(people, axis=1), axis=0, return_inverse=True, return_counts=True)
    return float(np.mean(np.bincount(which.reshape(-1), passed) / count))


def interval(passed: Flags, people: Codes) -> tuple[float, float] | None:
    """95 % interval of the share of ``passed`` by resampling people.

    Without any false match the bootstrap gives 0, which is too optimistic: then the upper end is that of as
    many pairs as share no person.
    """
    if len(passed) == 0:
        return None
    if not passed.any():
        return 0.0, metrics.upper95(0, max(1, len(np.unique(people)) // 2)) or 1.0
    return metrics.identity_bootstrap(passed.astype(np.float64), people[:, 0], people[:, 1], seed=1)


def single_photo_figures(dataset: Dataset, csvs: Sequence[Path], scorer: PairScorer) -> dict[str, Any]:
    """FMR at the approve threshold and at the reference, for men and women of 50 to 69.

    Pairs are of one gender and at most ten years apart. ``scorer`` was fitted on no person of these sets.
    Pairs that show one person (`pipeline.datasets.corrections`) are left out.
    """
    figures: dict[str, Any] = {}
    for path in csvs:
        faces = seniors(path)
        embedded = dataset.embed([face.file for face in faces])
        figures[path.stem] = {
            str(gender): _single_photos(scorer, [f for f in faces if f.gender is gender], embedded)
            for gender in (Gender.MALE, Gender.FEMALE)
        }
    return figures


def seniors(path: Path) -> list[LabelledFace]:
    """The faces of 50 to 69; people who are twice in the set have one identity."""
    return merge_same_people([face for face in read_faces(path) if first_age(face.age) in SENIORS])


def _single_photos(
    pair_scorer: PairScorer, faces: Sequence[LabelledFace], embedded: EmbeddingTable
) -> dict[str, Any]:
    found, embeddings = embedded.found(faces)
    ages = np.array([first_age(face.age) for face in found], dtype=np.int64)
    first, second = np.triu_indices(len(found), 1)
    people = np.unique([face.identity for face in found], return_inverse=True)[1]
    fair = (np.abs(ages[first] - ages[second]) <= NEAR_AGE) & (people[first] != people[second])
    first, second = first[fair], second[fair]
    projected = pair_scorer.scorer.project(embeddings)
    scores = pair_scorer.scorer.matrix(projected, projected)[first, second]
    approve, reference = pair_scorer.thresholds(-1, -1).approve, pair_scorer.reference
    passed = scores >= approve
    return {
        "people": len(np.unique(people)),
        "failed_to_acquire": len(faces) - len(found),
        "pairs": len(scores),
        "fmr": metrics.fmr(scores, approve),
        "false_matches": int(passed.sum()),
        "fmr_interval95": interval(passed, np.column_stack([people[first], people[second]])),
        "fmr_at_reference": None if np.isnan(reference) else metrics.fmr(scores, reference),
    }
