"""The current time, by the clock of the database.

Hosts whose clocks differ must agree on when a lease ends and which request came last. So each process uses
the clock of the database that they share: at each new connection it measures the difference.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

logger = logging.getLogger(__name__)

TOLERATED: Final = timedelta(seconds=1)
"""A query takes time as well: so little is no difference."""
_NOTABLE: Final = timedelta(minutes=1)


@dataclass(slots=True)
class _Difference:
    """Of the database's clock to this machine's."""

    value: timedelta = timedelta(0)


_difference: Final = _Difference()


def machine_time() -> datetime:
    """By this machine's clock, in UTC."""
    return datetime.now(UTC)


def utc_now() -> datetime:
    """Now, in UTC, with microseconds: what every ``now`` of the store wants."""
    return machine_time() + _difference.value


def follow(database_time: datetime) -> None:
    """Use the database's clock, which shows this time now."""
    found = database_time - machine_time()
    found = found if abs(found) > TOLERATED else timedelta(0)
    if abs(found - _difference.value) > _NOTABLE:
        logger.warning("this machine's clock differs by %.0f s from the database's", found.total_seconds())
    _difference.value = found
