"""A database that the version before has worked with goes on with this one, every row as it was written.

`installation_of_0010.json` was written by the code of before the store had repositories: requests in every
state, what people said, heads, and a retraining in the middle. The columns that an older revision lacks are
left out.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, cast

import pytest
import sqlalchemy as sa
from alembic import command
from click.testing import Result

from pipeline.bundles.bundle import open_head, open_manifest
from pipeline.bundles.models import Models
from pipeline.verdict import Gender, Reason, Status
from support.jobs import LEASE, MOST, NOW, PHOTOS, SELFIE, a_comparison, a_job, a_verdict, later
from support.training import NETWORKS, TrainingScene
from worker.errors import MemberForgotten
from worker.migrations.migrate import _config
from worker.retraining.run import Champion
from worker.serving.champion import Serving
from worker.store import Attempt, Refused, Store, build_engine
from worker.store.tables.states import ModelState, RunState, State

ROWS: Final = json.loads(Path(__file__).with_name("installation_of_0010.json").read_text(encoding="utf-8"))
MUCH_LATER: Final = later(3 * 3600)
KEY: Final = b"test key"  # of its tombstone


@dataclass(frozen=True)
class Loaded:
    """Stands for models: their version is all that is asked of them here."""

    version: str


def compose(_held: Any, manifest: str, packed: bytes) -> Any:
    """As `swap_head`, without networks."""
    described = open_manifest(manifest)
    open_head(described, packed)
    return Loaded(described.version)


def old(value: Any) -> Any:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value


def fill(engine: sa.Engine) -> None:
    """The rows, by SQL."""
    known = {name: {c["name"] for c in sa.inspect(engine).get_columns(name)} for name in ROWS}
    with engine.begin() as c:
        for name, rows in ROWS.items():
            for row in rows:
                values = {column: old(value) for column, value in row.items() if column in known[name]}
                holders = ", ".join(f":{column}" for column in values)
                c.execute(sa.text(f"INSERT INTO {name} ({', '.join(values)}) VALUES ({holders})"), values)


@pytest.fixture(scope="module")
def updated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test of each revision leaves its SQLite file for the others: updates take seconds."""
    return tmp_path_factory.mktemp("updated")


@pytest.fixture(params=["0009", "0010"])
def store(
    request: pytest.FixtureRequest, database_url: str, cli: Callable[..., Result], updated: Path
) -> Iterator[Store]:
    """The installation after `init-db`."""
    engine, kept = build_engine(database_url), updated / f"{request.param}.db"
    if engine.dialect.name == "sqlite" and kept.exists():
        shutil.copy(kept, str(engine.url.database))
    else:
        update(engine, request.param, cli)
    if engine.dialect.name == "sqlite" and not kept.exists():
        engine.dispose()
        shutil.copy(str(engine.url.database), kept)
    yield Store(engine, tombstone_key=KEY)
    engine.dispose()


def update(engine: sa.Engine, revision: str, cli: Callable[..., Result]) -> None:
    """Of an installation of that revision, by the command."""
    with engine.connect() as c:
        command.upgrade(_config(c, ""), revision)
        c.commit()
    fill(engine)
    url = engine.url.render_as_string(hide_password=False)
    assert cli("init-db", DATABASE_URL=url).exit_code == 0


def acquired(store: Store, request_id: str) -> Attempt:
    attempt = store.requests.acquire(request_id, "host9:1", LEASE, MOST, MUCH_LATER)
    assert isinstance(attempt, Attempt), attempt
    return attempt


def test_what_was_unfinished_is_sent_again_and_ends(store: Store) -> None:
    unfinished = {queued.job.request_id: queued for queued in store.requests.unfinished(MUCH_LATER)}
    assert unfinished.keys() == {"r-queued", "r-running", "r-waiting", "r-superseding"}
    assert {queued.queue for queued in unfinished.values()} == {"verify"}
    assert unfinished["r-queued"].job == a_job("r-queued", "m-queued")
    attempts = {request_id: acquired(store, request_id) for request_id in unfinished}
    assert {name: (one.number, one.postponed) for name, one in attempts.items()} == {
        "r-queued": (1, 0),
        "r-running": (2, 0),
        "r-waiting": (2, 1),
        "r-superseding": (1, 0),
    }
    for attempt in attempts.values():
        assert store.requests.finish(attempt, a_verdict(), MUCH_LATER)
        member = store.members.find(attempt.member_id)
        assert member is not None
        assert (member.status, member.verified_request_id) == (Status.APPROVED, attempt.request_id)
    assert store.requests.unfinished(later(9 * 3600)) == []


def test_a_message_that_was_accepted_before_is_known(store: Store) -> None:
    for name, state in {"queued": State.QUEUED, "done": State.DONE, "dead": State.DEAD}.items():
        accepted = store.requests.accept(a_job(f"r-{name}", f"m-{name}"), "verify", MUCH_LATER)
        assert (accepted.new, accepted.state) == (False, state)
    assert isinstance(store.requests.acquire("r-done", "w", LEASE, MOST, MUCH_LATER), Refused)
    with pytest.raises(MemberForgotten):
        store.requests.accept(a_job("r-gone", "m-gone"), "verify", MUCH_LATER)


def test_a_verdict_reads_as_it_was_written(store: Store) -> None:
    request, verdict = store.requests.find("r-done"), a_verdict()
    assert request is not None
    # Landmarks were not kept then.
    written = tuple(replace(one, landmarks=None) for one in (SELFIE, *PHOTOS))
    assert (request.selfie, *request.photos) == written
    assert request.photos[0].comparison == a_comparison()
    for field in ("status", "reason", "photo", "similarity", "gender", "model_version", "timings"):
        assert getattr(request, field) == getattr(verdict, field)
    review = store.requests.find("r-review")
    assert review is not None
    assert (review.machine_status, review.machine_reason) == (Status.REVIEW, Reason.DIFFERENT_PERSON)
    assert (review.status, review.reason) == (Status.REJECTED, Reason.REJECTED_BY_PERSON)
    assert [one.decided_by for one in review.decisions] == ["kim"]
    assert [one.way for one in store.accesses.of_member("m-done")] == ["show"]


def test_what_is_dead_waits_or_is_pending_is_counted_and_goes_on(store: Store) -> None:
    report = store.reports.status(later(1))
    assert {state: count for state, count in report.requests.items() if count} == {
        State.QUEUED: 2,
        State.RUNNING: 1,
        State.RETRY_WAIT: 1,
        State.DONE: 5,
        State.DEAD: 1,
        State.SUPERSEDED: 1,
    }
    assert (report.members, report.pending, report.dead_jobs) == (11, 1, 2)
    poison = next(dead for dead in store.dead_jobs.latest() if dead.reason == "poison")
    assert store.dead_jobs.requeue(poison.id, MUCH_LATER).job == a_job("r-dead", "m-dead")
    [queued] = store.pending.enqueue("bulk", MUCH_LATER).jobs
    assert (queued.job.member_id, queued.job.declared_gender) == ("m-pending", Gender.MALE)
    assert store.members.forgotten(["m-gone", "m-done"]) == {"m-gone"}


def test_the_old_champion_judges_and_the_old_shadow_beside_it(store: Store) -> None:
    champion, shadow = (row["version"] for row in sorted(ROWS["model_version"], key=lambda r: r["state"]))
    heads = Serving(
        heads=store.models, shipped=cast("Models", Loaded("shipped-1")), compose=compose, host="here"
    ).heads()
    assert (heads.champion.version, [head.version for head in heads.shadows]) == (champion, [shadow])
    states = {record.version: (record.state, record.shadow_verdicts) for record in store.models.latest()}
    assert states == {champion: (ModelState.CHAMPION, 0), shadow: (ModelState.SHADOW, 1)}
    [refused] = store.reports.status(NOW).refused_heads
    assert (refused.version, refused.host, refused.problem) == (shadow, "host2", "it has other networks")
    assert store.shadows.report(shadow).flips[0].examples == ("r-done",)
    assert store.models.rollback().champion is None


def test_a_retraining_in_the_middle_comes_to_its_end(store: Store) -> None:
    champion = store.models.champion()
    head = champion and store.models.head(champion)
    assert head
    training = TrainingScene(store, now=MUCH_LATER, champion=Champion(head, NETWORKS, champion))
    assert store.training_runs.due(MUCH_LATER)
    [run] = store.training_runs.latest()
    assert (run.state, run.counts) == (RunState.COLLECTING, {"members": 3, "reached": 0})
    assert store.labels.truth().new_labels == 6
    assert store.training_members.faces(run.run_id) == []  # they were not encrypted: embedded again
    training.step()
    training.deliver()
    assert store.training_members.progress(run.run_id).done == 3
    training.later(hours=1)
    assert training.step() == "ended"
    [ended] = store.training_runs.latest()
    assert (ended.run_id, ended.state) == (run.run_id, RunState.PROMOTED)
    assert [len(given.training_set.identity) for given in training.given] == [9]
    assert ended.finished_at is not None
    assert ended.finished_at - run.created_at > timedelta(hours=3)
