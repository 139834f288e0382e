"""Which faces may teach the gender head: one rule, whoever fits it."""

from __future__ import annotations

import numpy as np

from pipeline.datasets.data import LabelledFace
from pipeline.datasets.embeddings import EmbeddingTable
from pipeline.datasets.tables import added_faces, for_gender_head
from pipeline.verdict import Gender

AGES = {"0-2": False, "3-9": False, "9": False, "10-19": True, "60-69": True, "more than 70": True, "": True}
FACES = [LabelledFace(f"{age}.jpg", f"{age}.jpg", Gender.FEMALE, age=age) for age in AGES]


def test_children_do_not_teach_and_whoever_is_of_unknown_age_does() -> None:
    assert {face.age for face in for_gender_head(FACES)} == {age for age, may in AGES.items() if may}


def test_a_face_of_unknown_gender_teaches_nothing() -> None:
    assert for_gender_head([LabelledFace("a.jpg", "a", Gender.UNKNOWN, age="63")]) == []


def test_nobody_can_add_faces_to_the_gender_head_around_the_rule() -> None:
    rows = {face.file: i for i, face in enumerate(FACES)}
    table = added_faces(FACES, EmbeddingTable(rows, {"a": np.eye(len(FACES), dtype=np.float32)}, ()))
    assert len(table.identity) == sum(AGES.values())
    assert table.embeddings["a"][:, :3].sum() == 0
