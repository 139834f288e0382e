"""`python -m worker requeue` and `dismiss NUMBER…`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

import click

from pipeline.terminal import console, new_table
from worker import runtime
from worker.broker.publisher import Publisher
from worker.cli.output import by_option, operator, print_json
from worker.cli.queue.enqueue import Sent, report, send_all
from worker.cli.records import note_access, note_list
from worker.clock import utc_now
from worker.errors import ConsentWithdrawn, MemberForgotten, NotPossible, NotRequeueable
from worker.store import Queued, Store
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
    sent = Sent()
    with Publisher.of(runtime.settings()) as publisher:
        for queued in _revived(store, numbers, requests, sent):
            note_access([queued.job.member_id], "requeue", queued.queue)
            send_all(publisher, [queued], sent)
    report(sent)
    if sent.refused:
        sys.exit(1)


def _list(store: Store, as_json: bool) -> None:
    dead = store.dead_jobs.latest(1000)
    if as_json:
        print_json(dead)
        return
    if not dead:
        click.echo("No dead jobs.")
        return
    table = new_table("number", "since", "reason", "error", "member", "request", "tries", "bytes")
    for job in dead:
        table.add_row(
            str(job.id),
            f"{job.created_at:%Y-%m-%d %H:%M}",
            job.reason,
            job.error,
            job.member_id or ("barred" if job.member_hash else "-"),
            job.request_id or "-",
            str(job.attempts),
            f"{job.message_length:,}{'' if job.message_kept else ', gone'}",
        )
    console().print(table)


def _revived(store: Store, numbers: Iterable[int], requests: Iterable[str], sent: Sent) -> Iterable[Queued]:
    """Those that can be put back; why others cannot is noted in ``sent``."""
    todo: list[tuple[str, Callable[[], Queued]]] = [
        *(
            (f"dead job {number}", lambda n=number: store.dead_jobs.requeue(n, utc_now()))
            for number in numbers
        ),
        *((f"request {one}", lambda i=one: store.requests.requeue(i, utc_now())) for one in requests),
    ]
    for name, revive in todo:
        try:
            yield revive()
        except (NotRequeueable, MemberForgotten, ConsentWithdrawn) as error:
            sent.refused[name] = str(error)


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
