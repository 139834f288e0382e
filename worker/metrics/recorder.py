"""Counts what the processes of a worker do.

Made once, in the main process before it forks, and used by all: each writes into files of its own
(`CountFiles`), so that a process that is killed loses nothing that it has counted. Nothing here raises: a job
does not depend on its being counted.
"""

from __future__ import annotations

import logging
import os
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import product
from typing import Any, Final

from prometheus_client import Counter, Histogram, values

from pipeline.verdict import FetchProblem
from worker.downloads.addresses import matches
from worker.jobs.queues import JUDGING, TASK_NAMES
from worker.metrics import families
from worker.metrics.families import BUCKETS, Family, exemplar_key
from worker.metrics.files import VARIABLE, CountFiles, Exemplar
from worker.verification.delivery import Handled
from worker.verification.measured import FAILED, Measured

logger = logging.getLogger(__name__)

LISTED: Final = "listed"
OTHER: Final = "other"
NO_PROBLEM: Final = "none"
_TASK_OUTCOMES: Final = ("success", "failure", "retry")
_WRITE_SECONDS: Final = 1.0
"""Exemplars are written this often at most: one is as good as another."""
_MOST_VERSIONS: Final = 10
"""Models that a process tells apart: its whole life has a handful."""


class Recorder:
    """The counters of one worker."""

    def __init__(self, files: CountFiles, host_class: Callable[[str], str]) -> None:
        """``host_class``: of a photo host, one of a few words."""
        os.environ[VARIABLE] = str(files.folder)
        if values.ValueClass is values.MutexValue:  # it was imported before it could be told
            values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]

        def counter(family: Family) -> Counter:
            return Counter(family.name, family.text, family.labels, registry=None)

        def histogram(family: Family) -> Histogram:
            return Histogram(family.name, family.text, family.labels, registry=None, buckets=BUCKETS)

        self._files, self._host_class = files, host_class
        self._versions: set[str] = set()
        self._exemplars: dict[str, Exemplar] = {}
        self._written_at = -_WRITE_SECONDS
        self._pid = os.getpid()
        self._deliveries = counter(families.DELIVERIES)
        self._jobs = counter(families.JOBS)
        self._request_seconds = histogram(families.REQUEST_SECONDS)
        self._stage_seconds = histogram(families.STAGE_SECONDS)
        self._photo_fetches = counter(families.PHOTO_FETCHES)
        self._circuit_openings = counter(families.CIRCUIT_OPENINGS)
        self._task_runs = counter(families.TASK_RUNS)
        self._log_lines = counter(families.LOG_LINES)
        self._off = not self._ready()
        if not self._off:
            self._begin()

    def _begin(self) -> None:
        """Have what may be counted at 0: Prometheus sees no increase in a series that begins at 1."""
        for queue, outcome in product(sorted(JUDGING), (*Handled, FAILED)):
            self._deliveries.labels(queue, outcome)
        for kind in (LISTED, OTHER):
            self._circuit_openings.labels(kind)
            for problem in (NO_PROBLEM, *FetchProblem):
                self._photo_fetches.labels(kind, problem)
        for task, outcome in product(sorted(TASK_NAMES), _TASK_OUTCOMES):
            self._task_runs.labels(task, outcome)
        for level, logger_name in product(
            families.LEVELS, (*families.LOGGERS, *families.OTHER_LOGGERS, OTHER)
        ):
            self._log_lines.labels(level, logger_name)

    def after_fork(self) -> None:
        """Called in each new process of the worker, before it counts."""
        self._pid = os.getpid()
        self._exemplars.clear()
        self._written_at = -_WRITE_SECONDS
        self._off = True  # while it says perhaps that it cannot count
        self._off = not self._ready()

    def _ready(self) -> bool:
        try:
            self._files.add_process(self._pid)
        except OSError as error:
            logger.warning("this process is in no metrics: %s", error.strerror)
            return False
        return True

    def delivered(self, measured: Measured) -> None:
        """A delivery has ended. What is of the sandbox counts nowhere."""
        if not self._off and not measured.sandbox:
            self._safely(lambda: self._count_delivery(measured))

    def _count_delivery(self, measured: Measured) -> None:
        queue = measured.queue
        self._deliveries.labels(queue, measured.outcome).inc()
        if verdict := measured.verdict:
            version = self._version(verdict.model_version)
            self._jobs.labels(queue, verdict.status, verdict.reason, version).inc()
        for photo in measured.fetched:
            problem = photo.problem or NO_PROBLEM
            self._photo_fetches.labels(self._host_class(photo.host), problem).inc()
        self._count_seconds(measured)

    def _count_seconds(self, measured: Measured) -> None:
        for stage, spent in measured.seconds.known().items():
            self._stage_seconds.labels(measured.queue, stage).observe(spent)
            self._note(families.STAGE_SECONDS, (measured.queue, stage), spent, measured.request_id)
        if measured.total is not None:
            self._request_seconds.labels(measured.queue).observe(measured.total)
            self._note(families.REQUEST_SECONDS, (measured.queue,), measured.total, measured.request_id)
        if time.monotonic() - self._written_at > _WRITE_SECONDS:
            self._written_at = time.monotonic()
            self._files.write_exemplars(self._pid, self._exemplars)

    def _note(self, family: Family, labels: tuple[str, ...], value: float, request_id: str | None) -> None:
        """The latest request in a bucket stands for it."""
        if request_id is not None:
            key = exemplar_key(family.name, labels, bisect_left(BUCKETS, value))
            self._exemplars[key] = (request_id, value, time.time())

    def _version(self, version: str) -> str:
        if len(self._versions) < _MOST_VERSIONS:
            self._versions.add(version)
        return version if version in self._versions else OTHER

    def circuit_opened(self, host: str) -> None:
        """A photo host is left alone for a while."""
        if not self._off:
            self._safely(lambda: self._circuit_openings.labels(self._host_class(host)).inc())

    def task_ended(self, task: str, outcome: str) -> None:
        """A task of ours has run; ``outcome`` is Celery's state."""
        if not self._off:
            name = task if task in TASK_NAMES else OTHER
            self._safely(lambda: self._task_runs.labels(name, outcome.lower()).inc())

    def logged(self, level: str, name: str) -> None:
        """A log line was written. To say that it was not counted would be another one."""
        if not self._off:
            with suppress(Exception):
                self._log_lines.labels(level.lower(), _logger_label(name)).inc()

    def _safely(self, count: Callable[[], Any]) -> None:
        try:
            count()
        except Exception:  # whatever it is: the job goes on
            logger.exception("something was not counted in the metrics")


def _logger_label(name: str) -> str:
    if name in families.LOGGERS:
        return name
    first = name.partition(".")[0]
    return first if first in families.OTHER_LOGGERS else OTHER


def host_class(listed: Sequence[str], host: str) -> str:
    """Whether the host, perhaps with its port, is one of those in `VERIFY_PHOTO_HOSTS`."""
    name = host.partition(":")[0].lower()
    return LISTED if any(matches(name, pattern.lower()) for pattern in listed) else OTHER


class CountingHandler(logging.Handler):
    """Counts log lines of level warning and above, by their module."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(logging.WARNING)
        self._recorder = recorder

    def emit(self, record: logging.LogRecord) -> None:
        self._recorder.logged(record.levelname, record.name)
