"""Nobody is judged by a head that knew them: whoever is tested is poison in what is fitted."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from pipeline.datasets.data import LabelledFace, Pair
from pipeline.datasets.embeddings import EmbeddingTable
from pipeline.datasets.tables import PersonCodes, face_table, labels_of
from pipeline.errors import DataError
from pipeline.evaluation.protocol import (
    NOBODY,
    fit_without,
    groups,
    of_any_gender,
    require_enough,
    score_pairs,
)
from pipeline.evaluation.report import figures, summary
from pipeline.fitting.fit import UNKNOWN, FaceTable, FitSettings, fit_scorer, fit_thresholds, fit_towers
from pipeline.verdict import Gender

SETTINGS = FitSettings(
    weights={"a": 1.0}, centred=frozenset({"a"}), dimensions={"a": 4}, approve_fmr=0.05, different_fnmr=0.05
)


def labelled(people: int, photos: int = 3, *, asian: bool = False) -> list[LabelledFace]:
    return [
        LabelledFace(f"p{i}/{k}.jpg", f"p{i}", Gender.MALE if i % 2 else Gender.FEMALE, users_kind=asian)
        for i in range(people)
        for k in range(photos)
    ]


def embed(faces: list[LabelledFace], seed: int = 0) -> EmbeddingTable:
    """Photos of one person lie close together, people apart."""
    rng = np.random.default_rng(seed)
    centre = {face.identity: rng.normal(size=8) for face in faces}
    rows = np.array([centre[face.identity] + 0.3 * rng.normal(size=8) for face in faces], np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return EmbeddingTable({face.file: i for i, face in enumerate(faces)}, {"a": rows}, ())


def poisoned(table: FaceTable, people: list[int]) -> FaceTable:
    """Any use of these people's vectors makes every number a NaN."""
    rows = table.embeddings["a"].copy()
    rows[np.isin(table.identity, people)] = np.nan
    return FaceTable({"a": rows}, table.identity, table.gender, table.users_kind, table.weight)


PAIRS = [
    Pair("p0/0.jpg", "p0/1.jpg", True, fold="1"),
    Pair("p0/0.jpg", "p1/0.jpg", False, fold="1"),
    Pair("p2/0.jpg", "p2/1.jpg", True, fold="2"),
    Pair("p2/0.jpg", "p3/0.jpg", False, fold="2"),
]


def test_a_fold_is_judged_without_any_of_its_people() -> None:
    faces = labelled(40)
    embedded, people = embed(faces), PersonCodes(faces)
    table = face_table(faces, embedded, people)
    seen: list[list[int]] = []

    def judge(tested: np.ndarray) -> object:
        seen.append(tested.tolist())
        return fit_without(tested, poisoned(table, tested.tolist()), SETTINGS)

    scored = score_pairs(PAIRS, embedded, people, judge)  # type: ignore[arg-type]
    assert seen == [
        [people.code("p0/0.jpg"), people.code("p1/0.jpg")],
        [people.code("p2/0.jpg"), people.code("p3/0.jpg")],
    ]
    assert np.isfinite(scored.scores).all()


def test_the_poison_would_be_noticed() -> None:
    faces = labelled(40)
    people = PersonCodes(faces)
    table = face_table(faces, embed(faces), people)
    with pytest.raises(np.linalg.LinAlgError):
        fit_scorer(poisoned(table, [people.code("p0/0.jpg")]), SETTINGS)


def test_where_all_faces_of_the_users_kind_are_tested_the_threshold_excludes_the_two_of_each_pair() -> None:
    faces = labelled(40) + [
        LabelledFace(f"k{i}/{k}.jpg", f"k{i}", Gender.MALE, users_kind=True)
        for i in range(8)
        for k in range(3)
    ]
    embedded, people = embed(faces), PersonCodes(faces)
    table = face_table(faces, embedded, people)
    one, other = people.code("k0/0.jpg"), people.code("k1/0.jpg")
    everyone = np.array([people.code(f"k{i}/0.jpg") for i in range(8)])
    clean = fit_without(everyone, table, SETTINGS).thresholds(one, other)
    without = fit_without(everyone, poisoned(table, [one, other]), SETTINGS).thresholds(one, other)
    assert without == clean
    assert np.isfinite(clean.approve)


def test_no_faces_left_to_fit_on_is_an_error_not_a_figure() -> None:
    faces = labelled(3)
    people = PersonCodes(faces)
    table = face_table(faces, embed(faces), people)
    with pytest.raises(DataError, match="no faces are left"):
        fit_without(np.unique(table.identity), table, SETTINGS)


def test_where_nobodys_gender_is_known_every_two_people_are_impostors() -> None:
    faces = labelled(40)
    embedded, people = embed(faces), PersonCodes(faces)
    told = face_table(faces, embedded, people)
    untold = replace(told, gender=np.full(len(told.gender), UNKNOWN))
    everybody = fit_thresholds(fit_towers(untold, SETTINGS), of_any_gender(untold), SETTINGS)
    assert fit_without(NOBODY, untold, SETTINGS).thresholds(-1, -1) == everybody
    assert fit_without(NOBODY, told, SETTINGS).thresholds(-1, -1) != everybody


def test_where_only_the_tested_two_are_of_the_users_kind_the_threshold_is_set_by_everybody() -> None:
    faces = labelled(40) + [
        LabelledFace(f"k{i}/{k}.jpg", f"k{i}", Gender.MALE, users_kind=True) for i in range(2) for k in (0, 1)
    ]
    people = PersonCodes(faces)
    table = face_table(faces, embed(faces), people)
    one, other = people.code("k0/0.jpg"), people.code("k1/0.jpg")
    plain = replace(table, users_kind=np.zeros(len(faces), dtype=bool))
    tested = np.array([one, other])
    thresholds = fit_without(tested, table, SETTINGS).thresholds(one, other)
    assert thresholds == fit_without(tested, plain, SETTINGS).thresholds(one, other)


@pytest.mark.parametrize(
    ("people", "photos", "enough"), [(4, 2, True), (4, 1, False), (2, 2, False), (3, 2, True)]
)
def test_labels_tell_whether_enough_is_left_to_fit_on(people: int, photos: int, enough: bool) -> None:
    faces = labelled(people, photos)
    table = labels_of(faces, PersonCodes(faces))
    with nullcontext() if enough else pytest.raises(DataError, match="somebody twice"):
        require_enough([NOBODY], table)
    with pytest.raises(DataError, match="no faces are left"):
        require_enough([np.unique(table.identity)], table)


def test_pairs_go_by_fold_then_by_set() -> None:
    pairs = [*PAIRS, Pair("x/0", "x/1", True, set="celebrities"), Pair("y/0", "y/1", True, set="seniors")]
    assert [len(group) for group in groups(pairs)] == [2, 2, 1, 1]


def test_a_face_that_was_not_found_counts_as_a_non_match_and_is_told() -> None:
    faces = labelled(40)
    embedded, people = embed(faces), PersonCodes(faces)
    del embedded.row["p0/1.jpg"]
    table = face_table(faces, embedded, people)
    scored = score_pairs(PAIRS, embedded, people, lambda tested: fit_without(tested, table, SETTINGS))
    result = figures(scored)
    assert result["failed_to_acquire"] == 1
    assert result["at_threshold"]["fnmr"] >= 0.5


def test_a_set_of_impostors_alone_gives_null_for_what_it_cannot_tell() -> None:
    faces = labelled(40)
    embedded, people = embed(faces), PersonCodes(faces)
    table = face_table(faces, embedded, people)
    pairs = [Pair("p0/0.jpg", "p2/0.jpg", False, set="impostors")]
    result = summary(score_pairs(pairs, embedded, people, lambda t: fit_without(t, table, SETTINGS)), {})
    only = result["sets"]["impostors"]
    assert only["at_threshold"]["fmr"] == 0.0
    assert only["at_threshold"]["fmr_upper95"] == pytest.approx(0.95)
    assert (
        only["auc"] is only["eer"] is only["at_threshold"]["fnmr"] is only["at_threshold"]["accuracy"] is None
    )
