"""Heads come, go, are damaged or only watch while real workers judge, each with a bundle of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pipeline.bundles.bundle import read_bundle, read_manifest, with_head
from pipeline.bundles.head import Head
from support.hosts import start_two
from support.system import System
from support.workers import wait_until
from worker.store import PublishedHead
from worker.store.tables.states import State


@pytest.fixture
def shipped(bundle_dir: Path) -> str:
    """The version that every host was shipped with."""
    return read_manifest(bundle_dir).version


def publish(system: System, bundle: Path, **facts: Any) -> str:
    """A challenger on the same networks."""
    base = read_bundle(bundle)
    head = Head(base.head.arrays, {**base.head.metadata, "name": "newer", **facts})
    manifest, text, packed = with_head(base.manifest, head)
    system.store.models.add(PublishedHead(manifest.version, text.decode(), packed), datetime.now(UTC))
    return manifest.version


def send(system: System, name: str, count: int) -> list[str]:
    """So many jobs at once."""
    jobs = [f"{name}-{number}" for number in range(count)]
    system.send(*(system.job(job) for job in jobs))
    return jobs


def judged_with(system: System, jobs: Sequence[str]) -> list[str]:
    """The versions of the jobs' verdicts; each job must have one."""
    rows = {row["request_id"]: row for row in system.verifications()}
    assert [job for job in jobs if rows[job]["state"] != State.DONE] == []
    return [rows[job]["model_version"] for job in jobs]


def workers_of(system: System, version: str) -> set[str]:
    """The processes that have judged with this version."""
    return {row["worker"] for row in system.verifications() if row["model_version"] == version}


def both_judged(system: System, version: str, jobs: list[str]) -> bool:
    """Whether two processes have judged with it. If one was slow and has no job left, there are more."""
    if len(workers_of(system, version)) == 2:
        return True
    if all(system.state(job) is State.DONE for job in jobs):
        jobs += send(system, f"more-{len(jobs)}", 4)
    return False


def assert_each_process_changed_once(system: System, old: str, new: str) -> None:
    """None went back to the old head after its first job with the new one."""
    by_process: dict[str, list[str]] = {}
    for row in sorted(system.verifications(), key=lambda row: row["finished_at"]):
        by_process.setdefault(row["worker"], []).append(row["model_version"])
    for versions in by_process.values():
        assert versions == [old] * versions.count(old) + [new] * versions.count(new)


def test_workers_on_two_hosts_take_a_promoted_head_and_go_back_while_jobs_run(
    system: System, bundle_dir: Path, shipped: str
) -> None:
    start_two(system, bundle_dir)
    new = publish(system, bundle_dir)
    jobs = send(system, "first", 40)
    wait_until(lambda: both_judged(system, shipped, jobs))
    system.store.models.promote(new, datetime.now(UTC))
    wait_until(lambda: both_judged(system, new, jobs))
    system.wait_for(jobs)
    assert set(judged_with(system, jobs)) == {shipped, new}
    assert_each_process_changed_once(system, shipped, new)
    system.store.models.rollback()
    assert set(judged_with(system, done(system, "after", 6))) == {shipped}
    assert system.dead == []


def done(system: System, name: str, count: int) -> list[str]:
    jobs = send(system, name, count)
    system.wait_for(jobs)
    return jobs


def test_a_damaged_head_is_refused_by_every_worker_and_no_job_suffers(
    system: System, bundle_dir: Path, shipped: str
) -> None:
    workers = start_two(system, bundle_dir)
    new = publish(system, bundle_dir)
    damage(system, new)
    system.store.models.promote(new, datetime.now(UTC))
    assert set(judged_with(system, done(system, "job", 12))) == {shipped}
    wait_until(lambda: all(worker.words.count(f"{new} is refused") == 1 for worker in workers))
    assert system.store.reports.status(datetime.now(UTC)).refused_heads[0].version == new
    assert system.dead == []


def damage(system: System, version: str) -> None:
    """One bit of the head flips."""
    m = system.store.database.t.model_version
    with system.store.database.engine.begin() as c:
        head = bytearray(c.scalar(sa.select(m.c.head).where(m.c.version == version)) or b"")
        head[len(head) // 2] ^= 1
        c.execute(sa.update(m).where(m.c.version == version).values(head=bytes(head)))


def test_a_head_in_shadow_judges_every_job_and_decides_none(
    system: System, bundle_dir: Path, shipped: str
) -> None:
    edges = {**read_manifest(bundle_dir).head["edges"], "approve": 1.09, "different": -1.0}
    unsure = publish(system, bundle_dir, edges=edges)
    system.store.models.set_shadow(unsure, on=True)
    system.start()
    jobs = done(system, "job", 4)
    assert set(judged_with(system, jobs)) == {shipped}
    wait_until(lambda: system.store.shadows.report(unsure).verdicts == len(jobs))
    [flip] = system.store.shadows.report(unsure).flips
    assert (flip.decided, flip.shadow, set(flip.examples)) == ("approved", "review", set(jobs))
