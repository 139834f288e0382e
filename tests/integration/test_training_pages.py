"""An operator's page of retraining and models: what the commands do, in a browser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.verdict import Status
from support.desk import Desk, on_record
from support.heads import a_bundle, a_head
from support.jobs import LEASE, MOST, NOW, a_job, a_verdict, later
from support.training import TrainingScene
from worker.serving.registry import publish
from worker.settings import Settings, load_settings
from worker.store import Attempt, Ending, RunLease, Store
from worker.store.tables.states import ModelState, RunState

COLUMNS = ("looked_by", "action", "way", "client")


def settings(tmp_path: Path, **more: Any) -> Settings:
    return load_settings({"home": tmp_path / "var", **more})


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Desk:
    config = settings(tmp_path, bundle=a_bundle(tmp_path / "shipped", "default"))
    return Desk(store, config, now=later(600))


@pytest.fixture
def version(store: Store, tmp_path: Path) -> str:
    """A challenger in the database."""
    return publish(store.models, a_bundle(tmp_path / "new"), NOW)


def judged_by(store: Store, version: str, worker: str, request: str, at: float = 0) -> None:
    """A verdict of that head, on that host."""
    store.requests.accept(a_job(request, f"m-{request}", later(at)), "verify", later(at))
    attempt = store.requests.acquire(request, worker, LEASE, MOST, later(at))
    assert isinstance(attempt, Attempt)
    assert store.requests.finish(attempt, a_verdict(model_version=version), later(at))


def ended(store: Store, tmp_path: Path, report: dict[str, Any], *, passed: bool = False) -> int:
    """A retraining that came to an end with this report."""
    asked = store.training_runs.ask("lee", NOW)
    assert asked
    lease = store.training_runs.acquire("w", LEASE, MOST, NOW)
    assert isinstance(lease, RunLease)
    reasons = tuple(report["gate"]["reasons"])
    ending = Ending(a_head(tmp_path / "trained", "trained", 0.6), None, passed, reasons, promote=False)
    assert store.training_runs.publish(lease, ending, report, NOW)
    return asked.run_id


def test_a_retraining_is_started_once_and_its_progress_is_shown(
    desk: Desk, store: Store, training: TrainingScene, tmp_path: Path
) -> None:
    assert "12 labels of 6 members who consented, 12 of them since" in desk.see("/training")
    asked = desk.say("/training/start")
    assert "There are fewer than 200 new labels" in asked
    assert "Start all the same" in desk.say("/training/start", sure="yes")  # without a tick it asks again
    assert store.training_runs.latest() == []
    done = desk.say("/training/start", sure="yes", force="yes")
    assert "is queued" in done
    [run] = store.training_runs.latest()
    assert (run.asked_by, run.state) == ("lee", RunState.QUEUED)
    assert len(list((tmp_path / "var").rglob("*.msg"))) == 1
    assert "under way already" in desk.say("/training/start", sure="yes", force="yes")
    assert ("lee", "retrain", "console", "10.1.2.3") in on_record(store, *COLUMNS)
    lease = store.training_runs.acquire("w", LEASE, MOST, NOW)
    assert isinstance(lease, RunLease)
    store.training_members.enter(lease, 4)
    assert "members embedded: 0 of 6" in desk.see("/training/progress")
    store.training_runs.end(lease, RunState.FAILED, NOW, problem="too few members")
    assert "None is under way" in desk.see("/training/progress")
    assert "too few members" in desk.see("/training")


def test_where_nothing_can_be_trained_the_page_says_so_and_starts_nothing(desk: Desk, store: Store) -> None:
    assert "nothing to learn from" in desk.say("/training/start", sure="yes", force="yes")
    desk.retrain_problem = "training needs scipy: pip install -r pipeline/requirements.txt"
    assert "training needs scipy" in desk.see("/training")
    assert "training needs scipy" in desk.say("/training/start", sure="yes", force="yes")
    assert store.training_runs.latest() == []


def test_why_there_is_no_question_is_said_in_the_dialog_and_not_with_a_whole_page(
    desk: Desk, store: Store
) -> None:
    for said in ("nothing to learn from", "training needs scipy"):
        told = desk.say("/training/start", htmx=True)
        assert said in told
        assert "Close" in told
        assert "Retraining and models" not in told
        desk.retrain_problem = "training needs scipy: pip install -r pipeline/requirements.txt"
    refused = desk.say("/training/promote", 404, htmx=True, version="nobody-1")
    assert "Close" in refused
    assert "Close" not in desk.say("/training/promote", 404, version="nobody-1")


def test_a_broker_that_is_away_is_a_warning_for_the_sweep_comes_anyway(
    store: Store, training: TrainingScene, tmp_path: Path
) -> None:
    desk = Desk(store, settings(tmp_path, broker_url="redis://127.0.0.1:1/0"))
    assert "it is sent by itself" in desk.say("/training/start", sure="yes", force="yes")
    assert len(store.training_runs.latest()) == 1


def test_the_report_of_the_gate_is_figures_with_their_intervals(
    desk: Desk, store: Store, tmp_path: Path
) -> None:
    both = {"champion": 0.011, "challenger": 0.041, "low95": -0.002, "high95": 0.06}
    report = {
        "members": {"looked_at": 412, "failed": 3},
        "audit": {"wrong_approvals": 0.02, "wrong_approvals_95": [0.0035, 0.105]},
        "not_fetched": 2,
        "gate": {
            "passed": False,
            "reasons": ["it may be worse by 6.00%"],
            "figures": {
                "test_set": {"people": 82, "wrong_identity": 0.003},
                "fnmr_at_fmr": {"all": {**both, "margin": 0.05}, "men": "too few pairs: 12 genuine"},
                "at_approve_edge": {"all": {**both, "challenger": 0.002, "limit": 0.003}},
                "collapse": {"sface": {"champion": {"gap": 3.1}, "challenger": {"gap": 3.0}}},
            },
        },
    }
    number = ended(store, tmp_path, report)
    page = desk.see(f"/training/run?number={number}")
    for words in (
        "rejected by the gate",
        "it may be worse by 6.00%",
        "FNMR at the same FMR all 1.10 % 4.10 % -0.20 … +6.00",
        "+5.00 points too much",
        "at most 0.30 % fine",
        "men: too few pairs: 12 genuine",
        "2.00 %",
        "0.35 % … 10.50 %",
    ):
        assert words in page
    assert "교체 검증 탈락" in desk.see(f"/training/run?number={number}", language="ko")
    desk.see("/training/run?number=99", 404)
    desk.see("/training/run", 404)


def test_a_head_is_promoted_and_rolled_back_after_a_question_that_says_what_changes(
    desk: Desk, store: Store, version: str
) -> None:
    asked = desk.say("/training/promote", version=version)
    assert f"Champion: the bundle as shipped → {version}" in asked
    assert store.models.champion() is None
    assert f"→ {version}" in desk.say("/training/promote", version=version, before="", sure="yes")
    assert store.models.champion() == version
    assert ("lee", "models", "promote", "10.1.2.3") in on_record(store, *COLUMNS)
    asked = desk.say("/training/rollback")
    assert f"Champion: {version} → the bundle as shipped" in asked
    assert "the bundle as shipped" in desk.say("/training/rollback", to="", sure="yes")
    assert store.models.champion() is None
    assert ("lee", "models", "rollback", "10.1.2.3") in on_record(store, *COLUMNS)
    assert "nothing to go back to" in desk.say("/training/rollback", to="", sure="yes")
    desk.say("/training/promote", 404, version="nobody", sure="yes")


def test_who_answers_a_question_that_is_out_of_date_changes_nothing(
    desk: Desk, store: Store, version: str, tmp_path: Path
) -> None:
    newer = publish(store.models, a_bundle(tmp_path / "newer", approve=0.5), NOW)
    store.models.promote(newer, NOW)  # by somebody else, after the question
    page = desk.say("/training/promote", version=version, before="", sure="yes")
    assert f"the champion is {newer} by now" in page
    assert store.models.champion() == newer


def test_what_the_gate_rejected_or_no_host_could_use_must_be_wanted_twice(
    desk: Desk, store: Store, tmp_path: Path
) -> None:
    rejected = publish(store.models, a_bundle(tmp_path / "bad", "bad"), NOW, state=ModelState.REJECTED)
    form: dict[str, Any] = {"version": rejected, "before": ""}
    assert "The gate has rejected this version" in desk.say("/training/promote", **form, sure="yes")
    foreign = publish(store.models, replaced_networks(tmp_path), NOW)
    asked = desk.say("/training/promote", version=foreign, before="", sure="yes")
    assert "could not judge with it" in asked
    assert store.models.champion() is None
    desk.say("/training/promote", **form, sure="yes", force="yes")
    assert store.models.champion() == rejected
    assert "could not judge with it" in desk.say("/training/shadow", version=foreign, sure="yes")


def test_a_host_without_models_checks_the_head_alone_and_says_so(
    store: Store, version: str, tmp_path: Path
) -> None:
    desk = Desk(store, settings(tmp_path))
    assert "There are no models here" in desk.say("/training/promote", version=version)
    desk.say("/training/promote", version=version, before="", sure="yes")
    assert store.models.champion() == version
    damaged = replace(a_head(tmp_path / "other", "other"), data=b"damaged")
    store.models.add(damaged, NOW)
    asked = desk.say("/training/promote", version=damaged.version, before=version, sure="yes")
    assert "could not judge with it" in asked
    assert "There are no models here" in desk.say("/training/rollback")
    desk.say("/training/rollback", to="", sure="yes")
    assert store.models.champion() is None


def replaced_networks(tmp_path: Path) -> Path:
    """A bundle with a network that no host has."""
    from pipeline.bundles.bundle import NetworkFile, Origin, write_bundle
    from pipeline.bundles.head import Head

    folder = tmp_path / "foreign"
    metadata = {"name": "foreign", "edges": {"approve": 0.4}, "calibration": "uncalibrated"}
    networks = {"facenet": NetworkFile(b"another one", Origin("graph_final.pb", "2" * 64, recipe=1))}
    write_bundle(folder, Head({}, metadata), networks)
    return folder


def test_a_challenger_in_shadow_shows_which_verdicts_would_flip(
    desk: Desk, store: Store, version: str
) -> None:
    assert "Put" in desk.say("/training/shadow", version=version)
    assert "is in shadow from now on" in desk.say("/training/shadow", version=version, sure="yes")
    assert store.models.in_use().shadows == (version,)
    judged_by(store, "base-1", "host-1:7", "r1")
    decided = a_verdict()
    said = replace(a_verdict(Status.REVIEW), model_version=version)
    assert store.shadows.note("r1", decided, said, NOW)
    page = desk.see(f"/training/report?version={version}")
    assert "1 of 1 verdicts would flip (100.00 %)" in page
    assert "approved in review 1 r1" in page
    assert "not in shadow any more" in desk.say("/training/shadow", version=version, off="1", sure="yes")
    assert store.models.in_use().shadows == ()
    desk.see("/training/report?version=nobody", 404)


def test_hosts_are_shown_with_what_they_judged_with_last_and_what_they_refuse(
    desk: Desk, store: Store, version: str
) -> None:
    store.models.promote(version, NOW)
    judged_by(store, "base-1", "host-1:7", "r1", 1)
    judged_by(store, version, "host-1:8", "r2", 2)
    judged_by(store, "base-1", "host-2:7", "r3", 3)
    store.models.note_problem(version, "host-2", "the bundle here does not hold sface", NOW)
    page = desk.see("/training")
    assert f"host-1 : {version}" in page
    assert "host-2 : base-1" in page
    assert page.count("not the champion") == 1
    assert "Refused by host-2:" in page
    assert "does not hold sface" in page
    assert [one.host for one in store.hosts.in_use(later(86_400 * 2))] == []
