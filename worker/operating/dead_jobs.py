"""Dead jobs are put back on their queues, or dismissed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from worker.broker.publisher import Publisher
from worker.errors import ConsentWithdrawn, MemberForgotten, NotPossible, NotRequeueable
from worker.operating.sending import Sent, send_all
from worker.store import Queued, Store

Note = Callable[[Queued], object]
"""Writes down whose request is put back, before it is sent."""


def put_back(
    store: Store,
    publisher: Publisher,
    numbers: Iterable[int],
    requests: Iterable[str],
    *,
    note: Note,
    now: Callable[[], datetime],
) -> Sent:
    """Dead jobs by their numbers, and requests that are dead or in error; it says why others are not."""
    sent = Sent()
    todo: list[tuple[str, Callable[[], Queued]]] = [
        *((f"dead job {one}", lambda n=one: store.dead_jobs.requeue(n, now())) for one in numbers),
        *((f"request {one}", lambda i=one: store.requests.requeue(i, now())) for one in requests),
    ]
    for name, revive in todo:
        try:
            queued = revive()
        except (NotRequeueable, MemberForgotten, ConsentWithdrawn) as error:
            sent.refused[name] = str(error)
            continue
        note(queued)
        send_all(publisher, [queued], sent)
    return sent


def dismiss_all(
    store: Store, numbers: Iterable[int], by: str, text: str, now: datetime
) -> tuple[int, dict[int, str]]:
    """How many were closed for good, and why the others were not, by number."""
    done, refused = 0, {}
    for number in sorted(set(numbers)):
        try:
            store.dead_jobs.dismiss(number, by, text, now)
            done += 1
        except NotPossible as error:
            refused[number] = str(error)
    return done, refused
