"""A worker's metrics, from the counting in its processes to what Prometheus reads."""

from __future__ import annotations

import os
import signal
from urllib.error import HTTPError, URLError

import pytest

from support.metrics import Scrape, scrape
from support.servers import free_port
from support.system import System
from support.workers import Worker, wait_until

TOKEN = "a-token-of-some-length"


class Endpoint:
    """Where a worker serves its metrics."""

    def __init__(self) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.address}/metrics"

    def scrape(self, *, exemplars: bool = False) -> Scrape:
        """Once it answers."""
        answers: list[Scrape] = []

        def answered() -> bool:
            try:
                answers.append(scrape(self.url, TOKEN, exemplars=exemplars))
            except URLError:
                return False
            return True

        wait_until(answered)
        return answers[0]

    def stored(self) -> float | None:
        """Jobs that were judged."""
        return self.scrape().value("verify_deliveries_total", outcome="stored")


@pytest.fixture
def endpoint(system: System) -> Endpoint:
    made = Endpoint()
    system.settings |= {
        "VERIFY_METRICS_ADDRESS": made.address,
        "VERIFY_METRICS_TOKEN": TOKEN,
        "VERIFY_CONCURRENCY": "2",
    }
    return made


def judge(system: System, *request_ids: str) -> None:
    system.send(*(system.job(request_id) for request_id in request_ids))
    system.wait_for(request_ids)


def kill_one_process(worker: Worker) -> int:
    """`kill -9`, until another process has taken its place."""
    pid, *_ = worker.pool()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid not in worker.pool() and len(worker.pool()) == 2)
    return pid


def test_a_worker_of_two_processes_tells_what_both_did_and_forgets_nothing_when_one_is_killed(
    system: System, endpoint: Endpoint
) -> None:
    worker = system.start("--queues", "maintenance,verify,bulk")
    system.send(*(system.job(f"r{number}") for number in range(6)))
    system.wait_for([f"r{number}" for number in range(6)])
    seen = endpoint.scrape()
    assert seen.value("verify_deliveries_total", outcome="stored", queue="verify") == 6
    assert seen.value("verify_photo_fetches_total", host_class="other", problem="none") == 12
    assert seen.value("verify_stage_seconds_count", stage="embed") == 6
    assert seen.value("verify_task_runs_total", task="worker.verify_member", outcome="success") == 6
    assert seen.value("verify_requests", state="done") == 6
    assert seen.value("verify_queue_messages", queue="verify") == 0
    assert seen.value("verify_worker_healthy") == 1
    assert seen.value("verify_source_up") == 4
    dead = kill_one_process(worker)
    wait_until(lambda: not list(worker.home.glob(f"metrics/*/*/*_{dead}.*")))
    assert endpoint.stored() == 6
    judge(system, "after")
    assert endpoint.stored() == 7
    with_requests = endpoint.scrape(exemplars=True)
    exemplars = [sample.exemplar for sample in with_requests.samples("verify_request_seconds_bucket")]
    assert {e.labels["request_id"] for e in exemplars if e} <= {*(f"r{n}" for n in range(6)), "after"}
    assert any(exemplars)
    with pytest.raises(HTTPError, match="401"):
        scrape(endpoint.url)
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: not list(worker.home.glob("metrics/*/*")))


def test_embedded_the_one_worker_tells_everything(embedded: System) -> None:
    endpoint = Endpoint()
    worker = embedded.start(VERIFY_METRICS_ADDRESS=endpoint.address, VERIFY_CONCURRENCY="2")
    judge(embedded, "r0", "r1")
    dead = kill_one_process(worker)
    judge(embedded, "r2")
    wait_until(lambda: not list(worker.home.glob(f"metrics/*/*/*_{dead}.*")))
    seen = endpoint.scrape()
    assert seen.value("verify_deliveries_total", outcome="stored") == 3
    assert seen.value("verify_queue_messages", state="waiting", queue="verify") == 0
    assert seen.value("verify_source_up") == 4
