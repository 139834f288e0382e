"""Whether a worker is alive, ready, and gets its messages, and whether beat sends what is due: files, for
health checks without a network.

`python -m worker.health` is the health check of a container: exit 0 if every worker and every beat of this
machine is well, 1 otherwise, with one line that says why; 2 for wrong usage or settings. Files under
`VERIFY_HOME/health/HOST`, HOST because containers that share a volume may have the same process numbers:

- ``PID/alive`` (touched by the worker's event loop), PID being its main process, and ``PID/ready-PID`` (one
  for each pool process that has loaded its models)
- ``beat-PID/alive`` (touched by beat's loop) and ``beat-PID/due-NAME`` (one for each entry of its schedule;
  its time says when the entry is due)
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from worker.errors import BadSettings
from worker.settings import load_settings

STALE_SECONDS: Final = 60.0
"""An event loop that was silent for so long hangs, or had no broker all the time."""
STALLED_SECONDS: Final = 60.0
"""How long jobs may wait on the queues of an idle worker."""
_BEAT: Final = "beat-"
_DUE: Final = "due-"


def running(pid: int) -> bool:
    """Whether this machine has such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _of_this_host(home: Path) -> Path:
    return home / "health" / socket.gethostname()


def _pid_of(ready: Path) -> int:
    return int(ready.name.removeprefix("ready-"))


def _lives(folder: Path) -> bool:
    """Whether a folder of health files belongs to a process of this machine that runs."""
    pid = folder.name.removeprefix(_BEAT)
    return pid.isdigit() and running(int(pid))


def _silence(folder: Path, now: float) -> str | None:
    """What is wrong with the loop of the process that touches ``alive`` there."""
    alive = folder / "alive"
    if not alive.exists():
        return "is starting"
    silent = now - alive.stat().st_mtime
    return f"has not come round for {silent:.0f} s" if silent > STALE_SECONDS else None


def remove_dead(folders: Path) -> None:
    """Remove the folders of processes that have ended; the name of each has its process."""
    for folder in folders.iterdir():
        if not _lives(folder):
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class HealthFiles:
    """The files of one worker."""

    folder: Path

    @classmethod
    def of(cls, home: Path, pid: int) -> HealthFiles:
        """The files of the worker with this main process."""
        return cls(_of_this_host(home) / str(pid))

    def open(self) -> None:
        """Make the folder of a worker that starts, and remove those of dead workers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_dead(self.folder.parent)

    def beat(self) -> None:
        """Record that the event loop runs, and remove the files of pool processes that have ended."""
        for ready in self.folder.glob("ready-*"):
            if not running(_pid_of(ready)):
                ready.unlink(missing_ok=True)
        (self.folder / "alive").touch()

    def ready(self, pid: int) -> None:
        """Record that a pool process has loaded its models."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"ready-{pid}").touch()

    def close(self) -> None:
        """Remove the folder of a worker that ends in good order."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def problem(self, now: float) -> str | None:
        """What is wrong, in a few words; None if all is well. ``now`` is in seconds since 1970."""
        if silence := _silence(self.folder, now):
            return silence
        return None if self.processes() else "has no process that is ready"

    def processes(self) -> set[int]:
        """The pool processes that are ready, and run."""
        return {pid for pid in map(_pid_of, self.folder.glob("ready-*")) if running(pid)}


@dataclass(frozen=True, slots=True)
class BeatFiles:
    """The files of one beat. One that cannot write them goes on, and is not well."""

    folder: Path

    @classmethod
    def of(cls, home: Path, pid: int) -> BeatFiles:
        """The files of the beat with this process."""
        return cls(_of_this_host(home) / f"{_BEAT}{pid}")

    def came_round(self) -> None:
        """Record that beat's loop runs."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "alive").touch()

    def due(self, name: str, at: float) -> None:
        """Record when an entry of the schedule is due, in seconds since 1970."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / f"{_DUE}{name}").touch()
            os.utime(self.folder / f"{_DUE}{name}", (at, at))

    def close(self) -> None:
        """Remove the folder of a beat that ends in good order."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def problem(self, now: float) -> str | None:
        """What is wrong, in a few words; None if all is well. ``now`` is in seconds since 1970."""
        if silence := _silence(self.folder, now):
            return silence
        late = {
            due.name.removeprefix(_DUE): now - due.stat().st_mtime for due in self.folder.glob(f"{_DUE}*")
        }
        name = max(late, key=lambda each: late[each], default="")
        if late and late[name] > STALE_SECONDS:
            return f"has not sent {name}, which was due {late[name]:.0f} s ago"
        return None


class StallDetector:
    """Tells an idle worker from one whose connection to the broker is stalled.

    kombu's Redis transport has been seen to wait on a dead connection forever, while all else went on.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, patience: float = STALLED_SECONDS
    ) -> None:
        self._clock = clock
        self._patience = patience
        self._received = -1
        self._last_progress = clock()

    def stalled(self, *, waiting: int, busy: bool, received: int) -> bool:
        """Call regularly: jobs ``waiting`` on the broker, whether the worker has a job, jobs ``received`` so
        far."""
        if not waiting or busy or received != self._received:
            self._received, self._last_progress = received, self._clock()
        return self._clock() - self._last_progress > self._patience


def check(home: Path, now: float) -> list[str]:
    """One line for each worker and each beat that is not well; one that says so if there is neither."""
    folders = sorted(folder for folder in _of_this_host(home).glob("*") if _lives(folder))
    if not folders:
        return ["no worker runs here"]
    found = ((_name(folder), _files(folder).problem(now)) for folder in folders)
    return [f"{name} {problem}" for name, problem in found if problem]


def _files(folder: Path) -> HealthFiles | BeatFiles:
    return BeatFiles(folder) if folder.name.startswith(_BEAT) else HealthFiles(folder)


def _name(folder: Path) -> str:
    kind, _, pid = folder.name.rpartition("-")
    return f"{kind or 'worker'} {pid}"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Say whether workers and beat of this machine (by VERIFY_HOME) are well: a container's health check.

    \b
    Exit status:
      0  every worker is alive, has a process that is ready, and gets its messages; beat sends what is due
      1  one of them is not well, or none runs here; one line for each says why
      2  wrong usage, or a wrong setting
    """
    try:
        home = load_settings().home
    except BadSettings as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    problems = check(home, time.time())
    click.echo("\n".join(problems) or "well")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main(prog_name="python -m worker.health")
