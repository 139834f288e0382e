"""`python -m worker requeue` and `dismiss NUMBER…`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
from rich.table import Table

from pipeline.terminal import console, new_table
from worker import runtime
from worker.broker.publisher import Publisher
from worker.cli.output import by_option, operator, print_json
from worker.cli.queue.enqueue import report
from worker.cli.records import note_access, note_list
from worker.clock import utc_now
from worker.operating.dead_jobs import dismiss_all, put_back
from worker.store import Queued, Store
from worker.store.requests.records import DeadJobRecord
from worker.store.tables.columns import NOTE_LENGTH


@click.command()
@click.argument("numbers", metavar="[NUMBER]...", nargs=-1, type=int)
@click.option("--all", "everything", is_flag=True, help="All dead jobs (the latest 10,000).")
@click.option(
    "--request", "requests", metavar="ID", multiple=True, help="A request that is dead or in error."
)
@click.option("--json", "as_json", is_flag=True, help="The list as JSON.")
def requeue(numbers: tuple[int, ...], everything: bool, requests: tuple[str, ...], as_json: bool) -> None:
    """Put dead jobs back on their queues. With nothing named: list them, with their numbers.

    Remove the cause first. `dismiss` closes those for which nothing can be done.
    """
    store = runtime.store()
    if not (numbers or everything or requests):
        note_list("requeue", "list")
        _list(store, as_json)
        return
    if everything:
        numbers = tuple(sorted({*numbers, *(dead.id for dead in store.dead_jobs.latest(10_000))}))
    with Publisher.of(runtime.settings()) as publisher:
        sent = put_back(store, publisher, numbers, requests, note=_note, now=utc_now)
    report(sent)
    if sent.refused:
        sys.exit(1)


def _note(queued: Queued) -> None:
    note_access([queued.job.member_id], "requeue", queued.queue)


def _list(store: Store, as_json: bool) -> None:
    dead = store.dead_jobs.latest(1000)
    if as_json:
        print_json(dead)
        return
    if not dead:
        click.echo("No dead jobs.")
        return
    console().print(dead_jobs_table(dead))


def dead_jobs_table(dead: Sequence[DeadJobRecord]) -> Table:
    """In as few columns as a terminal of 80 can show."""
    table = new_table("number", "since (UTC)", "reason", "of")
    for job in dead:
        kept = f"{job.message_length:,} bytes{'' if job.message_kept else ', gone'}"
        whose = job.member_id or ("somebody who is barred" if job.member_hash else "-")
        table.add_row(
            str(job.id),
            f"{job.created_at:%Y-%m-%d %H:%M}",
            f"{job.reason}\n{job.error}",
            f"{whose}\nrequest {job.request_id or '-'}\n{job.attempts} attempts, {kept}",
        )
    return table


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
    done, refused = dismiss_all(store, {*numbers, *alike}, name, note, utc_now())
    for number, why in refused.items():
        click.echo(f"dead job {number}: {why}", err=True)
    click.echo(f"{done:,} dismissed, says {name}.")
    if refused:
        sys.exit(1)
