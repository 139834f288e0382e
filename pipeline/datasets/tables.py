"""Tables of labelled faces: embeddings, people, genders and ages, as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.data import LabelledFace, first_age, identity_of
from pipeline.datasets.embeddings import Embedded
from pipeline.fitting.fit import FEMALE, MALE, UNKNOWN, FaceTable
from pipeline.verdict import Gender

PARTS = 10


ADULT = 20


TAUGHT = 10
"""From this age on faces may teach the head; only adults test it. With those of 10 to 19,
FaceNet and SFace read 86.5 % of FairFace's adults rightly, without them 85.3 % (ten-fold)."""


SENIOR = 50


ADDED_WEIGHT = 10.0
"""Of a face of these sets against one of LFW, which has few women and fewer seniors."""


def teachable(faces: Iterable[LabelledFace]) -> list[LabelledFace]:
    """Those of known gender that are not known to be too young to show it: the one rule for all heads."""
    return [face for face in faces if CODES[face.gender] != UNKNOWN and not 0 <= _age(face) < TAUGHT]


def added_faces(faces: Sequence[LabelledFace], embedded: Embedded) -> FaceTable:
    """`teachable` faces that were found, for the gender head: nobody among them has a second photo."""
    found, vectors = embedded.found(teachable(faces))
    return FaceTable(
        vectors=vectors,
        identity=-1 - np.arange(len(found), dtype=np.int64),
        gender=np.array([CODES[face.gender] for face in found], dtype=np.int64),
        users_kind=np.zeros(len(found), dtype=bool),
        weight=np.full(len(found), ADDED_WEIGHT),
    )


def joined(one: FaceTable, other: FaceTable) -> FaceTable:
    """All faces of both."""
    return FaceTable(
        {name: np.concatenate([rows, other.vectors[name]]) for name, rows in one.vectors.items()},
        np.concatenate([one.identity, other.identity]),
        np.concatenate([one.gender, other.gender]),
        np.concatenate([one.users_kind, other.users_kind]),
        np.concatenate([one.weight, other.weight]),
    )


def _age(face: LabelledFace) -> int:
    """-1 where it is not known."""
    age = first_age(face.age)
    return -1 if age is None else age


CODES = {Gender.MALE: MALE, Gender.FEMALE: FEMALE, Gender.UNKNOWN: UNKNOWN}


class People:
    """Identities as numbers, the same for pairs and faces."""

    def __init__(self, faces: Sequence[LabelledFace]) -> None:
        self._named = {face.file: face.identity for face in faces}
        self._codes: dict[str, int] = {}

    def code(self, file: str) -> int:
        """Whose photo it is."""
        return self._codes.setdefault(identity_of(file, self._named), len(self._codes))

    def names(self, files: Sequence[str]) -> set[str]:
        """Whose photos they are, by name."""
        return {identity_of(file, self._named) for file in files}

    def codes(self, files: Sequence[str]) -> NDArray[np.int64]:
        """(n,) whose photos they are."""
        return np.array([self.code(file) for file in files], dtype=np.int64)


def face_table(faces: Sequence[LabelledFace], embedded: Embedded, people: People) -> FaceTable:
    """The labelled faces that were found, with their embeddings."""
    found, vectors = embedded.found(faces)
    return replace(labels_of(found, people), vectors=vectors)


def labels_of(faces: Sequence[LabelledFace], people: People) -> FaceTable:
    """What is known of faces before anybody looks at the photos; without embeddings."""
    return FaceTable(
        vectors={},
        identity=people.codes([face.file for face in faces]),
        gender=np.array([CODES[face.gender] for face in faces], dtype=np.int64),
        users_kind=np.array([face.users_kind for face in faces], dtype=bool),
        weight=np.ones(len(faces)),
    )
