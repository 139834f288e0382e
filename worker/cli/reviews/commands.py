"""`python -m worker review …`: the group, and finding the case of whoever runs it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Final

import click

COMMANDS: Final[Mapping[str, str]] = {
    "next": "queue:next_case",
    "list": "queue:list_cases",
    "show": "queue:show_case",
    "answer": "answering:answer",
    "decide": "deciding:decide",
    "undo": "deciding:undo",
    "release": "queue:release",
    "reopen": "deciding:reopen",
    "object": "objecting:object_to_verdict",
    "reasons": "deciding:reasons",
    "report": "reporting:report",
}


class Reviewing(click.Group):
    """A group of `COMMANDS`, in the order of the work; each is loaded only when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the base class's signature
        """In the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Load the one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"worker.cli.reviews.{module}"), name)
        return command


@click.group(cls=Reviewing)
def review() -> None:
    """Decide about members who wait for a person.

    \b
    1. review next                    the next case is yours for five minutes; open the photos
    2. review answer 1=same 2=different 3=cannot_tell
    3. review show                    now also what the machine found
    4. review decide approve --reason same_person
    Who decides must give a name: --by NAME, or VERIFY_OPERATOR.
    """
