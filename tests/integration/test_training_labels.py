"""What a retraining learns from: whose photos, the latest labels, the blind audit, the test set."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import sqlalchemy as sa

from pipeline.verdict import Gender, Reason, Status
from support import reviews
from support.jobs import LEASE, NOW, later
from support.traces import tables_that_hold
from support.training import (
    TrainingScene,
    a_trained_head,
    judged_member,
    labelled_member,
    latest,
    url_of,
    vectors_of,
)
from support.workers import rows
from worker.retraining.process import Trained, TrainingInput
from worker.retraining.training_set import OTHER_NETWORKS, Sampling, training_set_of
from worker.store import LearnedFace, Store
from worker.store.tables.states import PairLabel, Purpose

GENUINE, IMPOSTOR = PairLabel.GENUINE, PairLabel.IMPOSTOR


# What is learned from.


def test_only_members_who_consented_are_learned_from(training: TrainingScene, store: Store) -> None:
    labelled_member(store, "silent", consent=False)
    judged_member(store, "unlabelled")
    assert store.labels.truth().members == 6
    training.collect()
    assert {row["member_id"] for row in rows(store, store.database.t.training_member)} == {
        f"m{n:02}" for n in range(6)
    }


@pytest.mark.parametrize("when", ["before", "after"])
def test_consent_that_is_withdrawn_while_the_run_goes_counts_at_once(
    training: TrainingScene, store: Store, when: str
) -> None:
    assert store.training_runs.ask("kim", NOW)
    training.step()
    if when == "after":
        training.deliver()
    store.consents.record("m03", Purpose.TRAINING, NOW, given=False)
    training.deliver()
    training.step()
    assert len(np.unique(training.given[0].training_set.identity)) == 5


def test_faces_of_whom_consent_is_withdrawn_by_sql_are_removed_before_the_run_has_ended(
    training: TrainingScene, store: Store
) -> None:
    training.collect()
    with store.database.engine.begin() as c:
        c.exec_driver_sql("UPDATE member SET training_consent = FALSE WHERE member_id = 'm03'")
    assert store.training_members.clear() == 1
    assert len(rows(store, store.database.t.training_face)) == 15
    assert store.training_members.clear() == 0


@pytest.mark.parametrize("when", ["listed", "claimed", "embedded", "training"])
def test_a_member_who_is_forgotten_in_the_middle_leaves_no_trace(
    training: TrainingScene, store: Store, when: str
) -> None:
    def forget() -> None:
        removed = store.members.forget("m03", training.now).removed
        assert removed["training_member"] == 1
        assert removed["training_face"] == (3 if when in ("embedded", "training") else 0)
        assert traces() == set()

    def traces() -> set[str]:
        return tables_that_hold(store.database.engine, "m03", "/m03/")

    def train(_given: TrainingInput, _goes_on: Callable[[], bool]) -> Trained:
        forget()
        return a_trained_head()

    assert store.training_runs.ask("kim", NOW)
    training.step()
    member = (
        store.training_members.acquire(latest(store).run_id, 0, LEASE, 99, NOW) if when == "claimed" else None
    )
    while member and member.member_id != "m03":
        member = store.training_members.acquire(latest(store).run_id, 0, LEASE, 99, NOW)
    if when in ("embedded", "training"):
        training.deliver()
    if when == "training":
        training.train = train
    else:
        forget()
    if member:
        assert not store.training_members.note(member, [])
        training.later(minutes=3)
    training.deliver()
    assert training.step() == "ended"
    assert traces() == set()


def test_the_latest_label_of_a_photo_counts(training: TrainingScene, store: Store) -> None:
    reviews.label(store, "m00", 2, IMPOSTOR, "lee", later(1), gender=Gender.MALE)
    training.collect()
    mine = [row for row in rows(store, store.database.t.training_face) if row["member_id"] == "m00"]
    assert [row["label"] for row in mine] == [None, "genuine", "impostor"]
    assert [row["gender"] for row in mine] == ["female", "female", "male"]


def test_the_latest_label_of_a_picture_counts_in_whatever_request_it_was(store: Store) -> None:
    labelled_member(store, "m1", (GENUINE, GENUINE))
    judged_member(store, "m1", 2, at=later(9), request_id="r2")
    reviews.label(store, "m1", 2, IMPOSTOR, "kim", later(10))
    with store.database.engine.begin() as c:  # a second look at the first request, later still
        row = {"request_id": "r-m1", "position": 2, "label": GENUINE, "labelled_by": "lee"}
        c.execute(sa.insert(store.database.t.label).values(**row, labelled_at=later(11)))
    training = TrainingScene(store)
    training.collect()
    assert [row["label"] for row in rows(store, store.database.t.training_face)] == [
        None,
        "genuine",
        "genuine",
    ]


def test_whoever_cannot_tell_has_no_say_and_may_change_their_mind_to_that(store: Store) -> None:
    cannot_tell = PairLabel.CANNOT_TELL
    labelled_member(store, "m1", (GENUINE, GENUINE, cannot_tell))
    reviews.decide(store, "m1", Status.APPROVED, "lee", later(1), words=dict.fromkeys((1, 2, 3), cannot_tell))
    assert store.labels.truth().labels == 2
    training = TrainingScene(store)
    training.collect()
    faces = rows(store, store.database.t.training_face)
    assert [row["label"] for row in faces] == [None, "genuine", "genuine"]
    claim = reviews.answered(store, "m1", {1: GENUINE, 2: GENUINE, 3: GENUINE}, at=later(2))
    store.reviews.answers.answer(claim, {2: cannot_tell}, later(3))
    photos = store.database.read(lambda c: store.labels.true_photos(c, "m1"))
    assert [photo.link.position for photo in photos if photo.label] == [1, 3]


def test_of_several_impostors_photos_one_is_used_for_they_may_show_one_person(store: Store) -> None:
    labelled_member(store, "m1", (IMPOSTOR, IMPOSTOR, GENUINE, IMPOSTOR))
    training = TrainingScene(store)
    training.collect()
    kept = [row["label"] for row in rows(store, store.database.t.training_face) if row["reason"] is None]
    assert kept == [None, "genuine", "impostor"]
    assert store.training_members.kept_out(latest(store).run_id) == {"further_impostor": 2}


def test_a_selfie_counts_as_the_member_only_beside_a_photo_that_a_person_called_genuine(store: Store) -> None:
    labelled_member(store, "m1", (GENUINE,))
    again = judged_member(store, "m1", 2, at=later(9), request_id="r2")
    with (
        store.database.engine.begin() as c
    ):  # another person's selfie, and nobody said that it matches anything
        v, vp = store.database.t.verification, store.database.t.verification_photo
        message = {"selfie_url": "https://photos.example.com/other.jpg", "photo_urls": ["-", url_of("m1", 2)]}
        c.execute(sa.update(v).where(v.c.request_id == again).values(message=message))
        first = sa.and_(vp.c.request_id == again, vp.c.position == 0)
        c.execute(sa.update(vp).where(first).values(sha256="e" * 64))
    reviews.label(store, "m1", 2, IMPOSTOR, "kim", later(10))
    training = TrainingScene(store)
    training.collect()
    faces = rows(store, store.database.t.training_face)
    assert [row["label"] for row in faces] == [None, "genuine", "impostor"]
    assert all(row["reason"] is None for row in faces)


def test_one_picture_with_both_labels_is_not_used(store: Store) -> None:
    labelled_member(store, "m1", (GENUINE,))
    again = judged_member(store, "m1", 1, at=later(9), request_id="r2")
    with store.database.engine.begin() as c:
        vp = store.database.t.verification_photo
        selfie = sa.select(vp.c.sha256).where(vp.c.request_id == "r-m1", vp.c.position == 0).scalar_subquery()
        digest = c.scalar(sa.select(selfie))
        second = sa.and_(vp.c.request_id == again, vp.c.position == 1)
        c.execute(sa.update(vp).where(second).values(sha256=digest))
    reviews.label(store, "m1", 1, IMPOSTOR, "kim", later(10))
    training = TrainingScene(store)
    training.collect()
    assert store.training_members.kept_out(latest(store).run_id) == {"contradiction": 2}


# The audit.


def test_the_blind_audit_says_how_many_approvals_are_wrong_whatever_the_consent(store: Store) -> None:
    for number in range(3):
        label = IMPOSTOR if number == 0 else GENUINE
        labelled_member(store, f"m{number}", (label,), reason=Reason.BLIND_AUDIT, consent=number == 1)
    for number, status in enumerate((Status.APPROVED, Status.REJECTED, Status.REJECTED, Status.APPROVED)):
        judged_member(store, f"d{number}", reason=Reason.BLIND_AUDIT)
        reviews.decide(store, f"d{number}", status, "kim", NOW)
    reviews.decide(store, "d2", Status.APPROVED, "lee", later(1))  # on second thoughts
    with store.database.engine.begin() as c:  # of before there were cases: a friend's photo
        row = {"request_id": "r-d3", "position": 1, "label": IMPOSTOR, "labelled_by": "kim"}
        c.execute(sa.insert(store.database.t.label).values(**row, labelled_at=NOW))
    labelled_member(store, "doubtful", (IMPOSTOR,))
    judged_member(store, "not-yet", reason=Reason.BLIND_AUDIT)
    audit = store.labels.audit()
    assert (audit.sampled, audit.judged, audit.wrong) == (8, 7, 2)
    training = TrainingScene(store)
    training.collect()
    training.step()
    report = latest(store).report
    assert report is not None
    told = report["audit"]
    assert told["stands_for_approvals"] == 400
    assert told["wrong_approvals"] == pytest.approx(2 / 7)
    assert 0 < told["wrong_approvals_95"][0] < 2 / 7 < told["wrong_approvals_95"][1] < 1


def test_an_audited_face_stands_for_the_approvals_that_nobody_reviewed() -> None:
    faces = [LearnedFace("m1", GENUINE, None, audited, "n", vectors_of(b"x")) for audited in (True, False)]
    weights = training_set_of(faces, "n", Sampling(b"key", 0.02))[0].weight
    assert weights[0] / weights[1] == pytest.approx(50)
    assert weights.mean() == pytest.approx(1)


# The training set.


def test_the_same_fifth_of_the_members_is_always_the_test_set() -> None:
    first, again, other = (Sampling(key, 0.0) for key in (b"a", b"a", b"b"))
    members = [f"m{number}" for number in range(2000)]
    tested = [first.is_test(member) for member in members]
    assert 0.17 < sum(tested) / 2000 < 0.23
    assert tested == [again.is_test(member) for member in members]
    assert tested != [other.is_test(member) for member in members]


def test_an_impostors_photo_is_a_person_of_its_own_on_the_members_side_of_the_split() -> None:
    labels = [None, GENUINE, IMPOSTOR]
    faces = [LearnedFace(f"m{n}", label, None, False, "n", b"1234") for n in range(30) for label in labels]
    training_set, left = training_set_of(faces, "n", Sampling(b"key", 0.02))
    people = training_set.identity.reshape(30, 3)
    assert (people[:, 0] == people[:, 1]).all()
    assert len(np.unique(people)) == 60
    assert (training_set.is_test.reshape(30, 3) == training_set.is_test.reshape(30, 3)[:, :1]).all()
    assert left == {}


def test_faces_of_other_networks_are_left_out_and_counted() -> None:
    made = [("old", b"12345678"), ("new", b"12345678"), ("new", b"1234"), ("new", b"87654321")]
    faces = [LearnedFace("m1", GENUINE, None, False, *vectors) for vectors in made]
    training_set, left = training_set_of(faces, "new", Sampling(b"key", 0.0))
    assert training_set.vectors.shape == (2, 2)
    assert left == {OTHER_NETWORKS: 2}
    assert training_set_of([], "new", Sampling(b"key", 0.0))[0].identity.shape == (0,)
