"""A step of Celery's worker: keeps the process that serves its metrics, and the files that it reads."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import Any, Final

from celery import bootsteps

from worker.jobs.queues import MAINTENANCE
from worker.logs import native
from worker.metrics.files import CountFiles
from worker.settings import load_settings

logger = logging.getLogger(__name__)

_TEND_SECONDS: Final = 5.0


class MetricsEndpoint(bootsteps.StartStopStep):
    """Serves in a process of its own, which a worker that is busy or stopped does not disturb.

    It ends by itself when the worker's main process has.
    """

    requires = ("celery.worker.components:Timer",)

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        self._files = CountFiles.of(load_settings().home, os.getpid())
        self._process: subprocess.Popen[bytes] | None = None
        self._state = False

    def include_if(self, worker: Any) -> bool:  # noqa: ARG002 - Celery's signature
        """Only where metrics are wanted."""
        return bool(load_settings().metrics_address)

    def start(self, worker: Any) -> None:
        """Called once, before there is a connection to the broker."""
        served = worker.app.amqp.queues.consume_from.values()
        # There is one worker of this queue, so the state of the system is told once.
        self._state = MAINTENANCE in {queue.alias for queue in served}
        self._launch()
        worker.timer.call_repeatedly(_TEND_SECONDS, self._tend)

    def stop(self, worker: Any) -> None:
        """Nothing: what the last jobs count is to be read as well."""

    def _launch(self) -> None:
        words = ["--worker", str(os.getpid()), "--state" if self._state else "--no-state"]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "worker", "metrics", *words],
                stdin=subprocess.DEVNULL,
                stdout=native.screen(),
                stderr=native.screen(),
            )
        except OSError as error:
            logger.warning("no process could be started for the metrics: %s", error.strerror)

    def _tend(self) -> None:
        if self._process is None or self._process.poll() is not None:
            logger.warning("the process that serves the metrics has ended, and is started again")
            self._launch()
        try:
            self._files.fold()
        except OSError as error:
            logger.warning("metrics of processes that have ended: %s", error.strerror)
