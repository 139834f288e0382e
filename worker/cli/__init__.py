"""The commands `python -m worker …`; each is loaded when it is asked for.

Exit status: 0 done, 1 failed, 2 wrong usage or wrong settings. A known error is one line on
standard error, never a traceback.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

import click

from worker.errors import BadSettings, WorkerError

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "init-db": ("worker.cli.system.database:init_db", "Make or update the tables."),
    "import": ("worker.cli.members.import_file:import_file", "Take members from an Excel file."),
    "enqueue": ("worker.cli.queue.enqueue:enqueue", "Request verifications for members in the database."),
    "show": ("worker.cli.members.show:show", "Show a member, the photos and the verdict."),
    "review": ("worker.cli.members.review:review", "Decide about members who wait for a person."),
    "label": ("worker.cli.members.training:label", "Say whether a photo shows the person of the selfie."),
    "consent": ("worker.cli.members.training:consent", "Note a member's consent to training."),
    "forget": ("worker.cli.members.forget:forget", "Erase all that is stored about a member."),
    "unbar": ("worker.cli.members.forget:unbar", "Let the ID of a forgotten member in again."),
    "purge": ("worker.cli.system.database:purge", "Remove what was kept long enough."),
    "status": ("worker.cli.system.status:status", "Show how the work stands."),
    "requeue": ("worker.cli.queue.dead_jobs:requeue", "Give dead jobs another chance."),
    "dismiss": ("worker.cli.queue.dead_jobs:dismiss", "Close dead jobs that need nothing more."),
    "models": ("worker.cli.models.models:models", "The heads that workers judge with."),
    "calibrate": ("worker.cli.models.calibrate:calibrate", "Set the approve threshold on your own members."),
    "retrain": ("worker.cli.models.retrain:retrain", "Learn from the photos that people have labelled."),
    "run": ("worker.cli.system.run:run", "Start a worker."),
    "demo": ("worker.cli.system.demo:demo", "Verify a handful of members, end to end."),
}
"""Name to (module:command, one line for the list): the list is shown without loading any of them."""


class LazyGroup(click.Group):
    """A group of `COMMANDS`; known errors of the worker end it with one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the base class's signature
        """In the order of a first use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Load the one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list for `--help`, out of the map."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a known error is one line and an exit status."""
        before = os.umask(0o077)  # what it writes names people: databases, queues, workbooks, pictures
        try:
            return super().invoke(ctx)
        except WorkerError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(2 if isinstance(error, BadSettings) else 1)
        finally:
            os.umask(before)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Verify that members are who their photos show: imports, queue, results.

    Settings are environment variables VERIFY_… (or a file .env); see .env.example. With nothing set
    everything is embedded: SQLite and a filesystem broker under var/.
    """
