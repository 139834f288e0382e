"""A month's figures from its records, one after the other in Python: what the database's counts must be."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any

from worker.store import Month
from worker.store.access.month import MANY_MORE, NOT_SHOWN, far_more, usual_of_others
from worker.store.members.records import AccessRecord

Days = defaultdict[str, set[str]]
"""Members by day."""


@dataclass(slots=True, eq=False)
class RowAccount:
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
        return members >= max(20, MANY_MORE * self._usual(day))

    def _is_far_more(self, day: str) -> bool:
        return far_more(self.opened.get(day, 0), self._usual(day) if self.others is None else self.others)


def accounts_of(
    records: Iterable[tuple[str | None, AccessRecord]], month: Month, reviewers: Collection[str] = frozenset()
) -> list[RowAccount]:
    """Those with a record in the month, whoever had most members first.

    ``reviewers``: the names, in small letters, of whom an account is held against.
    """
    accounts: dict[tuple[str, str | None], RowAccount] = {}
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
            account = accounts.setdefault(key, RowAccount(*key))
            account.note(whose, record, at, outside=_is_outside(at, month))
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


def _is_outside(at: datetime, month: Month) -> bool:
    """Nights and weekends."""
    return at.weekday() in (5, 6) or not month.opens <= at.hour < month.closes
