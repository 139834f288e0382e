"""Retrainings on a real database: one at a time, from what people said, of members who consented."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count

import numpy as np
import pytest
import sqlalchemy as sa

from pipeline.verdict import Fault, FetchProblem, Gender, NotFetched, Reason, Status
from support.jobs import LEASE, MOST, NOW, later
from support.together import together
from support.traces import tables_that_hold
from support.training import (
    TrainingScene,
    a_trained_head,
    content_of,
    judged_member,
    labelled_member,
    url_of,
    vectors_of,
)
from support.workers import rows
from worker.errors import StoreUnavailable, TrainingDied, TrainingFailed
from worker.jobs.embed_job import EmbedJob
from worker.retraining.embedding import BUDGET_SECONDS
from worker.retraining.process import Trained, TrainingInput
from worker.retraining.run import MAX_LAPSES, MAX_SENDS
from worker.retraining.training_set import OTHER_NETWORKS, Sampling, training_set_of
from worker.store import LearnedFace, RunLease, RunRecord, Store
from worker.store.tables.states import ModelState, PairLabel, RunState

GENUINE, IMPOSTOR = PairLabel.GENUINE, PairLabel.IMPOSTOR
GONE = NotFetched(FetchProblem.GONE, Fault.MEMBER, "404")
BROKEN = NotFetched(FetchProblem.SERVER_ERROR, Fault.HOST, "503")


@pytest.fixture
def training(store: Store) -> TrainingScene:
    """With members m00 to m05, each with a selfie and two photos that are theirs."""
    for number in range(6):
        labelled_member(store, f"m{number:02}")
    return TrainingScene(store)


def latest(store: Store) -> RunRecord:
    return store.training_runs.latest(1)[0]


def lease(store: Store, worker: str = "w", at: float = 0) -> RunLease:
    found = store.training_runs.acquire(worker, LEASE, MAX_LAPSES, later(at))
    assert isinstance(found, RunLease)
    return found


# The way of a run.


def test_a_run_goes_from_labels_to_a_promoted_head(training: TrainingScene, store: Store) -> None:
    training.collect()
    assert latest(store).state is RunState.COLLECTING
    assert training.step() == "ended"
    run = latest(store)
    assert (run.state, run.version, run.problem) == (RunState.PROMOTED, "retrained-1", None)
    assert store.models.champion() == "retrained-1"
    [given] = training.given
    assert len(given.training_set.identity) == 18
    assert len(np.unique(given.training_set.identity)) == 6
    assert run.report is not None
    assert run.report["members"] == {"looked_at": 6, "failed": {}}
    assert run.report["gate"]["passed"] is True


def test_nothing_of_what_was_learned_from_is_kept_when_the_run_has_ended(
    training: TrainingScene, store: Store
) -> None:
    training.collect()
    assert len(rows(store, store.database.t.training_face)) == 18
    training.step()
    assert rows(store, store.database.t.training_face) == []
    assert rows(store, store.database.t.training_member) == []


def test_messages_name_no_member_and_no_photo(training: TrainingScene) -> None:
    assert training.store.training_runs.ask("kim", NOW)
    training.step()
    assert [job.to_message() for job in training.sent] == [
        {"schema": 1, "run_id": latest(training.store).run_id, "batch": batch} for batch in (0, 1)
    ]


def test_the_last_verify_worker_says_that_the_training_may_begin(
    training: TrainingScene, store: Store
) -> None:
    assert store.training_runs.ask("kim", NOW)
    training.step()
    assert training.deliver() == ["nothing", "training"]


def test_a_slow_delivery_leaves_the_rest_of_the_batch(training: TrainingScene, store: Store) -> None:
    assert store.training_runs.ask("kim", NOW)
    training.step()
    slow = training.embedding(stopwatch=partial(next, count(0.0, BUDGET_SECONDS + 0.1)))
    assert str(slow.handle(training.sent[0].to_message(), "bulk")) == "rest_of_the_batch"
    assert store.training_members.progress(latest(store).run_id).done == 1


def test_a_head_that_the_gate_refuses_is_kept_as_rejected(training: TrainingScene, store: Store) -> None:
    training.train = lambda _given, _goes_on: a_trained_head(passed=False, reasons=["it is worse"])
    training.collect()
    training.step()
    assert latest(store).state is RunState.REJECTED
    assert [(m.version, m.state) for m in store.models.latest()] == [("retrained-1", ModelState.REJECTED)]
    assert store.models.champion() is None
    report = latest(store).report
    assert report is not None
    assert report["gate"]["reasons"] == ["it is worse"]


def test_a_head_waits_for_a_person_where_the_settings_say_so(training: TrainingScene, store: Store) -> None:
    training.promote = False
    training.collect()
    training.step()
    assert latest(store).state is RunState.DONE
    assert store.models.latest()[0].state is ModelState.CHALLENGER


def test_a_head_that_was_compared_with_another_champion_is_not_promoted(
    training: TrainingScene, store: Store
) -> None:
    def train(_given: TrainingInput, _goes_on: Callable[[], bool]) -> Trained:
        store.models.add(a_trained_head(version="by-hand").head, NOW)
        store.models.promote("by-hand", NOW)
        return a_trained_head()

    training.train = train
    training.collect()
    training.step()
    assert (latest(store).state, store.models.champion()) == (RunState.DONE, "by-hand")
    assert "not promoted" in str(latest(store).problem)


@pytest.mark.parametrize("error", [TrainingFailed("too few"), None])
def test_a_run_that_cannot_learn_fails_visibly_and_leaves_the_champion(
    training: TrainingScene, store: Store, error: TrainingFailed | None
) -> None:
    def train(_given: TrainingInput, _goes_on: Callable[[], bool]) -> Trained:
        assert error
        raise error

    training.train = train
    if error is None:  # no photo shows a face
        for number in range(6):
            for position in range(3):
                training.faces[content_of(url_of(f"m{number:02}", position))] = "no_face"
    training.collect()
    assert training.step() == "ended"
    status = store.reports.status(training.now).training
    assert status is not None
    assert status.state is RunState.FAILED
    assert status.problem == ("too few" if error else "no face could be learned from")
    assert store.models.latest() == []


# One at a time.


def test_of_two_workers_one_gets_the_run(store: Store) -> None:
    assert store.training_runs.ask("kim", NOW)
    got = together([lambda: store.training_runs.acquire("w", LEASE, MAX_LAPSES, NOW)] * 3)
    assert [type(one) for one in got if one is not None] == [RunLease]


def test_of_two_who_ask_at_once_both_get_the_same_run(store: Store) -> None:
    asked = together([lambda: store.training_runs.ask("kim", NOW)] * 3)
    assert len({one.run_id for one in asked}) == 1
    assert sorted(one.new for one in asked) == [False, False, True]


def test_while_one_worker_trains_another_one_finds_nothing_to_do(
    training: TrainingScene, store: Store
) -> None:
    met: list[str] = []

    def train(_given: TrainingInput, _goes_on: Callable[[], bool]) -> Trained:
        met.append(str(training.retraining("w2").step()))
        return a_trained_head()

    training.train = train
    training.collect()
    training.step()
    assert met == ["nothing"]


def test_a_run_whose_worker_was_killed_is_taken_up_again(training: TrainingScene, store: Store) -> None:
    training.collect()
    lease(store, "killed", 1)
    training.later(seconds=30)
    assert not store.training_runs.due(training.now)
    assert training.step() == "nothing"
    training.later(seconds=31)
    assert store.training_runs.due(training.now)
    assert not store.training_runs.due(training.now)
    assert training.step() == "ended"
    assert (latest(store).state, latest(store).lapses) == (RunState.PROMOTED, 1)


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (TrainingDied("killed by signal 9"), "killed by signal 9"),
        (ModuleNotFoundError("No module named 'scipy'"), "ModuleNotFoundError: No module named 'scipy'"),
        (ValueError("x" * 3000), "ValueError: xxx"),
    ],
)
def test_a_run_whose_training_breaks_off_time_and_again_fails_with_the_reason(
    training: TrainingScene, store: Store, error: Exception, problem: str
) -> None:
    def train(_given: TrainingInput, _goes_on: Callable[[], bool]) -> Trained:
        raise error

    training.train = train
    training.collect()
    for _ in range(MAX_LAPSES):
        assert training.step() == "interrupted"
        assert store.training_runs.due(training.now)
    assert training.step() == "ended"
    assert latest(store).state is RunState.FAILED
    assert str(latest(store).problem).startswith(f"broken off 3 times; {problem}")
    assert store.models.latest() == []
    assert rows(store, store.database.t.training_face) == []


def test_a_run_whose_worker_is_killed_time_and_again_fails_and_says_so(
    training: TrainingScene, store: Store
) -> None:
    training.collect()
    for number in range(MAX_LAPSES):
        lease(store, "killed", 100 * (number + 1))
    training.later(seconds=1000)
    assert training.step() == "ended"
    run = latest(store)
    assert (run.state, run.problem) == (RunState.FAILED, "broken off 3 times; its worker was killed")


def test_a_database_that_is_away_for_a_moment_is_no_reason_to_give_a_run_up(
    training: TrainingScene, store: Store
) -> None:
    def train(_given: TrainingInput, _goes_on: Callable[[], bool]) -> Trained:
        raise StoreUnavailable("away")

    training.train = train
    training.collect()
    with pytest.raises(StoreUnavailable):
        training.step()
    assert (latest(store).state, latest(store).problem) == (RunState.TRAINING, None)


def test_a_run_that_no_worker_takes_up_is_failed_after_a_day(training: TrainingScene, store: Store) -> None:
    assert store.training_runs.ask("kim", NOW)
    training.later(hours=23)
    assert store.training_runs.due(training.now)
    assert latest(store).state is RunState.QUEUED
    training.later(hours=1)
    assert not store.training_runs.due(training.now)
    run = latest(store)
    assert (run.state, run.finished_at) == (RunState.FAILED, training.now)
    assert "does one serve the queue `retrain`" in str(run.problem)
    assert training.step() == "nothing"
    assert store.training_runs.ask("kim", training.now)


def test_a_run_that_a_worker_took_up_is_not_failed_for_its_age(training: TrainingScene, store: Store) -> None:
    assert store.training_runs.ask("kim", NOW)
    training.step()
    training.later(days=2)
    assert store.training_runs.due(training.now)
    assert latest(store).state is RunState.COLLECTING


def test_who_has_lost_the_run_writes_nothing(training: TrainingScene, store: Store) -> None:
    goes_on: list[bool] = []

    def train(_given: TrainingInput, still_ours: Callable[[], bool]) -> Trained:
        goes_on.append(still_ours())
        lease(store, "another", 61)
        goes_on.append(still_ours())
        return a_trained_head()

    training.train = train
    training.collect()
    assert training.step() == "lost"
    assert goes_on == [True, False]
    assert store.models.latest() == []
    assert latest(store).state is RunState.TRAINING


# What is missing.


def test_jobs_for_members_whose_message_was_lost_are_sent_again_and_at_last_given_up(
    training: TrainingScene, store: Store
) -> None:
    assert store.training_runs.ask("kim", NOW)
    training.step()
    training.sent.pop()  # lost
    training.deliver()
    rounds = 1
    while latest(store).state is RunState.COLLECTING:
        training.later(minutes=1)
        training.step()
        rounds += bool(training.sent)
        assert all(job.batch == 1 for job in training.sent)
        training.sent.clear()
    assert rounds == 1 + MAX_SENDS  # the first one brought something
    assert latest(store).state is RunState.PROMOTED
    report = latest(store).report
    assert report is not None
    assert report["members"] == {"looked_at": 4, "failed": {"not_reached": 2}}


def test_a_run_whose_members_are_slow_to_come_is_not_given_up(training: TrainingScene, store: Store) -> None:
    assert store.training_runs.ask("kim", NOW)
    training.step()
    messages = list(training.sent)
    for _ in range(MAX_SENDS - 1):
        training.later(days=1)
        training.step()
    training.sent[:] = messages[:1]
    training.deliver()
    training.later(days=1)
    assert training.step() == "waiting"
    assert latest(store).counts == {"members": 6, "reached": 4}
    for _ in range(MAX_SENDS):
        training.later(days=1)
        training.step()
    assert latest(store).state is RunState.PROMOTED


def test_a_message_that_is_delivered_twice_does_everything_once(
    training: TrainingScene, store: Store
) -> None:
    assert store.training_runs.ask("kim", NOW)
    training.step()
    training.sent *= 2
    together([training.deliver, training.deliver])
    assert len(rows(store, store.database.t.training_face)) == 18
    assert store.training_members.progress(latest(store).run_id).done == 6


def test_two_verify_workers_with_one_batch_share_its_members(training: TrainingScene, store: Store) -> None:
    assert store.training_runs.ask("kim", NOW)
    training.step()
    run_id = latest(store).run_id
    claimed = together([lambda: store.training_members.acquire(run_id, 0, LEASE, MOST, NOW)] * 4)
    assert sorted(one.member_id for one in claimed) == ["m00", "m01", "m02", "m03"]


def test_a_member_whose_photos_kill_their_process_is_left_out_after_a_few_tries(
    training: TrainingScene, store: Store
) -> None:
    assert store.training_runs.ask("kim", NOW)
    training.step()
    run_id = latest(store).run_id
    for _ in range(MOST):
        assert store.training_members.acquire(run_id, 1, LEASE, MOST, training.now)
        assert store.training_members.acquire(run_id, 1, LEASE, MOST, training.now)
        training.later(minutes=2)
    assert store.training_members.acquire(run_id, 1, LEASE, MOST, training.now) is None
    assert store.training_members.failed(run_id) == {"crashed": 2}


def test_photos_that_are_gone_changed_or_unfit_are_counted_and_no_more(
    training: TrainingScene, store: Store
) -> None:
    training.pictures[url_of("m00", 1)] = GONE
    training.pictures[url_of("m01", 2)] = b"another picture"
    training.faces[content_of(url_of("m02", 0))] = "occluded"
    training.collect()
    training.step()
    report = latest(store).report
    assert report is not None
    assert report["kept_out"] == {"changed": 1, "gone": 1, "occluded": 1}
    assert report["not_fetched"] == 1
    assert len(training.given[0].training_set.identity) == 15


def test_a_failing_host_is_tried_again_later_and_then_done_without(
    training: TrainingScene, store: Store
) -> None:
    training.pictures[url_of("m00", 1)] = BROKEN
    training.collect()
    for _ in range(MOST - 1):
        assert store.training_members.progress(latest(store).run_id).waiting == 1
        training.later(minutes=30)
        training.step()
        training.deliver()
    assert training.step() == "ended"
    report = latest(store).report
    assert report is not None
    assert report["kept_out"] == {"unreachable": 1}


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
    store.members.set_consent("m03", NOW, training=False)
    training.deliver()
    training.step()
    assert len(np.unique(training.given[0].training_set.identity)) == 5


def test_faces_of_whom_consent_is_withdrawn_are_removed_before_the_run_has_ended(
    training: TrainingScene, store: Store
) -> None:
    training.collect()
    store.members.set_consent("m03", NOW, training=False)
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
    store.reviews.label("m00", 2, IMPOSTOR, "lee", later(1), gender=Gender.MALE)
    training.collect()
    mine = [row for row in rows(store, store.database.t.training_face) if row["member_id"] == "m00"]
    assert [row["label"] for row in mine] == [None, "genuine", "impostor"]
    assert [row["gender"] for row in mine] == ["female", "female", "male"]


def test_the_latest_label_of_a_picture_counts_in_whatever_request_it_was(store: Store) -> None:
    labelled_member(store, "m1", (GENUINE, GENUINE))
    judged_member(store, "m1", 2, at=later(9), request_id="r2")
    store.reviews.label("m1", 2, IMPOSTOR, "kim", later(10))
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
    store.reviews.label("m1", 2, IMPOSTOR, "kim", later(10))
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
    store.reviews.label("m1", 1, IMPOSTOR, "kim", later(10))
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
        store.reviews.decide(f"d{number}", status, "kim", NOW)
    store.reviews.decide("d2", Status.APPROVED, "lee", later(1))  # on second thoughts
    store.reviews.label(
        "d3", 1, IMPOSTOR, "kim", NOW
    )  # a friend's photo; the member was approved all the same
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


# When.


def test_beat_starts_a_run_only_with_enough_new_labels(training: TrainingScene, store: Store) -> None:
    assert store.training_runs.ask("beat", NOW, at_least=13) is None
    assert store.training_runs.latest() == []
    assert store.training_runs.ask("beat", NOW, at_least=12)
    training.step()
    training.deliver()
    training.step()
    assert store.labels.truth().new_labels == 0
    assert store.training_runs.ask("beat", NOW, at_least=1) is None
    store.reviews.label("m00", 1, GENUINE, "kim", NOW)
    assert store.training_runs.ask("beat", NOW, at_least=1)


def test_labels_of_a_run_that_failed_are_still_new(training: TrainingScene, store: Store) -> None:
    training.train = lambda _given, _goes_on: (_ for _ in ()).throw(TrainingFailed("x"))
    training.collect()
    training.step()
    assert store.labels.truth().new_labels == 12


# Invalid messages.


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (None, "not_an_object"),
        ([1], "not_an_object"),
        ({"run_id": 1, "batch": 0}, "missing_field"),
        ({"schema": 2, "run_id": 1, "batch": 0}, "unknown_schema"),
        ({"schema": 1, "run_id": 1}, "missing_field"),
        ({"schema": 1, "run_id": "1; DROP TABLE", "batch": 0}, "wrong_type"),
        ({"schema": 1, "run_id": True, "batch": 0}, "wrong_type"),
        ({"schema": 1, "run_id": 1, "batch": -1}, "bad_value"),
        ({"schema": 1, "run_id": 10**30, "batch": 0}, "bad_value"),
    ],
)
def test_a_message_that_is_no_batch_becomes_a_dead_job(store: Store, body: object, reason: str) -> None:
    assert str(TrainingScene(store).embedding().handle(body, "bulk")) == "nothing"
    assert [dead.reason for dead in store.dead_jobs.latest()] == [reason]


def test_a_batch_of_no_run_or_of_one_that_is_over_is_nothing_to_do(
    training: TrainingScene, store: Store
) -> None:
    assert str(training.embedding().handle(EmbedJob(99, 0).to_message(), "bulk")) == "nothing"
    training.collect()
    training.step()
    assert (
        str(training.embedding().handle(EmbedJob(latest(store).run_id, 0).to_message(), "bulk")) == "nothing"
    )
    assert store.dead_jobs.latest() == []
