"""Labels of LFW that are wrong: found by score and in public lists, then looked at by a person.

The list, `lfw_labels.csv`, names photos and says what was seen. `photo` is one that stands under a
wrong name, or may: every pair that uses it is left out of the figures without wrong labels, whether
the machine was right about it or not. `person` is somebody who stands under two names: they are
made one. The figures as published use every pair all the same.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.data import LabelledFace, Pair, read_faces

LIST = Path(__file__).with_name("lfw_labels.csv")


@dataclass(frozen=True, slots=True)
class WrongLabels:
    """``photos`` are files without folder and ending; ``people`` a second name to the first one."""

    photos: frozenset[str]
    people: Mapping[str, str]


@cache
def listed(path: Path = LIST) -> WrongLabels:
    """What the list names."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return WrongLabels(
        frozenset(row["name"] for row in rows if row["kind"] == "photo"),
        {row["other"]: row["name"] for row in rows if row["kind"] == "person"},
    )


def read_corrected(paths: Iterable[Path]) -> list[LabelledFace]:
    """All the faces of these CSVs, `corrected`. Raises DataError."""
    return corrected([face for path in paths for face in read_faces(path)])


def corrected(faces: Iterable[LabelledFace], wrong: WrongLabels | None = None) -> list[LabelledFace]:
    """The faces without the listed photos; who has two names keeps the first."""
    known = wrong or listed()
    return [
        replace(face, identity=known.people.get(face.identity, face.identity))
        for face in faces
        if Path(face.file).stem not in known.photos
    ]


def rightly_labelled(pairs: Sequence[Pair], wrong: WrongLabels | None = None) -> NDArray[np.bool_]:
    """(n,) the pairs that use no listed photo, and do not call two names of one person two people."""
    known = wrong or listed()
    return np.array([_right(pair, known) for pair in pairs], dtype=bool)


def _right(pair: Pair, known: WrongLabels) -> bool:
    files = [Path(pair.file_x), Path(pair.file_y)]
    if any(file.stem in known.photos for file in files):
        return False
    one, other = (known.people.get(file.parent.name, file.parent.name) for file in files)
    return pair.same or one != other or files[0].parent == files[1].parent
