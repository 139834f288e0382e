"""`python -m worker dismiss NUMBER…`."""

from __future__ import annotations

import sys

import click

from worker import runtime
from worker.cli.who import by_option, operator
from worker.clock import utc_now
from worker.errors import NotPossible
from worker.store.tables.schema import NOTE_LENGTH


def _short(_: click.Context, __: click.Parameter, note: str) -> str:
    if len(note) > NOTE_LENGTH:
        raise click.BadParameter(f"longer than {NOTE_LENGTH:,} characters")
    return note


@click.command()
@click.argument("numbers", metavar="NUMBER...", nargs=-1, type=int)
@click.option("--reason", metavar="CODE", help="All open ones with this reason (the latest 10,000).")
@by_option
@click.option("--note", metavar="TEXT", default="", callback=_short, help="Why; stays with it.")
def dismiss(numbers: tuple[int, ...], reason: str | None, by: str | None, note: str) -> None:
    """Close dead jobs for which there is nothing more to do, so that `status` counts them no more.

    Who did it, when and why goes on record. What can be put back belongs to `requeue`, which also takes
    one back that was dismissed.
    """
    if not numbers and reason is None:
        raise click.UsageError("name dead jobs by their NUMBER (see `requeue`), or give --reason")
    name, store = operator(by), runtime.store()
    alike = [dead.id for dead in store.dead_jobs.latest(10_000, reason=reason)] if reason else []
    done, failed = 0, 0
    for number in sorted({*numbers, *alike}):
        try:
            store.dead_jobs.dismiss(number, name, note, utc_now())
            done += 1
        except NotPossible as error:
            failed += 1
            click.echo(f"dead job {number}: {error}", err=True)
    click.echo(f"{done:,} dismissed, says {name}.")
    if failed:
        sys.exit(1)
