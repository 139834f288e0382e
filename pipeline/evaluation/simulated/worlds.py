"""The people that a simulation draws members from, each world with heads that know none of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from pipeline.bundles.head_params import Judges
from pipeline.datasets.data import LabelledFace, first_age
from pipeline.datasets.embeddings import Embedded
from pipeline.datasets.tables import People, joined
from pipeline.evaluation.protocol import Judge
from pipeline.evaluation.simulated.members import AGE_UNKNOWN, World
from pipeline.faces.types import Vectors
from pipeline.fitting.fit import FEMALE, MALE, UNKNOWN, FaceTable, FitSettings, fit_gender, replay_limits

Codes = NDArray[np.int64]
PARTS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Faces with embeddings. ``ages`` (n,) are years or `AGE_UNKNOWN`."""

    files: tuple[str, ...]
    table: FaceTable
    ages: Codes


@dataclass(frozen=True, slots=True, eq=False)
class Retouched:
    """Retouched versions of photos: their paths, and (n, d) embeddings for each embedder."""

    files: Sequence[str]
    vectors: Mapping[str, Vectors]


def ages_of(faces: Sequence[LabelledFace], embedded: Embedded) -> Codes:
    """The lower end of every found face's age or age group, in the order of `face_table`."""
    ages = (first_age(face.age) for face in faces if face.file in embedded.row)
    return np.array([AGE_UNKNOWN if age is None else age for age in ages], dtype=np.int64)


def groups_by_split(faces: Sequence[LabelledFace], people: People) -> dict[str, Codes]:
    """The people of each split; without any, five parts by a hash of the name."""
    named: dict[str, list[int]] = {}
    for face in faces:
        part = face.split or f"part {crc32(face.identity.encode()) % PARTS + 1}"
        named.setdefault(part, []).append(people.code(face.file))
    return {name: np.unique(codes) for name, codes in sorted(named.items())}


def make_world(
    name: str,
    chosen: Labelled,
    *,
    others: FaceTable,
    judge: Judge,
    settings: FitSettings,
    added: FaceTable | None = None,
    touched: Retouched | None = None,
    fixed: Judges | None = None,
) -> World:
    """``chosen`` are its people; what is fitted knows ``others`` (and ``added``, for gender) alone.

    ``fixed`` is a whole head, of which nothing is fitted.
    """
    table, retouched = _with_retouched(chosen, touched)
    return World(
        name=name,
        table=table,
        ages=chosen.ages,
        judge=judge,
        gender=fixed.gender if fixed else fit_gender(_both(others, added), settings),
        replay_score=(fixed.replay if fixed else replay_limits(judge.scorer, others)).score,
        projected=judge.scorer.project(table.vectors),
        plain=len(chosen.files),
        retouched=retouched,
    )


def worlds_of(
    named: Mapping[str, Codes],
    labelled: Labelled,
    *,
    judge_for: Callable[[Codes], Judge],
    settings: FitSettings,
    added: FaceTable | None = None,
    touched: Retouched | None = None,
    fixed: Judges | None = None,
) -> list[World]:
    """A world for each group with two people of known gender or more, if others tell both genders."""
    table, worlds = labelled.table, []
    for name, people in named.items():
        inside = np.isin(table.identity, people)
        chosen = only(labelled, inside & (table.gender != UNKNOWN))
        able = fixed is not None or tells_genders(table.only(~inside), added)
        if able and len(np.unique(chosen.table.identity)) > 1:
            judge = judge_for(people)
            worlds.append(
                make_world(
                    name,
                    chosen,
                    others=table.only(~inside),
                    judge=judge,
                    settings=settings,
                    added=added,
                    touched=touched,
                    fixed=fixed,
                )
            )
    return worlds


def tells_genders(others: FaceTable, added: FaceTable | None) -> bool:
    """Whether these faces show women and men who are known to be such."""
    return {MALE, FEMALE} <= set(_both(others, added).gender.tolist())


def _both(others: FaceTable, added: FaceTable | None) -> FaceTable:
    return joined(others, added) if added else others


def only(labelled: Labelled, flags: NDArray[np.bool_]) -> Labelled:
    """The flagged faces."""
    files = tuple(file for file, keep in zip(labelled.files, flags, strict=True) if keep)
    return Labelled(files, labelled.table.only(flags), labelled.ages[flags])


def _with_retouched(chosen: Labelled, touched: Retouched | None) -> tuple[FaceTable, dict[int, int]]:
    """The table with its people's retouched photos behind, and where each of them stands."""
    place = {file: row for row, file in enumerate(chosen.files)}
    kept = [i for i, file in enumerate(touched.files) if file in place] if touched else []
    if touched is None or not kept:
        return chosen.table, {}
    rows = np.array([place[touched.files[i]] for i in kept])
    again = chosen.table
    copies = FaceTable(
        {name: vectors[kept] for name, vectors in touched.vectors.items()},
        again.identity[rows],
        again.gender[rows],
        again.users_kind[rows],
        again.weight[rows],
    )
    start = len(chosen.files)
    return joined(again, copies), {int(row): start + i for i, row in enumerate(rows)}
