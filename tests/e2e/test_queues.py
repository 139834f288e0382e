"""Bulk work waits for live sign-ups, never the other way round."""

from __future__ import annotations

from support.system import System
from support.workers import wait_until
from worker.states import State


def test_a_live_job_waits_for_the_bulk_job_that_runs_and_for_no_other(system: System) -> None:
    system.start("--queues", "bulk,verify")
    system.photos.delay = 0.2
    bulk = [f"bulk-{number}" for number in range(25)]
    system.send(*(system.job(name) for name in bulk), queue="bulk")
    wait_until(lambda: sum(system.state(name) is State.DONE for name in bulk) >= 3)
    for number in range(3):
        system.send(system.job(f"live-{number}"))
        system.wait_for([f"live-{number}"])
    begun = sorted(
        (row["started_at"], row["request_id"]) for row in system.verifications() if row["started_at"]
    )
    order = [name for _, name in begun]
    for number in range(3):
        live = system.store.request(f"live-{number}")
        assert live is not None
        sent = live.requested_at
        overtaken_by = [n for at, n in begun if sent < at < live.started_at]
        assert overtaken_by == [], order


def test_a_worker_for_live_jobs_takes_bulk_jobs_when_there_is_nothing_else(system: System) -> None:
    system.start("--queues", "verify")
    system.send(system.job("bulk-1"), queue="bulk")
    system.wait_for(["bulk-1"])
    request = system.store.request("bulk-1")
    assert request is not None
    assert request.queue == "bulk"
