"""People who stand twice in a set that knows no names: found by score, then looked at by a person.

The list, `same_people.csv`, names files and says what was seen. A pair that is not on it stays a
pair of two people, so a look-alike still counts as a false match.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.datasets.data import LabelledFace

LIST = Path(__file__).with_name("same_people.csv")


def listed(path: Path = LIST) -> list[tuple[str, str]]:
    """Two files of one person each, by the paths of the faces' CSV."""
    with path.open(newline="", encoding="utf-8") as file:
        return [(row["file_x"], row["file_y"]) for row in csv.DictReader(file) if row["same"] == "1"]


def united(
    faces: Sequence[LabelledFace], pairs: Iterable[tuple[str, str]] | None = None
) -> list[LabelledFace]:
    """The same faces; those of one person, chains too, have one identity."""
    name = {face.file: face.identity for face in faces}
    for one, other in listed() if pairs is None else pairs:
        if one in name and other in name:
            old, new = name[other], name[one]
            name = {file: new if identity == old else identity for file, identity in name.items()}
    return [replace(face, identity=name[face.file]) for face in faces]


def one_photo_each(faces: Iterable[LabelledFace]) -> list[LabelledFace]:
    """The first photo of everybody."""
    first: dict[str, LabelledFace] = {}
    for face in faces:
        first.setdefault(face.identity, face)
    return [*first.values()]
