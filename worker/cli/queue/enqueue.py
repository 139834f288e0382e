"""`python -m worker enqueue`, and how requests get onto the broker; `import` and `requeue` need that, too."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Final

import click

from worker import runtime
from worker.broker.publisher import Publisher
from worker.cli.output import progress
from worker.cli.records import note_access, note_list
from worker.clock import utc_now
from worker.jobs import queues
from worker.operating.sending import Sent, send_all
from worker.store import Store

BATCH: Final = 200
"""Members in one transaction."""


@click.command()
@click.argument("members", metavar="[MEMBER]...", nargs=-1)
@click.option("--pending", is_flag=True, help="All members who wait for a request.")
@click.option(
    "--queue",
    type=click.Choice([queues.VERIFY, queues.BULK]),
    default=queues.BULK,
    show_default=True,
    help="`verify` goes before everything else.",
)
@click.option(
    "--manual/--no-manual",
    default=None,
    help="Whether people look in place of the machine (as at the request before).",
)
def enqueue(members: tuple[str, ...], pending: bool, queue: str, manual: bool | None) -> None:
    """Request a verification for members in the database: those named, or all who wait for one.

    A member who is named is verified again, whatever the standing verdict; it stays until then.
    """
    if pending == bool(members):
        raise click.UsageError("name members, or give --pending")
    if pending and manual is not None:
        raise click.UsageError("--manual and --no-manual are for members who are named")
    store = runtime.store()
    with Publisher.of(runtime.settings()) as publisher:
        if pending:
            note_list("enqueue", "pending")
            with progress("queued") as step:
                sent = enqueue_pending(store, publisher, queue, step)
        else:
            note_access(members, "enqueue", f"{queue} manual" if manual else queue)
            found = store.pending.enqueue_members(members, queue, utc_now(), manual=manual)
            sent = Sent(refused=dict(found.refused))
            send_all(publisher, found.jobs, sent)
    report(sent)
    if sent.refused:
        sys.exit(1)


def enqueue_pending(
    store: Store, publisher: Publisher, queue: str, progress: Callable[[int, int | None], None]
) -> Sent:
    """A request for every member who waits for one."""
    sent = Sent()
    while True:
        found = store.pending.enqueue(queue, utc_now(), BATCH)
        send_all(publisher, found.jobs, sent)
        sent.refused.update(found.refused)
        progress(sent.accepted, None)
        if not found.jobs and not found.refused:
            return sent


def report(sent: Sent) -> None:
    """What became of them, for people."""
    plural = "" if sent.accepted == 1 else "s"
    click.echo(f"{sent.accepted:,} request{plural} queued." if sent.accepted else "No requests queued.")
    if sent.unsent:
        click.echo(f"Warning: {sent.problem}; the sweep will send what is left.", err=True)
        click.echo(f"{sent.unsent:,} of them wait in the database for the sweep to send them.")
    show_refused(sent.refused)


def show_refused(refused: Mapping[str, str]) -> None:
    """Each member who got no request, with why."""
    for member_id, why in refused.items():
        click.echo(f"{member_id}: {why}", err=True)
