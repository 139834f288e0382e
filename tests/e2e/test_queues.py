"""Bulk work waits for live sign-ups, never the other way round."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from support.invalid_messages import body_of, envelope, headers
from support.system import System
from support.workers import wait_until
from worker.store.tables.states import State


def test_live_jobs_wait_for_the_bulk_job_that_was_taken_already_and_for_no_other(system: System) -> None:
    system.start("--queues", "bulk,verify")
    system.photos.delay = 0.1
    bulk, live = ([f"{kind}-{number}" for number in range(12)] for kind in ("bulk", "live"))
    system.send(*(system.job(name) for name in bulk), queue="bulk")
    wait_until(lambda: sum(system.state(name) is State.DONE for name in bulk) >= 2)
    jobs = [system.job(name) for name in live]
    sent = datetime.now(UTC)
    system.send(*jobs)
    system.wait_for(live)
    begun = [(row["started_at"], row["request_id"]) for row in system.verifications() if row["started_at"]]
    order = [name for at, name in sorted(begun) if at > sent]
    before_the_last = order[: max(order.index(name) for name in live)]
    assert len([name for name in before_the_last if name in bulk]) <= 1, order


def test_a_worker_for_live_jobs_takes_bulk_jobs_when_there_is_nothing_else(system: System) -> None:
    system.start("--queues", "verify")
    system.send(system.job("bulk-1"), queue="bulk")
    system.wait_for(["bulk-1"])
    request = system.store.requests.find("bulk-1")
    assert request is not None
    assert request.queue == "bulk"


def test_messages_that_are_due_later_are_refused_and_hold_up_no_sign_up(system: System) -> None:
    system.start()
    due = (datetime.now(UTC) + timedelta(minutes=10)).isoformat()
    for number in range(20):
        system.put("verify", envelope(body_of(system.job(f"later-{number}")), headers(eta=due)))
    system.send(system.job("live"))
    system.wait_for(["live"])
    wait_until(lambda: system.dead == ["bad_eta"] * 20)
