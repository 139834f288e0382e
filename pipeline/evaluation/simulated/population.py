"""The worlds of a simulation, from an album of labelled photos."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.bundles.head_params import Judges
from pipeline.datasets.data import LabelledFace, read_faces
from pipeline.datasets.embeddings import Album, Embedded
from pipeline.datasets.same_people import one_photo_each
from pipeline.datasets.tables import People, added_faces, face_table, teachable
from pipeline.evaluation.impostors import seniors
from pipeline.evaluation.protocol import NOBODY, Judge
from pipeline.evaluation.simulated.members import World
from pipeline.evaluation.simulated.retouch import retouched_faces
from pipeline.evaluation.simulated.worlds import (
    Labelled,
    Retouched,
    ages_of,
    make_world,
    only,
    tells_genders,
    worlds_of,
)
from pipeline.fitting.fit import UNKNOWN, FaceTable, FitSettings
from pipeline.verdict import Gender

Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sources:
    """What a simulation draws on beside the labelled people."""

    single_csvs: Sequence[Path] = ()
    """One photo for each person, with gender and age: impostors of the users' age."""
    gender_csvs: Sequence[Path] = ()
    """Further faces that the gender head is fitted on."""
    retouched: int = 0
    """How many photos are retouched; none needs the networks."""


def labelled_faces(faces: Sequence[LabelledFace], embedded: Embedded, people: People) -> Labelled:
    """The faces that were found, with their ages."""
    files = tuple(face.file for face in faces if face.file in embedded.row)
    return Labelled(files, face_table(faces, embedded, people), ages_of(faces, embedded))


def populate(
    album: Album,
    named: Mapping[str, Codes],
    labelled: Labelled,
    judge_for: Callable[[Codes], Judge],
    sources: Sources,
    *,
    fixed: Judges | None = None,
) -> list[World]:
    """A world for each named group of people, and one for each set of single faces.

    ``fixed`` is a whole head that judges, nothing of which is fitted; else there are worlds only where
    the genders of others are known.
    """
    settings, added = FitSettings(), _added(album, sources.gender_csvs)
    people = np.concatenate([np.empty(0, np.int64), *named.values()])
    inside = only(labelled, np.isin(labelled.table.identity, people))
    touched = _retouched(album, inside, sources.retouched)
    worlds = worlds_of(
        named, labelled, judge_for=judge_for, settings=settings, added=added, touched=touched, fixed=fixed
    )
    if fixed is None and not tells_genders(labelled.table, added):
        return worlds
    for path in sources.single_csvs:
        chosen, judge, others = _single_faces(album, path), judge_for(NOBODY), labelled.table
        worlds.append(
            make_world(
                path.stem, chosen, others=others, judge=judge, settings=settings, added=added, fixed=fixed
            )
        )
    return worlds


def spread(files: Sequence[str], count: int) -> list[str]:
    """``count`` different files, spread evenly over all."""
    every = sorted(set(files))
    return [every[i * len(every) // count] for i in range(min(count, len(every)))]


def _added(album: Album, csvs: Sequence[Path]) -> FaceTable | None:
    faces = teachable(face for path in csvs for face in read_faces(path))
    added = added_faces(faces, album.embed([face.file for face in faces]))
    return added if len(added.identity) else None


def _retouched(album: Album, labelled: Labelled, count: int) -> Retouched | None:
    """Of people with several photos, since only they can be honest members."""
    _, where, photos = np.unique(labelled.table.identity, return_inverse=True, return_counts=True)
    able = (photos[where] > 1) & (labelled.table.gender != UNKNOWN)
    files = spread([file for file, good in zip(labelled.files, able, strict=True) if good], count)
    return Retouched(*retouched_faces(album, files)) if files else None


def _single_faces(album: Album, path: Path) -> Labelled:
    faces = one_photo_each(face for face in seniors(path) if face.gender is not Gender.UNKNOWN)
    embedded = album.embed([face.file for face in faces])
    return labelled_faces(faces, embedded, People(faces))
