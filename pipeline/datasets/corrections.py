"""Corrections of the labels of public sets: found by score and in public lists, then checked by a person.

`lfw_labels.csv` names photos of LFW and says what was seen. `photo` is one that has, or may have, a wrong
name: the figures without wrong labels leave out every pair that uses it. `person` is somebody with two names,
who are merged. The figures as published use every pair.

`same_people.csv` names pairs of files that show one person, in sets without names. All other pairs in these
sets count as two people, so a look-alike still counts as a false match.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from pipeline.datasets.data import LabelledFace, Pair, read_faces
from pipeline.faces.types import Flags

WRONG_LABELS = Path(__file__).with_name("lfw_labels.csv")
SAME_PEOPLE = Path(__file__).with_name("same_people.csv")


@dataclass(frozen=True, slots=True)
class WrongLabels:
    """``photos`` are file names without suffix; ``people`` maps a second name to the first one."""

    photos: frozenset[str]
    people: Mapping[str, str]


@cache
def wrong_labels(path: Path = WRONG_LABELS) -> WrongLabels:
    """The corrections in `lfw_labels.csv`."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return WrongLabels(
        frozenset(row["name"] for row in rows if row["kind"] == "photo"),
        {row["other"]: row["name"] for row in rows if row["kind"] == "person"},
    )


def read_corrected(paths: Iterable[Path]) -> list[LabelledFace]:
    """All faces of these CSVs, `corrected`. Raises DataError."""
    return corrected([face for path in paths for face in read_faces(path)])


def corrected(faces: Iterable[LabelledFace], wrong: WrongLabels | None = None) -> list[LabelledFace]:
    """The faces without the listed photos; a person with two names keeps the first."""
    known = wrong or wrong_labels()
    return [
        replace(face, identity=known.people.get(face.identity, face.identity))
        for face in faces
        if Path(face.file).stem not in known.photos
    ]


def rightly_labelled(pairs: Sequence[Pair], wrong: WrongLabels | None = None) -> Flags:
    """(n,) the pairs that use no listed photo, and whose two people are not one."""
    known = wrong or wrong_labels()
    return np.array([_right(pair, known) for pair in pairs], dtype=bool)


def _right(pair: Pair, known: WrongLabels) -> bool:
    files = [Path(pair.file_x), Path(pair.file_y)]
    if any(file.stem in known.photos for file in files):
        return False
    one, other = (known.people.get(file.parent.name, file.parent.name) for file in files)
    return pair.same or one != other or files[0].parent == files[1].parent


def same_people(path: Path = SAME_PEOPLE) -> list[tuple[str, str]]:
    """Pairs of files of one person, with the paths of the faces' CSV."""
    with path.open(newline="", encoding="utf-8") as file:
        return [(row["file_x"], row["file_y"]) for row in csv.DictReader(file) if row["same"] == "1"]


def merge_same_people(
    faces: Sequence[LabelledFace], pairs: Iterable[tuple[str, str]] | None = None
) -> list[LabelledFace]:
    """The same faces, with one identity for each person, also where pairs form a chain."""
    name = {face.file: face.identity for face in faces}
    for one, other in same_people() if pairs is None else pairs:
        if one in name and other in name:
            old, new = name[other], name[one]
            name = {file: new if identity == old else identity for file, identity in name.items()}
    return [replace(face, identity=name[face.file]) for face in faces]


def one_photo_each(faces: Iterable[LabelledFace]) -> list[LabelledFace]:
    """The first photo of each person."""
    first: dict[str, LabelledFace] = {}
    for face in faces:
        first.setdefault(face.identity, face)
    return [*first.values()]
