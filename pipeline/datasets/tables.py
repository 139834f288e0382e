"""Tables of labelled faces: identities, genders and ages as arrays, with embeddings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.datasets.data import LabelledFace, first_age, identity_of
from pipeline.datasets.embeddings import EmbeddingTable
from pipeline.faces.types import Codes, Flags, Rows
from pipeline.fitting.fit import FEMALE, MALE, UNKNOWN, FaceTable
from pipeline.verdict import Gender

CODES = {Gender.MALE: MALE, Gender.FEMALE: FEMALE, Gender.UNKNOWN: UNKNOWN}
NO_AGE = -1
NEAR_AGE = 10
"""Years that two impostors may be apart, where both ages are known."""
ADULT_AGE = 20
SENIOR_AGE = 50
LEAST_AGE = 10
"""The gender head is fitted on faces of this age and more, and tested on adults only. With those of 10 to 19
it reads 86.5 % of FairFace's adults correctly (FaceNet and SFace, ten-fold), without them 85.3 %."""
ADDED_WEIGHT = 10.0
"""Weight of an added face where one of LFW, which has few women and fewer seniors, has 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Labels(Rows):
    """Labels of n faces, each (n,): identity, gender (`MALE`, `FEMALE`, `UNKNOWN`), age or `NO_AGE`."""

    identity: Codes
    gender: Codes
    age: Codes

    def may_oppose(self, first: Codes, second: Codes) -> Flags:
        """Whether two faces are a fair impostor pair: two people of one gender, and of near age if known."""
        ages = self.age[first], self.age[second]
        unknown = (ages[0] == NO_AGE) | (ages[1] == NO_AGE)
        near = unknown | (np.abs(ages[0] - ages[1]) <= NEAR_AGE)
        different = self.identity[first] != self.identity[second]
        return np.asarray(different & near & (self.gender[first] == self.gender[second]))


def for_gender_head(faces: Iterable[LabelledFace]) -> list[LabelledFace]:
    """The faces that any gender head may be fitted on: of known gender, and not known to be too young."""
    return [face for face in faces if CODES[face.gender] != UNKNOWN and not 0 <= known_age(face) < LEAST_AGE]


def added_faces(faces: Sequence[LabelledFace], embedded: EmbeddingTable) -> FaceTable:
    """The embedded faces of `for_gender_head`.

    Each is a person of its own, since nobody has a second photo.
    """
    found, embeddings = embedded.found(for_gender_head(faces))
    return FaceTable(
        embeddings=embeddings,
        identity=-1 - np.arange(len(found), dtype=np.int64),
        gender=np.array([CODES[face.gender] for face in found], dtype=np.int64),
        users_kind=np.zeros(len(found), dtype=bool),
        weight=np.full(len(found), ADDED_WEIGHT),
    )


def known_age(face: LabelledFace) -> int:
    """The age, -1 where it is unknown."""
    age = first_age(face.age)
    return -1 if age is None else age


class PersonCodes:
    """Identities as numbers, the same for pairs and faces."""

    def __init__(self, faces: Sequence[LabelledFace]) -> None:
        self._named = {face.file: face.identity for face in faces}
        self._codes: dict[str, int] = {}

    def code(self, file: str) -> int:
        return self._codes.setdefault(identity_of(file, self._named), len(self._codes))

    def names(self, files: Sequence[str]) -> set[str]:
        """The names of the people in photos."""
        return {identity_of(file, self._named) for file in files}

    def codes(self, files: Sequence[str]) -> Codes:
        """(n,) the people in photos."""
        return np.array([self.code(file) for file in files], dtype=np.int64)


def face_table(faces: Sequence[LabelledFace], embedded: EmbeddingTable, people: PersonCodes) -> FaceTable:
    """The labelled faces in which a face was found, with their embeddings."""
    found, embeddings = embedded.found(faces)
    return replace(labels_of(found, people), embeddings=embeddings)


def labels_of(faces: Sequence[LabelledFace], people: PersonCodes) -> FaceTable:
    """The labels alone, as a table without embeddings, for checks before photos are analysed."""
    return FaceTable(
        embeddings={},
        identity=people.codes([face.file for face in faces]),
        gender=np.array([CODES[face.gender] for face in faces], dtype=np.int64),
        users_kind=np.array([face.users_kind for face in faces], dtype=bool),
        weight=np.ones(len(faces)),
    )
