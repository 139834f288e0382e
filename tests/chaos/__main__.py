"""`make chaos`: break everything, and show what came of the jobs."""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import astuple
from pathlib import Path
from typing import Final

import click
from rich.table import Table

from chaos.faults import FAULTS, Fault
from chaos.run import Row, named, run
from pipeline.terminal import console, new_table

_COLUMNS: Final = ("fault", "times", "jobs", "lost", "doubled", "wrong", "left", "s to recover", "memory")
_OF_EVENTS: Final = ("final events", "seen", "again", "out of order", "phantom")


@click.command()
@click.argument("faults", nargs=-1)
@click.option("--jobs", default=200, show_default=True, help="Jobs for each fault.")
@click.option("--times", default=4, show_default=True, help="How often each fault is injected.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Also write the rows as JSON.")
@click.option("--list", "listed", is_flag=True, help="Name the faults and end.")
def main(faults: tuple[str, ...], jobs: int, times: int, file: Path | None, listed: bool) -> None:
    """Inject FAULTS (the beginnings of their names; none: all of them) while jobs flow.

    Exit status 1 if a job was lost, ended twice or wrong, or a message stayed on the broker.
    """
    if listed:
        click.echo("\n".join(fault.name for fault in FAULTS))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started must not be left behind
    rows: list[Row] = []
    for result in run(named(faults), jobs, times):
        _tell(result)
        if isinstance(result, Row):
            rows.append(result)
    console().print(_table(rows))
    if file is not None:
        file.write_text(json.dumps([row.as_json() for row in rows], indent=2) + "\n")
    sys.exit(0 if all(row.clean for row in rows) else 1)


def _tell(result: Row | tuple[Fault, str]) -> None:
    """One line as soon as it is known, and what is not as it must be."""
    if not isinstance(result, Row):
        click.echo(f"left out: {result[0].name}: {result[1]}", err=True)
        return
    click.echo(f"{'ok  ' if result.clean else 'FAIL'} {result.fault}, {result.seconds} s", err=True)
    for line in result.lines[:20]:
        click.echo(f"     {line}", err=True)


def _table(rows: list[Row]) -> Table:
    events = _OF_EVENTS if any(row.told for row in rows) else ()
    table = new_table(*_COLUMNS, *events)
    for row in rows:
        numbers = (row.times, row.jobs, row.lost, row.doubled, row.wrong, row.left, row.seconds)
        growth = "-" if row.growth is None else f"{row.growth:+.1f} %"
        told = astuple(row.told) if row.told else ("-",) * len(events)
        style = None if row.clean else "red"
        table.add_row(row.fault, *map(str, numbers), growth, *map(str, told), style=style)
    return table


if __name__ == "__main__":
    main()
