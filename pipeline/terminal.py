"""Text and tables for people: fitted to a terminal; whole, however wide, in a file or a pipe."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.table import Table

_UNLIMITED: Final = 100_000


def console(*, stderr: bool = False) -> Console:
    """For standard output, or standard error; text is shown as it is, brackets and colons included."""
    found = Console(highlight=False, markup=False, emoji=False, stderr=stderr)
    if not found.file.isatty():
        found.width = _UNLIMITED
    return found


def new_table(*columns: str, title: str | None = None) -> Table:
    """A table in the look that all commands share; what does not fit on a line goes on in the next one."""
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
