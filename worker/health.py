"""Whether a worker is alive, ready, and gets its messages: files, for health checks without a network.

`python -m worker.health` is the health check of a container: exit 0 if every worker of this machine is well,
1 otherwise, with one line that says why; 2 for wrong usage or settings. Files under
`VERIFY_HOME/health/HOST/PID`, PID being the worker's main process: ``alive`` (touched by its event loop),
``ready-PID`` (one for each pool process that has loaded its models). HOST, because containers that share a
volume may have the same process numbers.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from collections.abc import Callable
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
        for other in self.folder.parent.iterdir():
            if not (other.name.isdigit() and running(int(other.name))):
                shutil.rmtree(other, ignore_errors=True)

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
        alive = self.folder / "alive"
        if not alive.exists():
            return "is starting"
        if now - alive.stat().st_mtime > STALE_SECONDS:
            return f"has not come round for {now - alive.stat().st_mtime:.0f} s"
        if not any(running(_pid_of(ready)) for ready in self.folder.glob("ready-*")):
            return "has no process that is ready"
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
    """One line for each worker that is not well; one that says so if there is no worker."""
    names = [f.name for f in _of_this_host(home).glob("*")]
    pids = [int(name) for name in names if name.isdigit() and running(int(name))]
    if not pids:
        return ["no worker runs here"]
    problems = {pid: HealthFiles.of(home, pid).problem(now) for pid in pids}
    return [f"worker {pid} {problem}" for pid, problem in problems.items() if problem]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Say whether the workers of this machine (by VERIFY_HOME) are well: the health check of a container.

    \b
    Exit status:
      0  every worker is alive, has a process that is ready, and gets its messages
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
