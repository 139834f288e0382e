"""Whose name stands in the records."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from typing import Any

import click

from worker import runtime

by_option: Callable[[Any], Any] = click.option(
    "--by", metavar="NAME", help="Your name (default: VERIFY_OPERATOR)."
)


def operator(by: str | None) -> str:
    """The name of whoever decides; they must give one. Raises click.UsageError."""
    name = (by or runtime.settings().operator).strip()
    if not name:
        raise click.UsageError("say who you are: --by NAME, or VERIFY_OPERATOR")
    return name


def onlooker() -> str:
    """The name of whoever looks; the login's where no other is set."""
    try:
        return runtime.settings().operator.strip() or getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return "unknown"
