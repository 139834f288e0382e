"""People who stand twice in a set of single photos: not counted as two, not taken for members twice."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import cast

from pipeline.datasets.corrections import SAME_PEOPLE, merge_same_people, one_photo_each, same_people
from pipeline.datasets.data import LabelledFace
from pipeline.datasets.embeddings import Dataset, EmbeddingTable
from pipeline.evaluation.impostors import single_photo_figures
from pipeline.evaluation.protocol import NOBODY, fit_without
from pipeline.verdict import Gender
from support.labelled import rows
from support.made_up_faces import SETTINGS, Town, embedded


def named(*files: str) -> list[LabelledFace]:
    return [LabelledFace(file, file, Gender.FEMALE, age="60") for file in files]


def test_photos_of_one_person_get_one_identity_chains_too() -> None:
    faces = merge_same_people(named("a", "b", "c", "d"), [("a", "b"), ("c", "b"), ("d", "nowhere")])
    assert len({face.identity for face in faces[:3]}) == 1
    assert faces[3].identity == "d"


def test_everybody_is_one_member_however_many_photos_there_are() -> None:
    faces = merge_same_people(named("a", "b", "c"), [("a", "c")])
    assert [face.file for face in one_photo_each(faces)] == ["a", "b"]


class Photos:
    """An album whose photos show made-up people."""

    def embed(self, files: list[str]) -> EmbeddingTable:
        return embedded([LabelledFace(file, file, Gender.FEMALE) for file in files], 0.0)


def test_a_pair_on_the_list_is_no_impostor_pair_and_every_other_pair_is(tmp_path: Path) -> None:
    one, other = same_people()[0]
    with (tmp_path / "set.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "gender", "age"])
        writer.writerows([[name, "female", 60] for name in (one, other, "utk_asian/nobody.jpg")])
    judge = fit_without(NOBODY, Town(40).table, SETTINGS)
    figures = single_photo_figures(cast(Dataset, Photos()), [tmp_path / "set.csv"], judge)
    assert figures["set"]["female"]["people"] == 2
    assert figures["set"]["female"]["pairs"] == 2
    assert figures["set"]["male"]["pairs"] == 0


def test_the_list_says_of_every_pair_what_was_seen() -> None:
    with SAME_PEOPLE.open(newline="", encoding="utf-8") as file:
        pairs = list(csv.DictReader(file))
    assert all(row["same"] in ("0", "1") and len(row["comment"]) > 10 for row in pairs)
    assert len({(row["file_x"], row["file_y"]) for row in pairs}) == len(pairs)
    assert all(row["file_x"] < row["file_y"] for row in pairs)


def test_the_list_names_photos_that_are_in_the_set(faces: Path) -> None:
    known = {row["file"] for row in rows(faces, "utk_asian.csv")}
    assert {file for pair in same_people() for file in pair} <= known
