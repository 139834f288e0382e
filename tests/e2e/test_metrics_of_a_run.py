"""A worker's metrics, from the counting in its processes to what Prometheus reads."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest

from support.metrics import Scrape, scrape
from support.servers import free_port
from support.system import LONG, System
from support.workers import Worker, children_of, wait_until

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

    def counted(self, jobs: int) -> Scrape:
        """Once so many jobs are: a job is counted a moment after its result is stored."""
        found = [self.scrape()]
        name, labels = "verify_task_runs_total", {"task": "worker.verify_member", "outcome": "success"}
        while (found[-1].value(name, **labels) or 0) < jobs:
            assert len(found) < 100
            time.sleep(0.2)
            found.append(self.scrape())
        return found[-1]


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


def command_of(pid: int) -> bytes:
    """Its words, each with a NUL at its end."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()


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
    judge(system, *(f"r{number}" for number in range(6)))
    seen = endpoint.counted(6)
    assert seen.value("verify_deliveries_total", outcome="stored", queue="verify") == 6
    assert seen.value("verify_photo_fetches_total", host_class="other", problem="none") == 12
    assert seen.value("verify_stage_seconds_count", stage="embed") == 6
    assert seen.value("verify_task_runs_total", task="worker.verify_member", outcome="success") == 6
    assert seen.value("verify_requests", state="done") == 6
    assert seen.value("verify_queue_messages", queue="verify") == 0
    assert seen.value("verify_worker_healthy") == 1
    assert seen.value("verify_task_runs_total", task="worker.purge", outcome="success") == 0
    assert seen.value("verify_source_up") == 4
    dead = kill_one_process(worker)
    wait_until(lambda: not list(worker.home.glob(f"metrics/*/*/*_{dead}.*")))
    assert endpoint.scrape().value("verify_deliveries_total") == 6
    judge(system, "after")
    assert endpoint.counted(7).value("verify_deliveries_total") == 7
    with_requests = endpoint.scrape(exemplars=True)
    exemplars = [sample.exemplar for sample in with_requests.samples("verify_request_seconds_bucket")]
    assert {e.labels["request_id"] for e in exemplars if e} <= {*(f"r{n}" for n in range(6)), "after"}
    assert any(exemplars)
    with pytest.raises(HTTPError, match="401"):
        scrape(endpoint.url)
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: not list(worker.home.glob("metrics/*/*")))


@LONG
def test_embedded_the_one_worker_tells_everything_and_starts_its_endpoint_again(embedded: System) -> None:
    endpoint = Endpoint()
    worker = embedded.start(
        VERIFY_METRICS_ADDRESS=endpoint.address, VERIFY_CONCURRENCY="2", VERIFY_LOG_FORMAT="json"
    )
    judge(embedded, "r0", "r1")
    endpoint.counted(2)
    dead = kill_one_process(worker)
    judge(embedded, "r2")
    wait_until(lambda: not list(worker.home.glob(f"metrics/*/*/*_{dead}.*")))
    (process,) = [pid for pid in children_of(worker.pid) if b"metrics" in command_of(pid).split(b"\0")]
    os.kill(process, signal.SIGKILL)
    wait_until(lambda: worker.words.count("metrics at http") == 2)
    seen = endpoint.counted(3)
    assert seen.value("verify_deliveries_total", outcome="stored") == 3
    assert seen.value("verify_log_lines_total", level="warning", logger="worker.metrics.step") == 1
    assert seen.value("verify_queue_messages", state="waiting", queue="verify") == 0
    assert seen.value("verify_source_up") == 4
