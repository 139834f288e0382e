"""At least once by the broker, once by the database."""

from __future__ import annotations

import redis

from support.system import System
from support.workers import wait_until
from worker.store.tables.states import State


def test_every_job_delivered_twice_to_two_workers_leaves_one_result(
    system: System, broker: redis.Redis
) -> None:
    system.start()
    system.start()
    jobs = [system.job(f"j{number}") for number in range(12)]
    for job in jobs:
        system.send(job, job)
    names = [job["request_id"] for job in jobs]
    system.wait_for(names)
    wait_until(lambda: not broker.llen("verify") and not broker.hlen("verify:unacked"))
    assert [row["attempts"] for row in system.verifications()] == [1] * len(jobs)
    assert sum(system.photos.hits.values()) == 2 * len(jobs)
    assert system.dead == []


def test_one_request_id_with_two_contents_keeps_the_first_and_records_the_second(system: System) -> None:
    system.start()
    job = system.job("r1")
    system.send(job)
    system.wait_for(["r1"])
    system.send({**job, "photo_urls": []})
    wait_until(lambda: system.dead == ["conflict"])
    assert [row["state"] for row in system.verifications()] == [State.DONE]


def test_an_older_request_never_overwrites_a_newer_one(system: System) -> None:
    system.start()
    system.send(system.job("newer", member_id="m1", requested_at="2026-11-24T08:00:00Z"))
    system.wait_for(["newer"])
    system.send(system.job("older", member_id="m1", requested_at="2026-11-24T07:00:00Z", photo_urls=[]))
    system.wait_for(["older"], State.SUPERSEDED)
    member = system.store.members.find("m1")
    assert member is not None
    assert member.request_id == "newer"
