"""People whose embeddings are drawn at random: quick, and every answer is known."""

from __future__ import annotations

import numpy as np

from pipeline.datasets.data import LabelledFace
from pipeline.datasets.embeddings import EmbeddingTable
from pipeline.datasets.tables import PersonCodes, face_table
from pipeline.fitting.fit import FaceTable, FitSettings
from pipeline.verdict import Gender

SETTINGS = FitSettings(
    weights={"a": 1.0}, centred=frozenset({"a"}), dimensions={"a": 8}, approve_fmr=0.01, different_fnmr=0.01
)
DIMENSIONS = 16


class Town:
    """``people`` with three photos each, p0 a woman, p1 a man and so on; the last are the users' kind.

    ``spread`` is how far apart the photos of one person lie, 1 being as far as people do.
    """

    def __init__(self, people: int, users_kind: int = 0, spread: float = 0.3, photos: int = 3) -> None:
        self.faces = [
            LabelledFace(
                f"p{i}/{k}.jpg",
                f"p{i}",
                Gender.MALE if i % 2 else Gender.FEMALE,
                split=f"part{i // 2 % 2}",
                age="63" if i < 10 else "",
                users_kind=i >= people - users_kind,
            )
            for i in range(people)
            for k in range(photos)
        ]
        self.embedded = embedded(self.faces, spread)
        self.people = PersonCodes(self.faces)
        self.table = face_table(self.faces, self.embedded, self.people)


def embedded(faces: list[LabelledFace], spread: float) -> EmbeddingTable:
    """Photos of one person lie close together; the first number tells the gender."""
    rng = np.random.default_rng(0)
    centre = {face.identity: rng.normal(size=DIMENSIONS) for face in faces}
    for face in faces:
        centre[face.identity][0] = 2.0 if face.gender is Gender.MALE else -2.0
    rows = np.array([centre[face.identity] + spread * rng.normal(size=DIMENSIONS) for face in faces])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return EmbeddingTable({face.file: i for i, face in enumerate(faces)}, {"a": rows.astype(np.float32)}, ())


def poisoned(table: FaceTable, people: list[int]) -> FaceTable:
    """Any use of these people's vectors makes every number a NaN."""
    rows = table.embeddings["a"].copy()
    rows[np.isin(table.identity, people)] = np.nan
    return FaceTable({"a": rows}, table.identity, table.gender, table.users_kind, table.weight)
