"""What the work of operators needs besides the database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from worker.broker.publisher import Publisher
from worker.operating.broker import BrokerCheck
from worker.operating.heads import HeadChecks
from worker.results.explained import Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """Nothing of it connects before it is used."""

    publisher: Publisher
    broker: BrokerCheck
    heads: HeadChecks
    terms: Terms
    """What a member is told of the settings."""
    retrain_problem: Callable[[], str | None]
    """Why no worker could take up a retraining."""
    min_labels: int
    """So many new labels begin a retraining by themselves."""
