"""What several commands need: JSON, colours of statuses, progress, the operator's name."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline.verdict import Status
from worker import runtime
from worker.store.tables.people import VERSION_LENGTH

_PLAIN_STEP: Final = 1000
STYLES: Final[Mapping[Status | None, str]] = {
    Status.APPROVED: "green",
    Status.REVIEW: "yellow",
    Status.RETRY_PHOTO: "cyan",
    Status.REJECTED: "red",
    Status.ERROR: "red",
    None: "dim",
}
by_option: Callable[[Any], Any] = click.option(
    "--by", metavar="NAME", help="Your name (default: VERIFY_OPERATOR)."
)


def _known_length(_: click.Context, __: click.Parameter, text: str) -> str:
    if len(text) > VERSION_LENGTH or not text.isprintable():
        raise click.BadParameter(f"up to {VERSION_LENGTH} printable characters")
    return text


version_option: Callable[[Any], Any] = click.option(
    "--version",
    metavar="TEXT",
    default="",
    callback=_known_length,
    help="Which text the member agreed to, by a name of your own: 2026-11.",
)


def print_json(value: Any, indent: int | None = 2) -> None:
    """One JSON value on standard output; on one line without ``indent``."""
    click.echo(json.dumps(plain(value), ensure_ascii=False, indent=indent))


def plain(value: Any) -> Any:
    """Dataclasses, times and enums as JSON knows them; durations in seconds."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value.total_seconds() if isinstance(value, timedelta) else value


@contextmanager
def progress(title: str) -> Iterator[Callable[[int, int | None], None]]:
    """Shows how many of how many are done: a bar on a terminal, a line for each thousand elsewhere."""
    screen = Console(stderr=True, highlight=False)
    if not screen.is_terminal:
        yield _plain_progress(title)
        return
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _plain_progress(title: str) -> Callable[[int, int | None], None]:
    said = 0

    def show(done: int, total: int | None) -> None:
        nonlocal said
        if done // _PLAIN_STEP > said // _PLAIN_STEP:
            said = done
            click.echo(f"{title}: {done:,}" + (f" of {total:,}" if total else ""), err=True)

    return show


def operator(by: str | None) -> str:
    """The name of whoever decides; they must give one. Raises click.UsageError."""
    name = (by or runtime.settings().operator).strip()
    if not name:
        raise click.UsageError("say who you are: --by NAME, or VERIFY_OPERATOR")
    return name


def viewer() -> str:
    """The name of whoever looks at a member; the login's where no other is set."""
    try:
        return runtime.settings().operator.strip() or getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return "unknown"
