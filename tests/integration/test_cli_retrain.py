"""`python -m worker retrain`, what `status` says of it, and the tasks that beat and the sweep send."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from celery.schedules import crontab
from click.testing import Result

import celeryconfig
from support.jobs import NOW
from support.training import TrainingScene, a_trained_head, labelled_member
from support.workers import wait_until
from worker import runtime, tasks
from worker.errors import TrainingFailed
from worker.jobs import queues
from worker.store import Store

Cli = Callable[..., Result]


@pytest.fixture
def here(here: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The same as somebody by name."""
    monkeypatch.setenv("VERIFY_OPERATOR", "kim")
    return here


@pytest.fixture
def training(store: Store) -> TrainingScene:
    """Two members with two labels each."""
    labelled_member(store, "m1")
    labelled_member(store, "m2")
    return TrainingScene(store)


def queued(folder: Path) -> list[str]:
    """The tasks of the messages in the broker's files."""
    files = sorted((folder / "var" / "broker" / "queues").glob("*.retrain.msg"))
    return [json.loads(file.read_text())["headers"]["task"] for file in files]


def test_with_nothing_to_learn_from_it_says_what_is_missing(here: Cli, store: Store) -> None:
    labelled_member(store, "m1", consent=False)
    result = here("retrain", "--force")
    assert result.exit_code == 1
    assert "0 labels of 0 members" in result.stdout
    assert "consent" in result.stderr
    assert store.training_runs.latest() == []


def test_too_few_new_labels_start_nothing_unless_it_is_forced(
    here: Cli, training: TrainingScene, store: Store, tmp_path: Path
) -> None:
    refused = here("retrain")
    assert refused.exit_code == 1
    assert "4 labels of 2 members who consented, 4 of them" in refused.stdout
    assert "VERIFY_RETRAIN_MIN_LABELS" in refused.stderr
    assert queued(tmp_path) == []
    forced = here("retrain", "--force")
    assert (forced.exit_code, store.training_runs.latest()[0].asked_by) == (0, "kim")
    assert queued(tmp_path) == [queues.RETRAIN_STEP]
    assert "under way already" in here("retrain", "--now").stdout
    assert len(store.training_runs.latest()) == 1


@pytest.fixture
def without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where only the packages of serving are installed."""
    monkeypatch.setitem(sys.modules, "scipy", None)


def test_without_the_packages_of_training_nobody_asks_for_a_run_that_no_worker_here_could_take_up(
    here: Cli, training: TrainingScene, store: Store, tmp_path: Path, without_scipy: None
) -> None:
    refused = here("retrain", "--force")
    assert refused.exit_code == 1
    assert refused.stderr == "Error: training needs scipy: pip install -r pipeline/requirements.txt\n"
    runtime.reset()
    assert "training needs scipy" in tasks.plan_retraining()
    assert (store.training_runs.latest(), queued(tmp_path)) == ([], [])
    runtime.store().close()


def test_over_a_broker_of_its_own_the_worker_that_retrains_may_be_elsewhere(
    here: Cli, training: TrainingScene, store: Store, monkeypatch: pytest.MonkeyPatch, without_scipy: None
) -> None:
    monkeypatch.setenv("VERIFY_BROKER_URL", "redis://127.0.0.1:1/0")
    assert here("retrain", "--force").exit_code == 0
    assert len(store.training_runs.latest()) == 1


def test_a_broker_that_is_away_is_a_warning_for_the_sweep_comes_anyway(
    here: Cli, training: TrainingScene, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERIFY_BROKER_URL", "redis://127.0.0.1:1/0")
    result = here("retrain", "--force")
    assert result.exit_code == 0
    assert "the sweep will send it" in result.stderr
    assert len(store.training_runs.latest()) == 1


def test_waiting_for_a_run_that_fails_ends_with_its_reason(
    here: Cli, training: TrainingScene, store: Store
) -> None:
    training.train = lambda _order, _goes_on: (_ for _ in ()).throw(TrainingFailed("too few members"))

    def work() -> None:
        wait_until(store.training_runs.latest)
        training.step()
        training.deliver()
        training.step()

    with ThreadPoolExecutor(1) as worker:
        worker.submit(work)
        result = here("retrain", "--force", "--wait")
    assert result.exit_code == 1
    assert "failed" in result.stdout
    assert "too few members" in result.stdout


def test_the_report_and_the_status_tell_what_the_gate_said(
    here: Cli, training: TrainingScene, store: Store
) -> None:
    assert "no such retraining" in here("retrain", "--report").stderr
    training.train = lambda _order, _goes_on: a_trained_head(passed=False, reasons=["it is worse", "by far"])
    training.collect()
    training.step()
    run = store.training_runs.latest()[0].run_id
    shown = here("retrain", "--report").stdout
    assert "rejected" in shown
    assert "the gate: it is worse" in shown
    assert here("retrain", "--report", run + 1).exit_code == 1
    assert json.loads(here("retrain", "--report", run, "--json").stdout)["report"]["gate"]["passed"] is False
    told = next(line for line in here("status").stdout.splitlines() if line.startswith(f"Retraining {run}"))
    assert "rejected" in told
    assert told.endswith("it is worse (2 reasons)")
    status = json.loads(here("status", "--json").stdout)["training"]
    assert (status["state"], status["report"]) == ("rejected", None)
    assert here("retrain", "--report", "x").exit_code == 2


def test_beat_asks_weekly_and_the_sweep_sends_what_is_due(
    here: Cli, training: TrainingScene, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime.reset()
    entry = celeryconfig.beat_schedule["retrain"]
    assert (entry["task"], entry["options"]) == (tasks.plan_retraining.name, {"queue": queues.MAINTENANCE})
    assert isinstance(entry["schedule"], crontab)
    sent: list[str] = []
    monkeypatch.setattr(tasks.retrain, "apply_async", lambda: sent.append("retrain"))
    tasks.plan_retraining()
    assert (sent, store.training_runs.latest()) == ([], [])
    monkeypatch.setenv("VERIFY_RETRAIN_MIN_LABELS", "4")
    runtime.reset()
    tasks.plan_retraining()
    assert (sent, len(store.training_runs.latest())) == (["retrain"], 1)
    queue = tmp_path / "var" / "broker" / "queues"
    tasks.sweep()
    assert list(queue.glob("*.retrain.msg")) == []
    for _ in range(2):  # what still lies there is not sent again
        with store.database.engine.begin() as c:
            c.execute(sa.update(store.database.t.training_run).values(due_at=NOW))
        tasks.sweep()
    assert len(list(queue.glob("*.retrain.msg"))) == 1
    runtime.store().close()
