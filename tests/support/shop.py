"""An app's own Celery, with Celery's defaults, on the Redis database that it shares with our workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from celery import Celery

from support.bundle import ROOT
from support.workers import TESTS_ON_PATH, wait_until

_BROKER: Final = "SHOP_BROKER"
_LOG: Final = "SHOP_LOG"

app = Celery("shop", broker=os.environ.get(_BROKER), set_as_current=False)


@app.task(name="shop.charge", acks_late=True)  # type: ignore[untyped-decorator]
def charge(order: str, seconds: float = 0) -> None:
    """Take the money: what must not be done twice."""
    with Path(os.environ[_LOG]).open("a") as log:
        log.write(f"{order}\n")
    time.sleep(seconds)


class Shop:
    """A worker of the app as a process, and the way to its queues."""

    def __init__(self, broker_url: str, folder: Path, queues: str = "celery") -> None:
        self._url, self._log = broker_url, folder / "charged"
        self._log.touch()
        self._celery = Celery("shop", broker=broker_url, set_as_current=False)
        with (folder / "shop.log").open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "support.shop", "worker", "-c", "2", "-Q", queues],
                env={**os.environ, **TESTS_ON_PATH, _BROKER: broker_url, _LOG: str(self._log)},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def charge(self, order: str, seconds: float = 0, **options: Any) -> None:
        """Have it charged by the app's worker."""
        self._celery.send_task(charge.name, (order, seconds), **options)

    @property
    def charged(self) -> Counter[str]:
        """How often each order was."""
        return Counter(self._log.read_text().split())

    def wait_for(self, *orders: str) -> None:
        """Until these were charged."""
        wait_until(lambda: set(orders) <= self.charged.keys(), 60)

    def broadcast(self, command: str) -> None:
        """Tell all workers of the app."""
        self._celery.control.broadcast(command)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._celery.close()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
