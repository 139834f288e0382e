"""A program that counts as a worker does and serves its metrics, but judges nothing: what goes wrong there is
written into a file by the test.

How prometheus-client counts is set for a whole process: hence one of its own.
"""

from __future__ import annotations

import logging
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from pipeline.verdict import FetchProblem, Reason, Status
from support.jobs import a_verdict
from worker.health import HealthFiles
from worker.jobs.queues import SWEEP
from worker.metrics.files import CountFiles
from worker.metrics.recorder import CountingHandler, Recorder
from worker.verification.measured import FetchedPhoto, Measured, StageSeconds

LOGGERS: Final = (
    *("worker.broker.redis", "worker.broker.redis_client", "worker.downloads.resolver"),
    *("worker.store.mapped", "worker.store.requests.results"),
)
"""Whose warnings have a row in the runbook."""


def job(number: int, *, wrong: bool) -> Measured:
    """A delivery like any other; where something is ``wrong`` most members have no face in their photos."""
    status, reason = (Status.APPROVED, Reason.SAME_PERSON)
    if wrong or number % 7 == 0:
        status, reason = Status.RETRY_PHOTO, Reason.NO_USABLE_PHOTO
    usual = {"queue": 1.5, "download": 0.3, "decode": 0.03, "detect": 0.05, "embed": 0.12, "decide": 0.001}
    spent = {
        stage: random.lognormvariate(0, 0.5) * mean for stage, mean in (usual | {"database": 0.02}).items()
    }
    problem = FetchProblem.TIMEOUT if number % 11 == 0 else None
    return Measured(
        queue="verify",
        outcome="stored",
        request_id=f"request-{number}",
        seconds=StageSeconds(**spent),
        fetched=(FetchedPhoto("cdn.example.com", problem),),
        verdict=a_verdict(status, reason),
        total=sum(spent.values()),
    )


def go_wrong(recorder: Recorder) -> None:
    """All that a worker counts of what goes wrong."""
    recorder.circuit_opened("cdn.example.com")
    for name in LOGGERS:
        logging.getLogger(name).warning("as the runbook has it")
    logging.getLogger("worker.serving.champion").error("the head 1 is refused: damaged")


def work(home: Path, mode: Path) -> None:
    """Count for as long as the test runs."""
    files, health = CountFiles.of(home, os.getpid()), HealthFiles.of(home, os.getpid())
    files.open()
    health.open()
    recorder = Recorder(files, lambda _: "listed")
    logging.getLogger().addHandler(CountingHandler(recorder))
    words = [sys.executable, "-m", "worker", "metrics", "--worker", str(os.getpid()), "--state"]
    subprocess.Popen(words)
    for number in range(1_000_000):
        wrong = mode.read_text()
        for each in range(5 * number, 5 * number + 5):
            recorder.delivered(job(each, wrong=bool(wrong)))
        if wrong and number % 10 == 0:
            go_wrong(recorder)
        health.beat()
        health.ready(os.getpid())
        if wrong == "hangs":
            os.utime(health.folder / "alive", (time.time() - 3600,) * 2)
        elif wrong == "not ready":
            (health.folder / f"ready-{os.getpid()}").unlink()
        if wrong not in ("hangs", "not ready"):
            recorder.task_ended(SWEEP, "SUCCESS")
        time.sleep(0.02)


if __name__ == "__main__":
    work(Path(os.environ["VERIFY_HOME"]), Path(sys.argv[1]))
