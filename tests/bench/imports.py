"""An import of a large Excel file, by its command in a process of its own."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from support.bundle import ROOT
from support.sheets import a_row, a_workbook
from worker.store.tables.schema import tables


@dataclass(frozen=True)
class Imported:
    """What an import took."""

    seconds: float
    cpu_seconds: float
    """Of its process, without the server's."""
    megabytes: float
    """Resident memory at the most."""


def an_import(folder: Path, database_url: str, rows: int) -> Imported:
    """Import so many members who are new, one a row."""
    prefix = secrets.token_hex(4)
    file = a_workbook(folder / f"{prefix}.xlsx", (a_row(f"i{prefix}{n:07}") for n in range(rows)))
    environment = {**os.environ, "VERIFY_DATABASE_URL": database_url, "VERIFY_HOME": str(folder / "home")}
    command = [sys.executable, "-m", "worker", "import", str(file), "--no-enqueue", "--json"]
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    file.unlink()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    _undo(database_url, prefix)
    return Imported(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _undo(database_url: str, prefix: str) -> None:
    """They would all wait for a request, in whatever is timed afterwards."""
    t = tables()
    engine = sa.create_engine(database_url)
    for table in (t.access_log, t.photo, t.member):
        with engine.begin() as c:
            c.execute(sa.delete(table).where(table.c.member_id.like(f"i{prefix}%")))
    engine.dispose()
