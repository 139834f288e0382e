"""`python -m worker enqueue`."""

from __future__ import annotations

import sys

import click

from worker import runtime
from worker.broker.publisher import Publisher
from worker.cli.output import progress
from worker.cli.queue.queueing import Sent, enqueue_pending, report, send_all
from worker.clock import utc_now
from worker.jobs import queues


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
def enqueue(members: tuple[str, ...], pending: bool, queue: str) -> None:
    """Request a verification for members in the database: those named, or all who wait for one.

    A member who is named is verified again, whatever the standing verdict; it stays until then.
    """
    if pending == bool(members):
        raise click.UsageError("name members, or give --pending")
    store = runtime.store()
    with Publisher.of(runtime.settings()) as publisher:
        if pending:
            with progress("queued") as step:
                sent = enqueue_pending(store, publisher, queue, step)
        else:
            found = store.pending.enqueue_members(members, queue, utc_now())
            sent = Sent(refused=dict(found.refused))
            send_all(publisher, found.jobs, sent)
    report(sent)
    if sent.refused:
        sys.exit(1)
