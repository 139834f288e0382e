"""Long work shows how far it is: a bar on a terminal, now and then a plain line elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")

PLAIN_EVERY_S = 10.0


def track(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    """The items, one by one, while the progress is shown on standard error."""
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
