"""A month's records of access by account and host, for whoever must check them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from statistics import median
from typing import Any, Final
from zoneinfo import ZoneInfo

from worker.store.members.records import AccessRecord

BEFORE: Final = timedelta(days=90)
"""What a day is held against lies in the month and in so many days before it."""
ZONE: Final = "Asia/Seoul"
HOURS: Final = (9, 19)
MANY_MORE: Final = 3
"""A day is unusual with so many times as many members as the usual day, and with so many at least:"""
_MANY: Final = 20
"""against the account's own days;"""
MANY: Final = 100
"""against those of the other reviewers."""
NOT_SHOWN: Final = ("import", "enqueue", "requeue")
"""What a person does with many members at once without seeing any of them."""
_WEEKEND: Final = (5, 6)

Days = defaultdict[str, set[str]]
"""Members by day."""


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

    def is_outside(self, at: datetime) -> bool:
        """Whether nobody is expected to work then: nights and weekends; holidays it does not know."""
        return at.weekday() in _WEEKEND or not self.opens <= at.hour < self.closes


def month_of(day: date, zone: ZoneInfo, hours: tuple[int, int] = HOURS) -> Month:
    """The month in which a day lies."""
    start = datetime(day.year, day.month, 1, tzinfo=zone)
    following = start.replace(day=28) + timedelta(days=4)
    return Month(start, following.replace(day=1), *hours)


def month_before(now: datetime, zone: ZoneInfo, hours: tuple[int, int] = HOURS) -> Month:
    """The one that is over and is to be checked."""
    return month_of(now.astimezone(zone).date().replace(day=1) - timedelta(days=1), zone, hours)


@dataclass(slots=True, eq=False)
class Account:
    """What one account has done from one host."""

    name: str
    host: str | None
    logins: set[str] = field(default_factory=set)
    clients: set[str] = field(default_factory=set)
    """Addresses that it was reached from."""
    actions: Counter[str] = field(default_factory=Counter)
    members_by_day: Days = field(default_factory=lambda: defaultdict(set))
    outside_hours: int = 0
    as_json: int = 0
    """What may have left as a file."""
    days: Mapping[str, int] = field(default_factory=dict)
    """Members by day, from all hosts, in the months before as well."""
    opened: Mapping[str, int] = field(default_factory=dict)
    """The same, of those whom the account has seen."""
    others: float | None = None
    """Members of the median of the days of the other reviewers; None where there are none."""

    def note(self, whose: str | None, record: AccessRecord, at: datetime, *, outside: bool) -> None:
        """Count a record."""
        self.logins |= {record.login} if record.login else set()
        self.clients |= {record.client} if record.client else set()
        self.actions[record.action] += 1
        self.outside_hours += outside
        self.as_json += record.way == "json"
        self.members_by_day[_day(at)] |= {whose} if whose else set()

    def as_row(self) -> dict[str, Any]:
        """For JSON and tables."""
        mine = {day: len(members) for day, members in sorted(self.members_by_day.items())}
        return {
            "account": self.name,
            "host": self.host,
            "logins": sorted(self.logins),
            "from": sorted(self.clients),
            "members": len(set[str]().union(*self.members_by_day.values())),
            "actions": dict(sorted(self.actions.items())),
            "outside_hours": self.outside_hours,
            "as_json": self.as_json,
            "unusual_days": {day: n for day, n in mine.items() if self._is_unusual(day, n)},
            "more_than_others": {day: self.opened[day] for day in mine if self._is_far_more(day)},
        }

    def _usual(self, day: str) -> float:
        """Members of the median of all other days on which the account did anything."""
        return median([n for other, n in self.days.items() if other != day] or [0])

    def _is_unusual(self, day: str, members: int) -> bool:
        return members >= max(_MANY, MANY_MORE * self._usual(day))

    def _is_far_more(self, day: str) -> bool:
        return far_more(self.opened.get(day, 0), self._usual(day) if self.others is None else self.others)


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


def accounts_of(
    records: Iterable[tuple[str | None, AccessRecord]], month: Month, reviewers: Collection[str] = frozenset()
) -> list[Account]:
    """Those with a record in the month, whoever had most members first.

    ``reviewers``: the names, in small letters, of whom an account is held against.
    """
    accounts: dict[tuple[str, str | None], Account] = {}
    days: defaultdict[str, Days] = defaultdict(lambda: defaultdict(set))
    opened: defaultdict[str, Days] = defaultdict(lambda: defaultdict(set))
    for whose, record in records:
        at = record.looked_at.astimezone(month.first.tzinfo)
        if whose:
            days[record.looked_by][_day(at)].add(whose)
            if record.action not in NOT_SHOWN:
                opened[record.looked_by][_day(at)].add(whose)
        if at >= month.first:
            key = (record.looked_by, record.host)
            account = accounts.setdefault(key, Account(*key))
            account.note(whose, record, at, outside=month.is_outside(at))
    counted = {name: _counts(each) for name, each in opened.items()}
    for account in accounts.values():
        account.days = _counts(days[account.name])
        account.opened = counted.get(account.name, {})
        account.others = usual_of_others(account.name, counted, reviewers)
    return sorted(accounts.values(), key=lambda one: -sum(map(len, one.members_by_day.values())))


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"


def _counts(days: Mapping[str, set[str]]) -> dict[str, int]:
    return {day: len(members) for day, members in days.items()}
