"""A month's figures for a page: counted when they are asked for while there are few records, else kept.

Kept are the month that goes on, the last that is over and the one before; of others nothing stays. What was
purged or erased since, the next count leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from worker.store.access.month import Account, Month, month_before, month_of
from worker.store.access.month_counts import MonthCounts
from worker.store.access.reviews import AccessReviews
from worker.store.counts.tally import Kept
from worker.store.database import AnyRow, Database

_SOON: Final = timedelta(hours=1)
"""How often a month is counted that goes on, or has only just ended: a record may come a little late."""
_DAILY: Final = timedelta(days=1)
"""How often one that is over."""
_MONTHS: Final = 3
COUNTED_NOW: Final = 2000
"""Up to so many records, as they were counted last, each question is answered by a count."""


@dataclass(frozen=True, slots=True)
class MonthFigures:
    """What each account has done in a month, whoever had most members first."""

    accounts: Sequence[Account]
    counted_at: datetime | None
    """None: just now."""

    @property
    def records(self) -> int:
        """All of the month."""
        return sum(one.records for one in self.accounts)

    def own_records(self, person: str) -> int:
        """Those of what this person did with members."""
        return sum(one.of_members for one in self.accounts if one.name.lower() == person.lower())


class KeptMonths:
    """Rows of `tally`, one for each of three months, in turn."""

    def __init__(self, database: Database, reviews: AccessReviews, counted_now: int = COUNTED_NOW) -> None:
        """``counted_now``: see `COUNTED_NOW`."""
        self._db = database
        self._reviews = reviews
        self._counted_now = counted_now

    def figures(self, month: Month) -> MonthFigures:
        """What is kept of the month by these clocks and working hours, else a count."""
        row = self._db.read(self._kept(month).row_on)
        if row is not None and _is_of(row, month) and row.counts["size"] > self._counted_now:
            return MonthFigures([Account(**one) for one in row.counts["accounts"]], row.counted_at)
        return MonthFigures(self._reviews.count(month).accounts, None)

    def renew(self, now: datetime, zone: ZoneInfo) -> bool:
        """Count one month again whose time it is, the one that goes on first; whether there was one."""
        month = month_of(now.astimezone(zone).date(), zone)
        for _ in range(_MONTHS):
            if self._renew(month, now):
                return True
            month = month_before(month.first, zone)
        return False

    def _renew(self, month: Month, now: datetime) -> bool:
        row = self._db.read(self._kept(month).row_on)
        stale = row is None or not _is_of(row, month) or row.counted_at < month.after <= now
        settled = row is not None and row.counted_at >= month.after + _SOON
        kept = self._kept(month, timedelta(0) if stale else _DAILY if settled else _SOON)
        return kept.renew(now, lambda: _facts(month, self._reviews.count(month)))

    def _kept(self, month: Month, every: timedelta = _SOON) -> Kept:
        number = (month.first.year * 12 + month.first.month) % _MONTHS
        return Kept(self._db, f"access_month_{number}", every)


def _facts(month: Month, counted: MonthCounts) -> dict[str, Any]:
    accounts = [asdict(one) for one in counted.accounts]
    return {**_which(month), "size": counted.size, "accounts": accounts}


def _is_of(row: AnyRow, month: Month) -> bool:
    return all(row.counts[name] == value for name, value in _which(month).items())


def _which(month: Month) -> Mapping[str, Any]:
    """The month, its time zone and its working hours."""
    return {"month": month.name, "zone": str(month.first.tzinfo), "hours": [month.opens, month.closes]}
