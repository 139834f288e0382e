"""Requests for members go into the database and onto the broker; what both need is here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import click

from worker.broker.publisher import NotSent, Publisher
from worker.clock import utc_now
from worker.store import Queued, Store

BATCH: Final = 200


@dataclass(slots=True)
class Sent:
    """What became of requests."""

    accepted: int = 0
    """In the database: they will be done, whatever became of their message."""
    unsent: int = 0
    """Of these; the sweep sends them."""
    refused: dict[str, str] = field(default_factory=dict)
    """Member IDs with why not."""


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


def send_all(publisher: Publisher, jobs: Iterable[Queued], sent: Sent) -> None:
    """Onto the broker; after it has failed once it is not asked again."""
    for queued in jobs:
        sent.accepted += 1
        if sent.unsent:
            sent.unsent += 1
            continue
        try:
            publisher.send(queued.job, queued.queue)
        except NotSent as error:
            sent.unsent += 1
            click.echo(f"Warning: {error}; the sweep will send what is left.", err=True)


def report(sent: Sent) -> None:
    """Say what became of requests."""
    plural = "" if sent.accepted == 1 else "s"
    click.echo(f"{sent.accepted:,} request{plural} queued." if sent.accepted else "No requests queued.")
    if sent.unsent:
        click.echo(f"{sent.unsent:,} of them wait in the database for the sweep to send them.")
    show_refused(sent.refused)


def show_refused(refused: Mapping[str, str]) -> None:
    """Each member who got no request, with why."""
    for member_id, why in refused.items():
        click.echo(f"{member_id}: {why}", err=True)
