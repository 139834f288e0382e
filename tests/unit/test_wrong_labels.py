"""LFW's wrong labels: told beside the figures as published, and nobody fitted on as two people."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np

from pipeline.datasets.corrections import WRONG_LABELS, WrongLabels, corrected, rightly_labelled, wrong_labels
from pipeline.datasets.data import LabelledFace, Pair, read_pairs
from pipeline.evaluation.report import Scored, by_labels
from pipeline.verdict import Gender
from support.labelled import rows

WRONG = WrongLabels(frozenset({"Ann_0001"}), {"Kim_Ann": "Ann_Kim"})


def pair(one: str, other: str, *, same: bool) -> Pair:
    return Pair(f"lfw/{one[:-5]}/{one}.jpg", f"lfw/{other[:-5]}/{other}.jpg", same, fold="1")


def face(photo: str) -> LabelledFace:
    return LabelledFace(f"lfw/{photo[:-5]}/{photo}.jpg", photo[:-5], Gender.FEMALE)


def test_every_pair_with_a_listed_photo_is_left_out_whatever_its_label() -> None:
    pairs = [
        pair("Ann_0001", "Ann_0002", same=True),
        pair("Ann_0001", "Bob_0001", same=False),
        pair("Ann_0002", "Ann_0003", same=True),
        pair("Ann_0002", "Bob_0001", same=False),
    ]
    assert rightly_labelled(pairs, WRONG).tolist() == [False, False, True, True]


def test_two_names_of_one_person_are_no_impostor_pair() -> None:
    pairs = [
        pair("Ann_Kim_0001", "Kim_Ann_0001", same=False),
        pair("Kim_Ann_0001", "Kim_Ann_0002", same=True),
    ]
    assert rightly_labelled(pairs, WRONG).tolist() == [False, True]


def test_who_has_two_names_is_one_person_and_listed_photos_are_not_learned_from() -> None:
    faces = corrected([face("Ann_0001"), face("Ann_0002"), face("Kim_Ann_0001"), face("Ann_Kim_0001")], WRONG)
    assert [(f.file.rpartition("/")[2], f.identity) for f in faces] == [
        ("Ann_0002.jpg", "Ann"),
        ("Kim_Ann_0001.jpg", "Ann_Kim"),
        ("Ann_Kim_0001.jpg", "Ann_Kim"),
    ]


def test_both_figures_are_always_told_and_name_what_was_left_out() -> None:
    photo = min(wrong_labels().photos)
    pairs = [
        pair(photo, f"{photo[:-1]}2", same=True),
        pair("Eve_0001", "Eve_0002", same=True),
        pair("Eve_0001", "Bob_0001", same=False),
    ]
    scores = np.array([-1.0, 1.0, -1.0])
    told = by_labels(Scored(pairs, scores, np.zeros(3), scores, np.zeros((3, 2), np.int64)))
    assert told["left_out"] == {"pairs": 1, "genuine": 1}
    assert told["as_published"]["at_threshold"]["fnmr"] == 0.5
    assert told["without_wrong_labels"]["at_threshold"]["fnmr"] == 0.0


def test_the_list_says_of_every_label_who_says_so_and_what_shows_it() -> None:
    with WRONG_LABELS.open(newline="", encoding="utf-8") as file:
        labels = list(csv.DictReader(file))
    assert all(row["kind"] in ("photo", "person") and len(row["evidence"]) > 10 for row in labels)
    assert all(row["source"] in ("looked at", "public list", "public list, looked at") for row in labels)
    assert len({row["name"] for row in labels}) == len(labels)
    assert not {row["other"] for row in labels if row["kind"] == "person"} & {row["name"] for row in labels}


def test_the_list_names_photos_and_people_that_are_in_the_set(faces: Path) -> None:
    with WRONG_LABELS.open(newline="", encoding="utf-8") as file:
        seen = [row for row in csv.DictReader(file) if "looked at" in row["source"]]
    for row in seen:
        names = [name for name in (row["name"], row["other"]) if name]
        folders = [name if row["kind"] == "person" else name[:-5] for name in names]
        assert all((faces / "lfw" / folder).is_dir() for folder in folders)


def test_what_is_known_of_the_set_here_is_on_the_list(faces: Path) -> None:
    known = rows(faces, "lfw_known_label_issues.csv")
    photos = {name for row in known for name in re.findall(r"\w+_\d{4}\b", row["file_or_identity"])}
    assert photos
    assert photos <= wrong_labels().photos
    lines = {int(n) for row in known for n in row["lines_of_lfw_pairs.csv_using_it"].split()}
    left_out = np.flatnonzero(~rightly_labelled(read_pairs(faces / "lfw_pairs.csv"))) + 2
    assert lines <= set(left_out.tolist())


def test_people_under_two_names_are_merged(faces: Path) -> None:
    known = [row["file_or_identity"] for row in rows(faces, "lfw_known_label_issues.csv")]
    both = [frozenset(re.findall(r"([\w-]+)/", row)) for row in known if row.count("/") == 2]
    assert both
    assert {frozenset(two) for two in wrong_labels().people.items()} >= set(both)
