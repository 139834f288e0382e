"""A pool for brokers without an event loop (queue files) that outlives its processes.

Where Celery has no event loop its pool shares one pipe, and the process that waits for the next job
holds the pipe's lock. Killed there (by the kernel, when memory is short) it takes the lock with it: no
process ever gets a job again, while the worker looks alive. Locks of files are given back by the kernel.
"""

from __future__ import annotations

import fcntl
import tempfile

from billiard.pool import Pool as BlockingPool
from celery.concurrency.prefork import TaskPool


class ProcessLock:
    """A lock between processes that is free when its holder has died. Not for threads of one process."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the pool

    def acquire(self) -> bool:
        """Wait for it."""
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        """Give it back."""
        fcntl.lockf(self._file, fcntl.LOCK_UN)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class _Pool(BlockingPool):
    def _setup_queues(self) -> None:
        super()._setup_queues()
        self._inqueue._rlock = ProcessLock()  # noqa: SLF001 - billiard has no other way
        self._outqueue._wlock = ProcessLock()  # noqa: SLF001


class SurvivingPool(TaskPool):
    """Celery's prefork pool with locks that no dead process holds."""

    BlockingPool = _Pool
