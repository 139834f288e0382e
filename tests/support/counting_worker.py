"""A program that counts as a worker does, in processes that it forks; run by tests/unit/test_counting.py.

How prometheus-client counts is set for a whole process: hence one of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.verdict import FetchProblem, Reason, Status
from support.jobs import a_verdict
from worker.metrics.counted import CountedCollector
from worker.metrics.files import CountFiles
from worker.metrics.recorder import Recorder, host_class
from worker.verification.measured import FetchedPhoto, Measured, StageSeconds

JOBS = 5000
HOSTS = 1000


def job(number: int, **changes: Any) -> Measured:
    """A delivery of which everything differs that can."""
    index = number % len(Reason)
    reason, status = list(Reason)[index], list(Status)[index % len(Status)]
    stages = {field.name: number * 0.0007 for field in fields(StageSeconds)}
    problems = [None, *FetchProblem]
    host = f"host-{number % HOSTS}.example.com"
    values: dict[str, Any] = {
        "queue": ("verify", "bulk")[number % 2],
        "outcome": "stored",
        "request_id": f"request-{number}",
        "seconds": StageSeconds(**stages),
        "fetched": (FetchedPhoto(host, problems[number % len(problems)]),),
        "verdict": a_verdict(status, reason, model_version=f"model-{number // 2 % 50}"),
        "total": number / 5,
    }
    return Measured(**{**values, **changes})


def forked(recorder: Recorder, work: Callable[[], None], *, killed: bool = False) -> int:
    """Do this in a new process, wait for its end, and return its number."""
    pid = os.fork()
    if not pid:
        recorder.after_fork()
        work()
        if killed:
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert killed == os.WIFSIGNALED(status)
    return pid


def report(files: CountFiles) -> dict[str, Any]:
    """What was counted, as JSON takes it."""
    metrics = list(CountedCollector(files).collect())
    return {
        "samples": [
            [s.name, s.labels, s.value, s.exemplar and [s.exemplar.labels, s.exemplar.value]]
            for metric in metrics
            for s in metric.samples
        ],
        "files": {file.name: file.stat().st_size for file in files.folder.iterdir()},
    }


def many(recorder: Recorder, files: CountFiles) -> dict[str, Any]:
    """All that can differ, in two processes."""

    def count(numbers: range) -> None:
        for number in numbers:
            recorder.delivered(job(number))

    for half in range(2):
        forked(recorder, partial(count, range(half, JOBS, 2)))
    return report(files)


def killed(recorder: Recorder, files: CountFiles) -> dict[str, Any]:
    """A process that lives on (this one), one that ended, one that was killed; before and after folding."""
    one = partial(job, 1, queue="verify")
    recorder.delivered(one(request_id="lives"))
    forked(recorder, lambda: recorder.delivered(one(request_id="ended")))
    forked(recorder, lambda: recorder.delivered(one(request_id="killed")), killed=True)
    before = report(files)
    files.fold()
    after = report(files)
    files.fold()
    recorder.delivered(one(request_id="lives on"))
    forked(recorder, lambda: recorder.delivered(one(request_id="later")), killed=True)
    files.fold()
    return {"before": before, "after": after, "later": report(files)}


def no_room(recorder: Recorder, files: CountFiles) -> dict[str, Any]:
    """A process that cannot make its files works all the same."""
    shutil.rmtree(files.folder)
    forked(recorder, lambda: recorder.delivered(job(1)))
    return {}


if __name__ == "__main__":
    its = CountFiles.of(Path(sys.argv[1]), os.getpid())
    its.open()
    made = Recorder(its, partial(host_class, ("*.photos.example.com",)))
    sys.stdout.write(json.dumps({"many": many, "killed": killed, "no room": no_room}[sys.argv[2]](made, its)))
