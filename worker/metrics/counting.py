"""What the parts of a worker tell the metrics; nothing at all where they are not wanted.

prometheus-client is loaded only where they are.
"""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import TYPE_CHECKING

from worker.metrics.files import CountFiles
from worker.settings import Settings
from worker.verification.measured import Measured

if TYPE_CHECKING:
    from worker.metrics.recorder import Recorder

logger = logging.getLogger(__name__)

_recorders: list[Recorder] = []
"""One for a worker's whole life: it is made before the fork, and the processes share its definitions."""


def start(settings: Settings) -> None:
    """Count from here on what this process does, and those that it forks, if metrics are wanted."""
    if not settings.metrics_address:
        return
    from worker.metrics.recorder import CountingHandler, Recorder, host_class

    files = CountFiles.of(settings.home, os.getpid())
    try:
        files.open()
    except OSError as error:
        logger.warning("nothing is counted for the metrics: %s (%s)", error.strerror, files.folder)
        return
    _recorders[:] = [Recorder(files, partial(host_class, settings.photo_hosts))]
    os.register_at_fork(after_in_child=_recorders[0].after_fork)
    logging.getLogger().addHandler(CountingHandler(_recorders[0]))


def delivered(measured: Measured) -> None:
    """A delivery has ended."""
    for recorder in _recorders:
        recorder.delivered(measured)


def circuit_opened(host: str) -> None:
    """A photo host is left alone for a while."""
    for recorder in _recorders:
        recorder.circuit_opened(host)


def task_ended(task: str, outcome: str) -> None:
    """A task has run; ``outcome`` is Celery's state."""
    for recorder in _recorders:
        recorder.task_ended(task, outcome)
