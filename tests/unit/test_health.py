"""A worker's health files, and how it notices that its connection is stalled."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.bundle import ROOT
from worker.health import STALE_SECONDS, STALLED_SECONDS, HealthFiles, StallDetector, check


@pytest.fixture
def files(tmp_path: Path) -> HealthFiles:
    """Those of a worker that has just started; this test's process plays the worker."""
    made = HealthFiles.of(tmp_path, os.getpid())
    made.open()
    return made


def test_a_worker_is_well_when_its_loop_turns_and_a_process_is_ready(
    files: HealthFiles, tmp_path: Path
) -> None:
    files.beat()
    assert check(tmp_path, time.time()) == [f"worker {os.getpid()} has no process that is ready"]
    files.ready(os.getpid())
    assert check(tmp_path, time.time()) == []


def test_a_worker_whose_loop_hangs_is_not_well(files: HealthFiles, tmp_path: Path) -> None:
    files.beat()
    files.ready(os.getpid())
    assert "has not come round" in check(tmp_path, time.time() + STALE_SECONDS + 1)[0]


def test_a_pool_process_that_has_died_is_not_ready(files: HealthFiles) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    files.beat()
    files.ready(gone.pid)
    assert files.problem(time.time()) == "has no process that is ready"


def test_where_no_worker_runs_none_is_well(tmp_path: Path) -> None:
    assert check(tmp_path, time.time()) == ["no worker runs here"]


def test_a_new_worker_clears_away_what_a_killed_one_left(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = HealthFiles.of(tmp_path, gone.pid).folder
    left.mkdir(parents=True)
    HealthFiles.of(tmp_path, os.getpid()).open()
    assert [f.name for f in left.parent.iterdir()] == [str(os.getpid())]


def probe(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """The probe as a container runs it."""
    return subprocess.run(
        [sys.executable, "-m", "worker.health", *words],
        env={**os.environ, **settings},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_probe_of_a_container_says_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    done = probe(VERIFY_HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "no worker runs here\n")


def test_the_probe_of_a_worker_that_is_well_says_so(files: HealthFiles, tmp_path: Path) -> None:
    files.beat()
    files.ready(os.getpid())
    done = probe(VERIFY_HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "well\n")


def test_the_probe_explains_itself_and_its_exit_status() -> None:
    done = probe("--help", VERIFY_CONCURRENCY="many")  # asked for help, it looks at nothing
    assert done.returncode == 0
    assert all(f"\n    {status}  " in done.stdout for status in (0, 1, 2))


@pytest.mark.parametrize(
    ("words", "settings", "said"),
    [
        (["--quiet"], {}, "No such option"),
        (["now"], {}, "unexpected extra argument"),
        ([], {"VERIFY_CONCURRENCY": "many"}, "VERIFY_CONCURRENCY: must be a whole number"),
    ],
)
def test_a_probe_that_is_asked_wrongly_says_so_and_is_no_problem_of_a_worker(
    words: list[str], settings: dict[str, str], said: str, tmp_path: Path
) -> None:
    done = probe(*words, VERIFY_HOME=str(tmp_path), **settings)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


class Worker:
    """A worker whose clock the test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.detector = StallDetector(clock=lambda: self.now)

    def stalled_after(
        self, seconds: float, *, waiting: int = 5, busy: bool = False, received: int = 3
    ) -> bool:
        self.now += seconds
        return self.detector.stalled(waiting=waiting, busy=busy, received=received)


def test_a_worker_that_gets_nothing_while_jobs_wait_is_stalled() -> None:
    worker = Worker()
    assert not worker.stalled_after(0)
    assert not worker.stalled_after(STALLED_SECONDS - 1)
    assert worker.stalled_after(2)


@pytest.mark.parametrize("state", [{"waiting": 0}, {"busy": True}, {"received": 4}])
def test_a_worker_that_is_idle_busy_or_served_is_not_stalled(state: dict[str, int]) -> None:
    worker = Worker()
    worker.stalled_after(0)
    assert not worker.stalled_after(STALLED_SECONDS - 1, **state)  # type: ignore[arg-type]
    assert not worker.stalled_after(2)
