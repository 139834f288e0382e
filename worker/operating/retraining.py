"""A retraining is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from worker.broker.publisher import Publisher
from worker.client.errors import NotSent
from worker.store import Store
from worker.store.training.records import Asked


@dataclass(frozen=True, slots=True)
class Requested:
    """Returned when a retraining was asked for."""

    run: Asked | None
    """None: there are fewer new labels than wanted, and nothing was started."""
    unsent: str | None = None
    """Why the broker did not take the message; the sweep sends it."""


def ask(store: Store, publisher: Publisher, by: str, now: datetime, *, at_least: int) -> Requested:
    """Ask for a retraining, if there are so many new labels; one that is under way serves as well."""
    asked = store.training_runs.ask(by, now, at_least=at_least)
    if asked is None:
        return Requested(None)
    try:
        publisher.send_retrain()
    except NotSent as error:
        return Requested(asked, str(error))
    return Requested(asked)
