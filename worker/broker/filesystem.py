"""kombu's filesystem broker, made reliable for an embedded worker.

kombu's own may read a file that is half written, leaves a half-written one on a full disk, loses the message
of a process that is killed, serves the queues in turn, and ends at a file that is no message. Here a file is
written whole or not at all, and fetched by one process only. Until the message is acknowledged the file is in
the folder ``taken``, and it goes back when that process has died. The queues are served in order, and
whatever is in a file becomes a message (`worker.broker.envelope`).
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any, Final

from billiard.pool import Pool as BlockingPool
from celery.concurrency.prefork import TaskPool
from kombu.transport import filesystem

from worker.broker.envelope import decode_item
from worker.client.filesystem import WholeFileChannel
from worker.health import running

WRITING_SECONDS: Final = 60.0
"""A younger empty file may be one that kombu is just writing."""


class PriorityCycle:
    """In place of kombu's cycle over queues: serves the first queue that has a message.

    ``fetch`` raises Empty for an empty queue.
    """

    def __init__(self, fetch: Callable[..., Any], queues: Iterable[str]) -> None:
        self.fetch, self.queues = fetch, queues

    def get(self, callback: Callable[..., Any], **options: Any) -> Any:
        """The first message. Raises Empty."""
        for queue in list(self.queues):
            try:
                return self.fetch(queue, callback, **options)
            except Empty:
                continue
        raise Empty

    def close(self) -> None:
        """Nothing to close."""


class Channel(WholeFileChannel):
    """Queue files of one connection."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]
        self._unacked: dict[str, Path] = {}
        """Files by delivery tag."""

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:  # noqa: ARG002
        folder = Path(self.data_folder_in)
        release_orphans(folder)
        for name in sorted(file.name for file in folder.iterdir() if file.name.endswith(f".{queue}.msg")):
            unacked = unacked_path(os.getpid(), folder / name)
            raw = fetch_file(folder / name, unacked)
            if raw is not None:
                payload = decode_item(raw, queue)
                self._unacked[payload["properties"]["delivery_tag"]] = unacked
                return payload
        raise Empty

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        super().basic_ack(delivery_tag, multiple=multiple)  # type: ignore[no-untyped-call]
        self._delete_unacked(delivery_tag)

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Drop a message, or requeue it (`_restore`)."""
        super().basic_reject(delivery_tag, requeue=requeue)  # type: ignore[no-untyped-call]
        self._delete_unacked(delivery_tag)

    def _restore(self, message: Any) -> None:
        """Move the file back to its queue: a full disk has no room for a new one."""
        if unacked := self._unacked.pop(message.delivery_tag, None):
            _release(unacked, Path(self.data_folder_in))

    def _delete_unacked(self, delivery_tag: str) -> None:
        if unacked := self._unacked.pop(delivery_tag, None):
            unacked.unlink(missing_ok=True)

    def _reset_cycle(self) -> None:
        self._cycle = PriorityCycle(self._get_and_deliver, self._active_queues)


class Transport(filesystem.Transport):
    """`filesystem://`."""

    Channel = Channel


def fetch_file(file: Path, unacked: Path) -> bytes | None:
    """The content of a queue file, which is moved to ``unacked``; None if it cannot be had now.

    kombu's writer locks the file after it has created it: an empty one may be just that moment.
    """
    try:
        with file.open("rb") as opened:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            raw = opened.read()
            if not file.exists() or (not raw and time.time() - file.stat().st_mtime < WRITING_SECONDS):
                return None
            unacked.parent.mkdir(exist_ok=True)
            file.rename(unacked)
            return raw
    except (BlockingIOError, FileNotFoundError):
        return None


def unacked_path(pid: int, file: Path) -> Path:
    """Where a queue file is until this process has acknowledged it."""
    return file.parent / "taken" / f"{pid}~{file.name}"


def release_orphans(folder: Path) -> None:
    """Move the files of processes that have died back to their queues."""
    for unacked in (folder / "taken").glob("*~*.msg"):
        pid = unacked.name.partition("~")[0]
        if pid.isdigit() and not running(int(pid)):
            _release(unacked, folder)


def _release(unacked: Path, folder: Path) -> None:
    with suppress(FileNotFoundError):  # another worker was first
        unacked.rename(folder / unacked.name.partition("~")[2])


class ProcessLock:
    """A lock between processes; the death of its holder frees it. Not for threads of one process."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the pool

    def acquire(self) -> bool:
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
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


class KillSafePool(TaskPool):
    """A process pool for brokers without an event loop; survives `kill -9` of a child.

    Celery's own waits forever for a lock that a killed child held.
    """

    BlockingPool = _Pool
