"""What the database's work costs with more and more members: `PYTHONPATH=.:tests python -m bench.scale`.

A MariaDB of its own with a buffer pool of 64 MB, its data on the disk. Its databases are filled first and
stay in the folder, so that a second run only measures. A million members take about four minutes and 8 GB:
remove the folder when you are done. Rounds go over all sizes in turn, so that a busy machine slows all of
them.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
import sqlalchemy as sa

from bench.filling import fill
from bench.imports import an_import
from bench.work import Scene
from pipeline.terminal import console, new_table
from support.servers import MariaDb
from worker.clock import utc_now
from worker.migrations import migrate
from worker.store import Store, build_engine

Times = dict[str, dict[int, list[float]]]
"""Seconds by what was done and by the number of members."""
_SIZES: Final = (1_000, 100_000, 1_000_000)
FOLDER: Final = Path(tempfile.gettempdir()) / "scale"
_DISK: Final = ("--innodb-buffer-pool-size=3G", "--innodb-log-file-size=512M", "--skip-innodb-doublewrite")


class Filled(MariaDb):
    """The server with a large buffer pool, for filling."""

    def command(self) -> Sequence[str]:
        return [*super().command(), *_DISK, "--innodb-flush-log-at-trx-commit=0"]


@click.command()
@click.argument("members", type=int, nargs=-1)
@click.option("--rounds", default=5, show_default=True, help="Times that each size has its turn.")
@click.option("--folder", default=FOLDER, type=click.Path(path_type=Path), show_default=True)
@click.option("--rows", default=100_000, show_default=True, help="Of the Excel file; 0: import none.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Also write the seconds there.")
def main(members: tuple[int, ...], rounds: int, folder: Path, rows: int, file: Path | None) -> None:
    """Fill databases with so many MEMBERS (1000 100000 1000000), time the work on them, print one table."""
    members = members or _SIZES
    _prepare(folder, members)
    times: Times = defaultdict(lambda: defaultdict(list))
    with running(MariaDb(folder / "server")) as server:
        scenes = [
            Scene(Store(build_engine(database_url(server, n)), tombstone_key=b"bench", listening=True), n)
            for n in members
        ]
        for _ in range(rounds):
            for scene in scenes:
                told(f"{scene.members:,}: a round; load {os.getloadavg()[0]:.1f}")
                _round(scene, times)
        for scene in scenes:
            _once(scene, times, folder, rows)
            scene.store.close()
    console().print(_table(times, members))
    if file is not None:
        file.write_text(json.dumps(times, indent=1) + "\n")


def _prepare(folder: Path, sizes: Sequence[int]) -> None:
    with running(Filled(folder / "server")) as server:
        engine = sa.create_engine(server.url, isolation_level="AUTOCOMMIT")
        there = set(sa.inspect(engine).get_schema_names())
        for members in sizes:
            if _name(members) not in there:
                with engine.connect() as c:
                    c.exec_driver_sql(f"CREATE DATABASE {_name(members)} CHARACTER SET utf8mb4")
            _fill(database_url(server, members), members)


def _fill(url: str, members: int) -> None:
    engine = build_engine(url)
    started = time.monotonic()
    migrate(engine)
    if seconds := round(time.monotonic() - started):
        told(f"{members:,}: migrated in {seconds} s")
    with engine.connect() as c:
        empty = c.exec_driver_sql("SELECT 1 FROM member LIMIT 1").first() is None
    if empty:
        fill(url, members, utc_now(), lambda there: told(f"{there:,} of {members:,} members"))
        told(f"{members:,}: filled in {time.monotonic() - started:.0f} s")
    engine.dispose()


def _round(scene: Scene, times: Times) -> None:
    def timed(name: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = work()
        times[name][scene.members].append(time.perf_counter() - started)
        return result

    scene.random = random.Random(os.urandom(8))
    scene.warm_up()
    for _ in range(5):
        timed("status", scene.status)
        timed("review list", scene.review_list)
    for _ in range(10):
        scene.review(timed)
    for _ in range(20):
        scene.verify(timed)
        timed("show", scene.show)
    timed("count all, each 10 minutes", scene.recount)
    scene.look_back()
    for _ in range(5):
        timed("changes since", scene.changes)
        timed("sweep, idle", scene.sweep)
    scene.leave_unfinished()
    for _ in range(2):
        scene.make_due()
        timed("sweep, 100 unfinished", scene.sweep)
    scene.end_unfinished()
    for _ in range(2):
        scene.forget(timed)


def _once(scene: Scene, times: Times, folder: Path, rows: int) -> None:
    told(f"{scene.members:,}: what is done once; load {os.getloadavg()[0]:.1f}")
    started = time.perf_counter()
    scene.purge()
    times["purge"][scene.members].append(time.perf_counter() - started)
    if rows:
        url = scene.store.database.engine.url.render_as_string(hide_password=False)
        done = an_import(folder, url, rows)
        times[f"import of {rows:,} rows"][scene.members].append(done.seconds)
        used = f"{done.cpu_seconds:.0f} s of processor time and {done.megabytes:.0f} MB at the most"
        told(f"{scene.members:,}: the import took {used}")


@contextmanager
def running(server: MariaDb) -> Iterator[MariaDb]:
    server.start()
    try:
        yield server
    finally:
        server.stop()


def database_url(server: MariaDb, members: int) -> str:
    return sa.make_url(server.url).set(database=_name(members)).render_as_string(hide_password=False)


def _name(members: int) -> str:
    return f"scale_{members}"


def told(line: str) -> None:
    sys.stderr.write(line + "\n")


def _table(times: Times, sizes: Sequence[int]) -> Any:
    table = new_table("ms: median (quartiles)", *(f"{n:,} members" for n in sizes), "times the first")
    for name, by_size in times.items():
        medians = [float(np.median(by_size[n])) for n in sizes]
        cells = [_cell(by_size[n]) for n in sizes]
        table.add_row(name, *cells, f"{medians[-1] / medians[0]:.1f}")
    return table


def _cell(seconds: Sequence[float]) -> str:
    low, middle, high = 1000 * np.quantile(seconds, [0.25, 0.5, 0.75])
    return f"{middle:,.1f}" if len(seconds) == 1 else f"{middle:,.1f} ({low:,.1f} to {high:,.1f})"


if __name__ == "__main__":
    main()
