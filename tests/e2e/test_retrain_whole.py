"""From people's labels to a head that judges: real workers, a real training, real photos.

The long form has 300 members and 500 jobs; it takes a quarter of an hour and wants VERIFY_TEST_LONG=1.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from support import reviews
from support.bundle import ROOT
from support.hosts import start_two
from support.labelled import rows as table
from support.rabbitmq import RabbitMq
from support.servers import ServerMissing
from support.system import LONG, Put, System
from support.training import judged
from support.workers import Worker, rows, wait_until
from worker.jobs.queues import BULK, RETRAIN
from worker.store import RunRecord
from worker.store.tables.states import PairLabel, Purpose, RunState, State

UNHURRIED = {
    "VERIFY_FETCH_TOTAL_SECONDS": "20",
    "VERIFY_TIME_LIMIT_SECONDS": "40",
    "VERIFY_LEASE_SECONDS": "45",
    "VERIFY_SWEEP_SECONDS": "1",
    "VERIFY_STALE_SECONDS": "10",
    "VERIFY_RETRAIN_LEASE_SECONDS": "30",
    "VERIFY_TOMBSTONE_KEY": "test key",
}
LENIENT = {
    **dict.fromkeys(("people", "genuine", "impostors", "gender_faces"), 2),
    **dict.fromkeys(("fnmr_margin", "edge_fmr", "edge_fnmr_margin", "gender_margin"), 1.0),
    "slice_people": 1000,
}
"""A gate for so few people that nothing could be shown about them."""

Make = Callable[[str, str, Put], System]
PATIENCE: Final = 600.0
"""Seconds that a retraining or a command may take; no test is about how long."""


@dataclass(frozen=True)
class Person:
    """Somebody with several photos."""

    name: str
    gender: str
    photos: Sequence[Path]


def people(faces: Path, count: int, photos: int) -> list[Person]:
    """Those with the most photos, at most so many of each."""
    found: dict[str, list[dict[str, str]]] = {}
    for row in table(faces, "lfw_faces.csv", told="gender"):
        found.setdefault(row["identity"], []).append(row)
    first = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))[:count]
    return [
        Person(name, own[0]["gender"], [faces / row["file"] for row in own[:photos]]) for name, own in first
    ]


def label(system: System, persons: Sequence[Person]) -> None:
    """Each is a member whose photos a person has called genuine, and who consented."""
    now = datetime.now(UTC) - timedelta(days=1)
    for number, person in enumerate(persons):
        member = f"labelled-{number:03}"
        pictures = {
            system.photos.add_photo(f"{member}/{position}.jpg", photo): photo.read_bytes()
            for position, photo in enumerate(person.photos)
        }
        judged(system.store, member, pictures, at=now, declared_gender=person.gender)
        genuine = dict.fromkeys(range(1, len(pictures)), PairLabel.GENUINE)
        reviews.decide(system.store, member, at=now, words=genuine)
        system.store.consents.record(member, Purpose.TRAINING, now, given=True)


@pytest.fixture
def town(system: System) -> System:
    """With settings for a retraining."""
    system.settings |= UNHURRIED
    return system


def start_retrain_worker(system: System, number: int = 0) -> Worker:
    return system.start(
        "--queues",
        "maintenance,retrain",
        "--concurrency",
        "2",
        "--beat",
        VERIFY_HOME=str(system.folder / f"retrain-{number}"),
        # Far below what a training takes: these are not its limits.
        VERIFY_FETCH_TOTAL_SECONDS="2",
        VERIFY_TIME_LIMIT_SECONDS="5",
    )


def command(system: System, *arguments: str) -> subprocess.Popen[str]:
    """`python -m worker …`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VERIFY_")}
    return subprocess.Popen(
        [sys.executable, "-m", "worker", *arguments],
        cwd=ROOT,
        env={**kept, **system.settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_of(system: System) -> RunRecord | None:
    return next(iter(system.store.training_runs.latest(1)), None)


def reaches(system: System, *states: RunState, seconds: float = PATIENCE) -> RunRecord:
    def there() -> bool:
        run = run_of(system)
        return run is not None and run.state in states

    wait_until(there, seconds)
    run = run_of(system)
    assert run is not None
    return run


def test_labels_become_a_head_that_judges_though_the_retrain_worker_is_killed_in_between(
    town: System, faces: Path, bundle_dir: Path
) -> None:
    town.settings["VERIFY_RETRAIN_GATE"] = json.dumps(LENIENT)
    label(town, people(faces, 40, 2))
    start_two(town, bundle_dir)
    first = start_retrain_worker(town)
    asking = command(town, "retrain", "--force", "--wait")
    reaches(town, RunState.TRAINING)
    first.kill()
    assert town.store.models.latest() == []
    assert town.store.models.champion() is None
    town.send(*(town.job(f"between-{n}") for n in range(4)))
    town.wait_for([f"between-{n}" for n in range(4)])
    start_retrain_worker(town, 1)
    run = reaches(town, RunState.PROMOTED, RunState.FAILED, RunState.REJECTED, RunState.DONE)
    assert (run.state, run.problem, run.lapses) == (RunState.PROMOTED, None, 1)
    told, _ = asking.communicate(timeout=PATIENCE)
    assert (asking.returncode, "promoted" in told) == (0, True)
    after = [f"after-{n}" for n in range(6)]
    town.send(*(town.job(job) for job in after))
    town.wait_for(after)
    assert {r["model_version"] for r in town.verifications() if r["request_id"] in after} == {run.version}
    assert rows(town.store, town.store.database.t.training_member) == []
    assert rows(town.store, town.store.database.t.training_face) == []
    assert town.dead == []
    report, _ = command(town, "retrain", "--report").communicate(timeout=PATIENCE)
    assert str(run.version) in report


@LONG
def test_embedded_one_process_does_all_of_it_and_never_waits_for_itself(
    embedded: System, faces: Path
) -> None:
    embedded.settings |= {**UNHURRIED, "VERIFY_RETRAIN_GATE": json.dumps(LENIENT)}
    label(embedded, people(faces, 20, 2))
    embedded.start()
    asking = command(embedded, "retrain", "--force", "--wait")
    told, _ = asking.communicate(timeout=PATIENCE)
    assert (asking.returncode, "promoted" in told) == (0, True)
    run = reaches(embedded, RunState.PROMOTED)
    embedded.send(embedded.job("after"))
    embedded.wait_for(["after"])
    request = embedded.store.requests.find("after")
    assert request is not None
    assert request.model_version == run.version


@pytest.fixture
def rabbitmq(tmp_path: Path) -> Iterator[RabbitMq]:
    try:
        server = RabbitMq(tmp_path / "rabbitmq")
    except ServerMissing as missing:
        pytest.skip(str(missing))
    server.start()
    yield server
    server.close()


def nobody_sends(queue: str, item: bytes) -> None:
    raise AssertionError(queue, item)


@LONG
def test_on_rabbitmq_it_runs_to_its_end_as_well(
    make_system: Make, mariadb_database_url: str, rabbitmq: RabbitMq, faces: Path
) -> None:
    town = make_system(mariadb_database_url, rabbitmq.url, nobody_sends)
    town.settings |= {**UNHURRIED, "VERIFY_RETRAIN_GATE": json.dumps(LENIENT)}
    label(town, people(faces, 20, 2))
    town.start("--queues", "verify,bulk")
    start_retrain_worker(town)
    told, _ = command(town, "retrain", "--force", "--wait").communicate(timeout=PATIENCE)
    assert "promoted" in told
    run = reaches(town, RunState.PROMOTED)
    assert (run.problem, run.lapses) == (None, 0)
    assert town.dead == []
    town.stack.close()
    assert {queue: rabbitmq.depth(queue) for queue in (BULK, RETRAIN)} == {BULK: 0, RETRAIN: 0}


@LONG
@pytest.mark.slow
def test_300_members_are_learned_from_while_500_live_jobs_are_judged(
    town: System, faces: Path, bundle_dir: Path
) -> None:
    label(town, people(faces, 300, 5))
    start_two(town, bundle_dir)
    start_retrain_worker(town)
    command(town, "retrain", "--force").communicate(timeout=PATIENCE)
    jobs, sent = [f"live-{n}" for n in range(500)], {}
    for job in jobs:
        sent[job] = datetime.now(UTC)
        town.send(town.job(job))
        time.sleep(0.6)
    town.wait_for(jobs, seconds=300)
    run = reaches(town, *(state for state in RunState if state.ended), seconds=900)
    assert run.finished_at is not None
    took = (run.finished_at - run.created_at).total_seconds()
    found = {str(row["request_id"]): row for row in town.verifications()}
    live = [found[job] for job in jobs]
    waits = [(row["finished_at"] - sent[str(row["request_id"])]).total_seconds() for row in live]
    new = [row["started_at"] for row in live if row["model_version"] == run.version]
    first = (min(new) - run.finished_at).total_seconds() if new else None
    sys.stderr.write(
        f"\n{run.state}, {run.version}: {took:.0f} s from the command to the end; {len(new)} live jobs with "
        f"the new head, the first begun {first} s after the end\nlive jobs: p50 "
        f"{np.quantile(waits, 0.5):.2f} s, p95 {np.quantile(waits, 0.95):.2f} s, longest {max(waits):.2f} s\n"
        f"{json.dumps(run.report)}\n"
    )
    assert run.state is RunState.PROMOTED
    assert all(row["state"] == State.DONE and row["attempts"] == 1 for row in live)
    assert {row["model_version"] for row in live} <= {run.version, live[0]["model_version"]}
    late = [row for row in live if row["started_at"] > run.finished_at + timedelta(seconds=10)]
    assert {row["model_version"] for row in late} <= {run.version}
    assert new
    assert town.dead == []
