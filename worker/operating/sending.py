"""Requests that stand in the database are put on the broker's queues."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from worker.broker.publisher import Publisher
from worker.client.errors import NotSent
from worker.store import Queued


@dataclass(slots=True)
class Sent:
    """What became of requests that were to be sent."""

    accepted: int = 0
    """In the database: they will be done, whatever became of their message."""
    unsent: int = 0
    """Of these; the sweep sends them."""
    problem: str | None = None
    """Why the broker did not take them."""
    refused: dict[str, str] = field(default_factory=dict)
    """What got no request, with why not."""


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
            sent.problem = str(error)
