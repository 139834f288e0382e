"""`kill -9` loses no job, doubles no result, and what kills its process does so three times only."""

from __future__ import annotations

import os
import signal
import time

from support.photo_server import Answer
from support.system import System
from support.workers import Worker, children_of, wait_until
from worker.store.tables.states import State


def kill_the_pool(worker: Worker) -> None:
    """`kill -9` of all processes that judge or wait for a job."""
    for pid in set(worker.pool()) & set(children_of(worker.pid)):
        os.kill(pid, signal.SIGKILL)


def killing(system: System, worker: Worker, request_id: str, times: int) -> dict[str, object]:
    """A job whose photo kills the process that fetches it, so often."""
    body = system.couple[1].read_bytes()

    def answer(number: int) -> Answer:
        if number <= times:
            kill_the_pool(worker)
        return Answer(body)

    return system.job(request_id, photo_urls=[system.photos.add(f"{request_id}/poison.jpg", answer)])


def assert_each_is_stored_once(system: System, request_ids: list[str]) -> None:
    stored = [row["request_id"] for row in system.verifications() if row["state"] == State.DONE]
    assert sorted(stored) == sorted(request_ids)
    for request_id in request_ids:
        member = system.store.members.find(f"member-{request_id}")
        assert member is not None
        assert member.status is not None


def test_a_worker_that_is_killed_in_the_middle_of_its_work_loses_nothing(hasty: System) -> None:
    first, _ = hasty.start(), hasty.start()
    jobs = [f"j{number}" for number in range(40)]
    hasty.send(*(hasty.job(job) for job in jobs))
    wait_until(lambda: sum(hasty.state(job) is State.DONE for job in jobs) >= 8)
    first.kill()
    hasty.wait_for(jobs)
    assert_each_is_stored_once(hasty, jobs)
    assert hasty.dead == []


def test_a_job_whose_process_is_killed_is_done_by_the_next_one(hasty: System) -> None:
    worker = hasty.start()
    hasty.send(hasty.job("before"), killing(hasty, worker, "unlucky", times=1), hasty.job("after"))
    hasty.wait_for(["before", "unlucky", "after"])
    assert_each_is_stored_once(hasty, ["before", "unlucky", "after"])
    request = hasty.store.requests.find("unlucky")
    assert request is not None
    assert request.attempts == 2


def test_a_photo_that_kills_its_process_is_tried_three_times_and_harms_no_other_job(hasty: System) -> None:
    worker = hasty.start()
    neighbours = [f"n{number}" for number in range(6)]
    hasty.send(*(hasty.job(job) for job in neighbours[:3]), killing(hasty, worker, "poison", times=99))
    hasty.send(*(hasty.job(job) for job in neighbours[3:]))
    hasty.wait_for(["poison"], State.DEAD)
    hasty.wait_for(neighbours)
    assert hasty.photos.hits["/poison/poison.jpg"] == 3
    assert_each_is_stored_once(hasty, neighbours)
    assert hasty.dead == ["poison"]
    assert worker.running


def test_embedded_a_job_whose_process_is_killed_is_brought_back(hasty_embedded: System) -> None:
    worker = hasty_embedded.start()
    request = killing(hasty_embedded, worker, "unlucky", times=1)
    hasty_embedded.send(request)
    hasty_embedded.wait_for(["unlucky"])
    assert_each_is_stored_once(hasty_embedded, ["unlucky"])


def test_embedded_a_process_that_is_killed_while_it_waits_takes_no_lock_along(
    hasty_embedded: System,
) -> None:
    worker = hasty_embedded.start()
    hasty_embedded.send(hasty_embedded.job("before"))
    hasty_embedded.wait_for(["before"])
    time.sleep(0.5)  # it waits for the next job, and holds the pipe's lock
    kill_the_pool(worker)
    hasty_embedded.send(hasty_embedded.job("after"))
    hasty_embedded.wait_for(["after"])
