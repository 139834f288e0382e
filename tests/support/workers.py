"""Real worker processes, started as an operator would, with settings of the test's own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import sqlalchemy as sa

from support.bundle import ROOT
from worker.health import HealthFiles
from worker.store import Store, build_engine
from worker.store.tables.schema import tables

_START_SECONDS: Final = 240.0


def on_path(root: Path) -> dict[str, str]:
    """So that a process finds the modules of this copy of the code, those of its tests included."""
    return {"PYTHONPATH": os.pathsep.join([str(root), str(root / "tests")])}


TESTS_ON_PATH: Final = on_path(ROOT)


def open_store_at(
    database_url: str, stale_after: timedelta = timedelta(minutes=2), tombstone_key: str = ""
) -> Store:
    """A store on a database that has tables."""
    key = tombstone_key.encode()
    return Store(build_engine(database_url), tables(), stale_after=stale_after, tombstone_key=key)


def open_empty_store(database_url: str, stale_after: timedelta = timedelta(minutes=2)) -> Store:
    """A store on a database that has no tables yet."""
    store = open_store_at(database_url, stale_after)
    store.database.t.metadata.create_all(store.database.engine)
    return store


def wait_until(true: Callable[[], object], seconds: float = 120.0, every: float = 0.05) -> None:
    """Return once it is true, which is asked ``every`` so often; fail the test if that is not so in time."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"still not so after {seconds:.0f} s"
        time.sleep(every)


def children_of(pid: int) -> list[int]:
    """The process IDs of a process's children."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


class Worker:
    """`python -m worker run` in a process group of its own; whatever is left of it ends with the test.

    ``program`` is what Python runs in place of it, with words of its own; ``root`` is the copy of the code.
    """

    def __init__(
        self,
        settings: Mapping[str, str],
        folder: Path,
        arguments: Sequence[str] = (),
        program: str = "worker run",
        root: Path = ROOT,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.arguments = tuple(arguments)
        self.log = folder / "worker.log"
        self.home = Path(settings.get("VERIFY_HOME", folder / "var"))
        kept = {name: value for name, value in os.environ.items() if not name.startswith("VERIFY_")}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *program.split(), *arguments],
                env={**kept, "VERIFY_HOME": str(self.home), **on_path(root), **settings},
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The main process."""
        return self.process.pid

    @property
    def health(self) -> HealthFiles:
        """What it says of itself."""
        return HealthFiles.of(self.home, self.pid)

    @property
    def words(self) -> str:
        """What it has logged."""
        return self.log.read_text(errors="replace")

    def pool(self) -> list[int]:
        """The process IDs of the pool, those that have warm models."""
        return [int(f.name.removeprefix("ready-")) for f in self.health.folder.glob("ready-*")]

    def wait_until_ready(self) -> Self:
        """Until it takes jobs."""
        wait_until(lambda: not self.running or self.health.problem(time.time()) is None, _START_SECONDS)
        assert self.running, f"the worker ended: {self.words[-3000:]}"
        return self

    @property
    def running(self) -> bool:
        """Whether the main process lives."""
        return self.process.poll() is None

    def kill(self) -> None:
        """`kill -9` of the main process and its pool, as when the machine's power goes."""
        os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """End in good order; the exit status."""
        self.process.terminate()
        return self.process.wait(timeout=120)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            sys.stderr.write(self.words[-6000:])
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.process.wait()


def rows(store: Store, table: sa.Table) -> list[dict[str, object]]:
    """All rows of a table, in the order of its key."""
    with store.database.engine.connect() as connection:
        return [
            dict(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key)).mappings()
        ]
