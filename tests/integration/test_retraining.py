"""Retrainings on a real database: one at a time, from what people said, of members who consented."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count

import numpy as np
import pytest

from pipeline.verdict import Fault, FetchProblem, NotFetched
from support import reviews
from support.jobs import LEASE, MOST, NOW, later
from support.together import together
from support.training import (
    TrainingScene,
    a_trained_head,
    content_of,
    latest,
    url_of,
)
from support.workers import rows
from worker.errors import StoreUnavailable, TrainingDied, TrainingFailed
from worker.jobs.embed_job import EmbedJob
from worker.retraining.embedding import BUDGET_SECONDS
from worker.retraining.process import Trained, TrainingInput
from worker.retraining.run import MAX_LAPSES, MAX_SENDS
from worker.store import RunLease, Store
from worker.store.tables.states import ModelState, PairLabel, RunState

GENUINE, IMPOSTOR = PairLabel.GENUINE, PairLabel.IMPOSTOR
GONE = NotFetched(FetchProblem.GONE, Fault.MEMBER, "404")
BROKEN = NotFetched(FetchProblem.SERVER_ERROR, Fault.HOST, "503")


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
    reviews.label(store, "m00", 1, GENUINE, "kim", NOW)
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
