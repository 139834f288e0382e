"""Text, tables and progress for people: fitted to a terminal, unlimited in a file or a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

T = TypeVar("T")
_UNLIMITED: Final = 100_000
PLAIN_EVERY_S = 10.0


def console(*, stderr: bool = False) -> Console:
    """A console for standard output, or standard error; text is printed as it is, without markup."""
    found = Console(highlight=False, markup=False, emoji=False, stderr=stderr)
    if not found.file.isatty():
        found.width = _UNLIMITED
    return found


def new_table(*columns: str, title: str | None = None) -> Table:
    """An empty table in the style of all commands; text that does not fit is wrapped."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        min_width=None if title is None else len(title),
    )
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def track(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    """The items; standard error shows a bar on a terminal, else a line every ten seconds."""
    console = Console(stderr=True)
    return _bar(items, total, label, console) if console.is_terminal else _lines(items, total, label)


def _bar(items: Iterable[T], total: int, label: str, console: Console) -> Iterator[T]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield from progress.track(items, total=total, description=label)


def _lines(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    start = last = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= PLAIN_EVERY_S:
            last = now
            left = (now - start) / done * (total - done)
            sys.stderr.write(f"{label}: {done} of {total}, about {left:.0f} s left\n")
            sys.stderr.flush()
