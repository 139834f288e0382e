"""No invalid message ends a worker, stalls it, harms a neighbour or vanishes."""

from __future__ import annotations

from pathlib import Path

import redis

from chaos.mutations import mutated
from support.invalid_messages import BATCHES, EVERYTHING, job_message
from support.system import LONG, System
from support.workers import wait_until

REASONS = sorted(reason for _, reason in (*EVERYTHING.values(), *BATCHES.values()))


def put_between_jobs(system: System) -> list[str]:
    """All of it, with a real job before, after and every now and then; the names of those jobs."""
    jobs = []
    for number, (item, _) in enumerate(EVERYTHING.values()):
        if number % 12 == 0:
            jobs.append(f"job-{number}")
            system.send(system.job(jobs[-1]))
        system.put("verify", item)
    for item, _ in BATCHES.values():
        system.put("bulk", item)
    system.send(system.job("last"))
    return [*jobs, "last"]


def test_on_redis_they_are_recorded_and_harm_no_neighbour(system: System, broker: redis.Redis) -> None:
    worker = system.start()
    pool = worker.pool()
    system.wait_for(put_between_jobs(system))
    wait_until(lambda: len(system.dead) >= len(REASONS))
    assert system.dead == REASONS
    assert worker.running
    assert worker.pool() == pool
    wait_until(lambda: not broker.hlen("verify:unacked"))
    assert not broker.llen("verify")


def test_in_queue_files_they_are_recorded_and_harm_no_neighbour(embedded: System, tmp_path: Path) -> None:
    worker = embedded.start()
    pool = worker.pool()
    embedded.wait_for(put_between_jobs(embedded))
    wait_until(lambda: len(embedded.dead) >= len(REASONS))
    assert embedded.dead == REASONS
    assert worker.running
    assert worker.pool() == pool
    assert not list((tmp_path / "var" / "broker" / "queues").glob("*.verify.msg"))


def damaged_messages(system: System) -> list[bytes]:
    """Messages with mistakes by chance, most of them valid jobs."""
    valid = [job_message(system.job(f"seed-{number}")) for number in range(40)]
    return [mutated([*valid, *(item for item, _ in EVERYTHING.values())], number) for number in range(300)]


def test_messages_on_redis_that_were_damaged_by_chance_never_end_a_worker(
    system: System, broker: redis.Redis
) -> None:
    worker = system.start()
    pool = worker.pool()
    for item in damaged_messages(system):
        system.put("verify", item)
    system.send(system.job("last"))
    system.wait_for(["last"])
    wait_until(lambda: not broker.hlen("verify:unacked") and not broker.llen("verify"))
    assert len(system.dead) > 150
    assert worker.running
    assert worker.pool() == pool


@LONG
def test_queue_files_that_were_damaged_by_chance_never_end_a_worker(embedded: System, tmp_path: Path) -> None:
    worker = embedded.start()
    pool = worker.pool()
    for item in damaged_messages(embedded):
        embedded.put("verify", item)
    embedded.send(embedded.job("last"))
    embedded.wait_for(["last"])
    queues = tmp_path / "var" / "broker" / "queues"
    wait_until(lambda: not list(queues.glob("*.verify.msg")))
    assert len(embedded.dead) > 150
    assert worker.running
    assert worker.pool() == pool


def test_in_remote_control_they_do_not_end_the_worker(system: System, broker: redis.Redis) -> None:
    worker = system.start()
    channel = f"/{broker.connection_pool.connection_kwargs['db']}.verify.pidbox"
    for item, _ in EVERYTHING.values():
        assert broker.publish(channel, item) == 1
    system.send(system.job("after"))
    system.wait_for(["after"])
    assert worker.running
    assert system.dead == []
