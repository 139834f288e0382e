"""A month's records of access by account and host, for whoever must check them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median
from typing import Any, Final
from zoneinfo import ZoneInfo

BEFORE: Final = timedelta(days=90)
"""What a day is held against lies in the month and in so many days before it."""
HOURS: Final = (9, 19)
MANY_MORE: Final = 3
"""A day is unusual with so many times as many members as the usual day, and with so many at least:"""
_MANY: Final = 20
"""against the account's own days;"""
MANY: Final = 100
"""against those of the other reviewers."""
NOT_SHOWN: Final = ("import", "enqueue", "requeue")
"""What a person does with many members at once without seeing any of them."""
_NAME: Final = re.compile(r"2\d{3}-\d\d", re.ASCII)
_WEEKEND: Final = (5, 6)


@dataclass(frozen=True, slots=True)
class Month:
    """A month, and the working hours, by the clocks of a place."""

    first: datetime
    after: datetime
    opens: int
    closes: int

    @property
    def name(self) -> str:
        """Such as 2026-11."""
        return f"{self.first:%Y-%m}"

    def working_hours(self, midnight: datetime) -> tuple[datetime, datetime] | None:
        """From when to when somebody is expected to work on a day: not at night, and on a weekend (None)
        never; holidays it does not know."""
        if midnight.weekday() in _WEEKEND:
            return None
        return midnight + timedelta(hours=self.opens), midnight + timedelta(hours=self.closes)


def first_of(name: str) -> date:
    """The first day of a month such as 2026-11, in the years 2000 to 2999. Raises ValueError."""
    if not _NAME.fullmatch(name):
        raise ValueError("no month such as 2026-11")
    return date.fromisoformat(f"{name}-01")


def month_of(day: date, zone: ZoneInfo, hours: tuple[int, int] = HOURS) -> Month:
    """The month in which a day lies."""
    start = datetime(day.year, day.month, 1, tzinfo=zone)
    following = start.replace(day=28) + timedelta(days=4)
    return Month(start, following.replace(day=1), *hours)


def month_before(now: datetime, zone: ZoneInfo, hours: tuple[int, int] = HOURS) -> Month:
    """The one that is over and is to be checked."""
    return month_of(now.astimezone(zone).date().replace(day=1) - timedelta(days=1), zone, hours)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What one account has done from one host in a month."""

    name: str
    host: str | None
    logins: Sequence[str]
    clients: Sequence[str]
    """Addresses that it was reached from."""
    actions: Mapping[str, int]
    records: int
    of_members: int
    """Records that are about a member and not about a list."""
    members: int
    outside_hours: int
    as_json: int
    """What may have left as a file."""
    unusual_days: Mapping[str, int]
    """Days with many more members than the account's usual day has."""
    more_than_others: Mapping[str, int]
    """Days with far more members opened than the usual day of the other reviewers has."""

    def as_row(self) -> dict[str, Any]:
        """For JSON and tables."""
        return {
            "account": self.name,
            "host": self.host,
            "logins": list(self.logins),
            "from": list(self.clients),
            "members": self.members,
            "actions": dict(self.actions),
            "outside_hours": self.outside_hours,
            "as_json": self.as_json,
            "unusual_days": dict(self.unusual_days),
            "more_than_others": dict(self.more_than_others),
        }


def usual(day: str, days: Mapping[str, int]) -> float:
    """Members of the median of all other days on which an account did anything."""
    return median([n for other, n in days.items() if other != day] or [0])


def many_more(members: int, usual: float) -> bool:
    """Whether a day of an account has many more members than its ``usual`` day."""
    return members >= max(_MANY, MANY_MORE * usual)


def far_more(members: int, usual: float) -> bool:
    """Whether an account has opened far more members in a day than the ``usual`` day of the others has."""
    return members >= max(MANY, MANY_MORE * usual)


def usual_of_others(
    account: str, days: Mapping[str, Mapping[str, int]], reviewers: Collection[str]
) -> float | None:
    """The median of the days of the other reviewers, whose names are in small letters; None without any."""
    others = (
        each for name, each in days.items() if name.lower() in reviewers and name.lower() != account.lower()
    )
    found = [n for each in others for n in each.values()]
    return median(found) if found else None
