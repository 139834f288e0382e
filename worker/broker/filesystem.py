"""kombu's filesystem broker, made fit for an embedded worker.

kombu's own may read a file that is half written and leaves one on a full disk, loses every message
whose process is killed, gives each queue its turn, and ends at a file that is no message. Here a file
is written whole or not at all, and taken whole and by one
process only; it lies in ``taken`` until it is acknowledged, and goes back when its taker has died;
queues are served in order; and whatever is in a file becomes a message (`worker.broker.envelope`).
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any, Final

from billiard.pool import Pool as BlockingPool
from celery.concurrency.prefork import TaskPool
from kombu.exceptions import ChannelError
from kombu.transport import filesystem

from worker.broker.envelope import open_item
from worker.health import running

WRITING_SECONDS: Final = 60.0
"""An empty file that is younger may still be written to."""


class InOrder:
    """kombu's cycle over queues, without turns: the first queue that has a message is served.

    ``fetch`` raises Empty for an empty queue.
    """

    def __init__(self, fetch: Callable[..., Any], queues: Iterable[str]) -> None:
        self.fetch, self.queues = fetch, queues

    def get(self, callback: Callable[..., Any], **options: Any) -> Any:
        """The first message there is; raises Empty."""
        for queue in list(self.queues):
            try:
                return self.fetch(queue, callback, **options)
            except Empty:
                continue
        raise Empty

    def close(self) -> None:
        """Nothing is held."""


class Channel(filesystem.Channel):
    """Queue files of one connection."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]
        self._held: dict[str, Path] = {}
        """Files that are not acknowledged yet, by delivery tag."""

    def _put(self, queue: str, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """There at once and whole, or not at all: kombu leaves half a message on a full disk."""
        folder = Path(self.data_folder_out)
        name = f"{round(time.monotonic() * 1000)}_{uuid.uuid4()}.{queue}.msg"
        part = folder / f"{name}.part"
        try:
            part.write_text(json.dumps(args[0]), encoding="utf-8")
            part.rename(folder / name)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise ChannelError(f"no message can be written to {folder}: {error.strerror}") from error

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:  # noqa: ARG002
        folder = Path(self.data_folder_in)
        give_back_orphans(folder)
        for name in sorted(file.name for file in folder.iterdir() if file.name.endswith(f".{queue}.msg")):
            held = taken_by(os.getpid(), folder / name)
            raw = take_file(folder / name, held)
            if raw is not None:
                payload = open_item(raw, queue)
                self._held[payload["properties"]["delivery_tag"]] = held
                return payload
        raise Empty

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        """The message has done its duty."""
        super().basic_ack(delivery_tag, multiple=multiple)  # type: ignore[no-untyped-call]
        self._let_go(delivery_tag)

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """It has not: gone, or a new file (`_restore`)."""
        super().basic_reject(delivery_tag, requeue=requeue)  # type: ignore[no-untyped-call]
        self._let_go(delivery_tag)

    def _restore(self, message: Any) -> None:
        """Back to its queue as it is: a full disk has no room for a new file."""
        if held := self._held.pop(message.delivery_tag, None):
            _give_back(held, Path(self.data_folder_in))

    def _let_go(self, delivery_tag: str) -> None:
        if held := self._held.pop(delivery_tag, None):
            held.unlink(missing_ok=True)

    def _reset_cycle(self) -> None:
        self._cycle = InOrder(self._get_and_deliver, self._active_queues)


class Transport(filesystem.Transport):
    """`filesystem://`."""

    Channel = Channel


def take_file(file: Path, held: Path) -> bytes | None:
    """The content of a queue file, which lies at ``held`` then; None if it is not to be had now.

    kombu's writer locks the file after it has created it: an empty one may be just that moment.
    """
    try:
        with file.open("rb") as opened:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            raw = opened.read()
            if not file.exists() or (not raw and time.time() - file.stat().st_mtime < WRITING_SECONDS):
                return None
            held.parent.mkdir(exist_ok=True)
            file.rename(held)
            return raw
    except (BlockingIOError, FileNotFoundError):
        return None


def taken_by(pid: int, file: Path) -> Path:
    """Where a queue file lies while this process has it."""
    return file.parent / "taken" / f"{pid}~{file.name}"


def give_back_orphans(folder: Path) -> None:
    """Files whose takers have died go back to their queues."""
    for held in (folder / "taken").glob("*~*.msg"):
        pid = held.name.partition("~")[0]
        if pid.isdigit() and not running(int(pid)):
            _give_back(held, folder)


def _give_back(held: Path, folder: Path) -> None:
    with suppress(FileNotFoundError):  # another worker was quicker
        held.rename(folder / held.name.partition("~")[2])


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
