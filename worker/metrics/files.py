"""The files that the processes of one worker count in: prometheus-client's, a few for each process.

`VERIFY_HOME/metrics/HOST/PID/`, PID being the worker's main process. A process that is killed leaves what it
has counted; the main process adds it to the file of all that have ended, so that no counter ever falls and
the number of files stays small. With the worker its counts end: Prometheus takes that for what it is, a
counter that starts again.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from worker.health import remove_dead, running

VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus-client counts in files."""
_KINDS: Final = ("counter", "histogram")
_BYTES: Final = 512 * 1024
EXEMPLAR_SECONDS: Final = 3600.0
"""How long a request stands for its bucket: its member may be forgotten meanwhile."""
Exemplar = tuple[str, float, float]
"""A request's ID, its value, and when that was, in seconds since 1970."""
_ENDED: Final = 0
"""In place of a process: all that have ended."""


@dataclass(frozen=True, slots=True)
class CountFiles:
    """The files of one worker."""

    folder: Path

    @classmethod
    def of(cls, home: Path, pid: int) -> CountFiles:
        """The files of the worker with this main process."""
        return cls(home.absolute() / "metrics" / socket.gethostname() / str(pid))

    def open(self) -> None:
        """Make the folder of a worker that starts, and remove those of dead workers. Raises OSError."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        remove_dead(self.folder.parent)
        self.close()
        self.folder.mkdir(mode=0o700)
        self._reserve(_ENDED)

    def close(self) -> None:
        """Remove the folder of a worker that ends in good order."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def add_process(self, pid: int) -> None:
        """Make the files of a process that starts. Raises OSError where there is no room for them."""
        self._reserve(pid)

    def _reserve(self, pid: int) -> None:
        """They are mapped into memory: a page for which the disk had no room later would kill the process."""
        for kind in _KINDS:
            if not self._file(kind, pid).exists():  # a process before it may have had the same number
                self._file(kind, pid).write_bytes(bytes(_BYTES))

    def _file(self, kind: str, pid: int) -> Path:
        return self.folder / f"{kind}_{pid}.db"

    def _exemplars(self, pid: int) -> Path:
        return self.folder / f"exemplars_{pid}.json"

    def write_exemplars(self, pid: int, exemplars: Mapping[str, Exemplar]) -> None:
        """Replace those of this process. They are worth no error."""
        file = self._exemplars(pid)
        part = file.with_suffix(".part")
        with suppress(OSError):
            part.write_text(json.dumps(lately(exemplars)), encoding="ascii")
            part.replace(file)

    def read_exemplars(self) -> Iterator[Mapping[str, Exemplar]]:
        """Those of each process."""
        for file in self.folder.glob("exemplars_*.json"):
            with suppress(OSError, ValueError):
                yield lately(json.loads(file.read_text(encoding="ascii")))

    @contextmanager
    def unmoved(self) -> Iterator[list[str]]:
        """The files to read; none is folded meanwhile."""
        with self._lock(fcntl.LOCK_SH):
            yield [str(file) for file in sorted(self.folder.glob("*.db")) if file.stat().st_size]

    def fold(self) -> None:
        """Add what dead processes have counted to the file of all that have ended. For the main process."""
        dead = {pid for file in self.folder.glob("*.db") if (pid := _pid_of(file)) and not running(pid)}
        for pid in dead:
            # Somebody who reads hangs perhaps: the worker does not wait, there is another time.
            with suppress(BlockingIOError), self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB):
                for kind in _KINDS:
                    self._add(kind, pid)
                self._exemplars(pid).unlink(missing_ok=True)

    def _add(self, kind: str, pid: int) -> None:
        from prometheus_client.mmap_dict import MmapedDict

        file = self._file(kind, pid)
        if not file.exists():
            return
        untyped: Any = MmapedDict
        ended = untyped(str(self._file(kind, _ENDED)))
        for key, value, _, _ in untyped.read_all_values_from_file(str(file)):
            ended.write_value(key, ended.read_value(key)[0] + value, 0.0)
        ended.close()
        file.unlink()

    @contextmanager
    def _lock(self, how: int) -> Iterator[None]:
        with (self.folder / "lock").open("a") as lock:
            fcntl.flock(lock, how)
            yield


def lately(exemplars: Mapping[str, Exemplar]) -> dict[str, Exemplar]:
    """Those that are not too old."""
    since = time.time() - EXEMPLAR_SECONDS
    return {key: exemplar for key, exemplar in exemplars.items() if exemplar[2] > since}


def _pid_of(file: Path) -> int:
    return int(file.stem.rpartition("_")[2])
