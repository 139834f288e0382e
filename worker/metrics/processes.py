"""The processes of a worker as metrics: memory, and what its health files say."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from time import time
from typing import Final

from prometheus_client import Metric

from worker.health import HealthFiles
from worker.metrics import families
from worker.metrics.sources import gauge

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_PROC: Final = Path("/proc")
_ENDED: Final = (FileNotFoundError, ProcessLookupError)
"""Raised where a process has just ended."""


def read_worker(home: Path, pid: int) -> Iterable[Metric]:
    """The worker with this main process. Raises OSError where the machine does not tell (no `/proc`)."""
    health = HealthFiles.of(home, pid)
    yield gauge(families.WORKER_HEALTHY, float(health.problem(time()) is None))
    pool = health.processes()
    yield gauge(families.WORKER_READY_PROCESSES, len(pool))
    sizes = {process: _resident(process) for process in (pid, *_descendants(pid))}
    parts = {"main": {pid}, "pool": pool, "other": sizes.keys() - pool - {pid}}
    memory = {part: float(sum(sizes.get(one, 0) for one in its)) for part, its in parts.items()}
    yield gauge(families.WORKER_MEMORY, memory)
    yield gauge(families.WORKER_LARGEST, max(sizes.values(), default=0))


def _resident(pid: int) -> int:
    """In bytes; 0 of a process that has just ended."""
    try:
        return int((_PROC / str(pid) / "statm").read_text().split()[1]) * _PAGE
    except _ENDED:
        return 0


def _descendants(pid: int) -> Iterable[int]:
    """Children and theirs: the pool, this endpoint, a training."""
    with suppress(*_ENDED):
        for task in (_PROC / str(pid) / "task").iterdir():
            for child in (task / "children").read_text().split():
                yield int(child)
                yield from _descendants(int(child))
