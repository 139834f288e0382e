"""The commands `python -m worker …`; each module is loaded only for its command.

Exit status: 0 done, 1 failed, 2 wrong usage or wrong settings. A known error is one line on
standard error, never a traceback.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any, Final

import click

from worker import logs
from worker.client.errors import ClientError
from worker.errors import BadSettings, WorkerError

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "init-db": ("worker.cli.system.database:init_db", "Make or update the tables."),
    "import": ("worker.cli.members.import_file:import_file", "Import members from an Excel file."),
    "enqueue": ("worker.cli.queue.enqueue:enqueue", "Request verifications for members in the database."),
    "show": ("worker.cli.members.show:show", "Show a member, the photos and the verdict."),
    "explain": ("worker.cli.members.explain:explain", "Explain to a member what was decided, and how."),
    "review": ("worker.cli.reviews.commands:review", "Take cases, answer about photos, and decide."),
    "console": ("worker.cli.system.console:console", "Serve the review console for a browser."),
    "consent": ("worker.cli.members.consent:consent", "Record a member's consent to training."),
    "access": ("worker.cli.members.access:access", "Report a month's looks at members, by account."),
    "forget": ("worker.cli.members.forget:forget", "Erase all that is stored about a member."),
    "unbar": ("worker.cli.members.forget:unbar", "Allow the ID of a forgotten member again."),
    "purge": ("worker.cli.system.database:purge", "Purge data older than the retention settings."),
    "status": ("worker.cli.system.status:status", "Show the state of members, requests and queues."),
    "requeue": ("worker.cli.queue.dead_jobs:requeue", "List dead jobs and put them back on their queues."),
    "dismiss": ("worker.cli.queue.dead_jobs:dismiss", "Close dead jobs that cannot be put back."),
    "events": ("worker.cli.queue.events:events", "Show events that have not arrived, and send them again."),
    "models": ("worker.cli.models.models:models", "List, promote and publish heads."),
    "calibrate": ("worker.cli.models.calibrate:calibrate", "Set the approve threshold on your own members."),
    "retrain": ("worker.cli.models.retrain:retrain", "Retrain on labelled photos."),
    "metrics": ("worker.cli.system.metrics:metrics", "Serve the state of the system for Prometheus."),
    "run": ("worker.cli.system.run:run", "Start a worker."),
    "demo": ("worker.cli.system.demo:demo", "Verify a handful of members, end to end."),
}
"""Name to (module:command, help line): the list of commands loads none of the modules."""


class LazyGroup(click.Group):
    """A group of `COMMANDS`; known errors of the worker end it with one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the base class's signature
        """In the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Load the one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list for `--help`."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a known error is one line and an exit status."""
        before = os.umask(0o077)  # what it writes names people: databases, queues, workbooks, pictures
        _log_as_json()
        try:
            return super().invoke(ctx)
        except (WorkerError, ClientError) as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(2 if isinstance(error, BadSettings) else 1)
        finally:
            os.umask(before)


def _log_as_json() -> None:
    """Where logs are JSON those of commands are; otherwise warnings alone are shown, without time and job."""
    from worker.settings import load_settings

    with suppress(BadSettings):  # the command says what is wrong, if it needs them
        settings = load_settings()
        if settings.log_format == "json":
            logs.configure(settings.log_level, settings.log_format)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Verify that members are who their photos show: imports, queue, results.

    Settings are environment variables VERIFY_… (or a file .env); see .env.example. With nothing set
    everything is embedded: SQLite and a filesystem broker under var/.
    """
