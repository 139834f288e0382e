"""Whether a worker lives, is ready and still hears its broker: files, for probes without a network.

`python -m worker.health` is the probe of a container: exit 0 if every worker of this machine is
well, 1 otherwise, with one line that says why; 2 for wrong usage or settings. Files under
`VERIFY_HOME/health/HOST/PID`, by the worker's main process: ``alive`` (touched by its event loop),
``ready-PID`` (one for each pool process whose models are warm). By host, for containers that share a
volume have process numbers of their own.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
from celery import bootsteps
from celery.worker import state

from worker.errors import BadSettings
from worker.settings import load_settings

BEAT_SECONDS: Final = 5.0
STALE_SECONDS: Final = 60.0
"""An event loop that was silent for so long hangs, or has been without a broker all the time."""
DEAF_SECONDS: Final = 60.0
"""So long may jobs lie on the queues of a worker that does nothing."""


def running(pid: int) -> bool:
    """Whether there is such a process on this machine."""
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
        """Those of the worker with this main process."""
        return cls(_of_this_host(home) / str(pid))

    def open(self) -> None:
        """A worker starts: its folder is made, those of dead workers are removed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for other in self.folder.parent.iterdir():
            if not (other.name.isdigit() and running(int(other.name))):
                shutil.rmtree(other, ignore_errors=True)

    def beat(self) -> None:
        """The event loop came round; what processes have left that are gone by now is cleared away."""
        for ready in self.folder.glob("ready-*"):
            if not running(_pid_of(ready)):
                ready.unlink(missing_ok=True)
        (self.folder / "alive").touch()

    def ready(self, pid: int) -> None:
        """A pool process has warm models."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"ready-{pid}").touch()

    def close(self) -> None:
        """The worker ends in good order."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def trouble(self, now: float) -> str | None:
        """What is wrong, in a few words; None if all is well. ``now`` in seconds since 1970."""
        alive = self.folder / "alive"
        if not alive.exists():
            return "is starting"
        if now - alive.stat().st_mtime > STALE_SECONDS:
            return f"has not come round for {now - alive.stat().st_mtime:.0f} s"
        if not any(running(_pid_of(ready)) for ready in self.folder.glob("ready-*")):
            return "has no process that is ready"
        return None


class Hearing:
    """Tells a worker that is idle because there is nothing to do from one that has gone deaf.

    kombu's Redis transport has been seen to sit on a dead connection for ever, alive by every other
    sign.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, patience: float = DEAF_SECONDS) -> None:
        self._clock = clock
        self._patience = patience
        self._heard = -1
        self._well = clock()

    def deaf(self, *, waiting: int, busy: bool, heard: int) -> bool:
        """Ask regularly: jobs ``waiting`` on the broker, whether any job is held, jobs begun so far."""
        if not waiting or busy or heard != self._heard:
            self._heard, self._well = heard, self._clock()
        return self._clock() - self._well > self._patience


def check(home: Path, now: float) -> list[str]:
    """One line for each worker that is not well; one that says so if there is no worker."""
    names = [f.name for f in _of_this_host(home).glob("*")]
    pids = [int(name) for name in names if name.isdigit() and running(int(name))]
    if not pids:
        return ["no worker runs here"]
    troubles = {pid: HealthFiles.of(home, pid).trouble(now) for pid in pids}
    return [f"worker {pid} {trouble}" for pid, trouble in troubles.items() if trouble]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Say whether the workers of this machine (by VERIFY_HOME) are well: the probe of a container.

    \b
    Exit status:
      0  every worker is alive, has a process that is ready, and hears its broker
      1  one of them is not well, or none runs here; one line for each says why
      2  wrong usage, or a wrong setting
    """
    from worker.settings import load_settings

    try:
        home = load_settings().home
    except BadSettings as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    troubles = check(home, time.time())
    click.echo("\n".join(troubles) or "well")
    sys.exit(1 if troubles else 0)


if __name__ == "__main__":
    main(prog_name="python -m worker.health")


logger = logging.getLogger(__name__)

DEAF_EXIT: Final = 69
"""EX_UNAVAILABLE: whoever supervises the worker starts a new one."""


class Heartbeat(bootsteps.StartStopStep):
    """A step of Celery's consumer: begins with each connection to the broker, ends with it."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._files = HealthFiles.of(load_settings().home, os.getpid())
        self._files.open()
        self._timer: Any = None
        self._hearing = Hearing()
        self._served: list[str] = []

    def start(self, consumer: Any) -> None:
        """The broker is connected, and will be asked through this very connection."""
        self._hearing = Hearing()
        # Known only now: a worker may start without `retrain` (`worker.runtime.servable`).
        self._served = self._served or list(consumer.app.amqp.queues.consume_from)
        self._timer = consumer.timer.call_repeatedly(BEAT_SECONDS, self._beat, (consumer,))
        self._files.beat()

    def stop(self, consumer: Any) -> None:
        """The connection is gone, or the worker ends."""
        if self._timer is not None:
            consumer.timer.cancel(self._timer)
            self._timer = None

    def shutdown(self, consumer: Any) -> None:
        """The worker ends in good order."""
        self.stop(consumer)
        self._files.close()

    def _beat(self, consumer: Any) -> None:
        self._files.beat()
        heard = sum(state.total_count.values())
        # One whom Redis tells to wait hears very well.
        busy = bool(state.reserved_requests) or getattr(consumer.task_consumer.channel, "refused", False)
        if self._hearing.deaf(waiting=_waiting(consumer), busy=busy, heard=heard):
            logger.critical("jobs wait and none arrives here: this worker has gone deaf and ends")
            state.should_stop = DEAF_EXIT
        if left := [name for name in self._served if not consumer.task_consumer.consuming_from(name)]:
            logger.critical("this worker takes nothing from %s any more and ends", ", ".join(left))
            state.should_stop = DEAF_EXIT


def _waiting(consumer: Any) -> int:
    """Jobs on this worker's queues; 0 on brokers that need more than a glance for it (AMQP)."""
    channel = consumer.task_consumer.channel
    if not hasattr(channel, "_size"):
        return 0
    return sum(channel._size(queue.name) for queue in consumer.task_consumer.queues)  # noqa: SLF001
