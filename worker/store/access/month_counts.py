"""What each account has done in a month, counted by the database: no record comes over the connection.

A day is one of the month's time zone, whose first moment is worked out here: so the queries are the same for
every database, and none needs to know the zone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from worker.store.access.month import (
    BEFORE,
    NOT_SHOWN,
    Account,
    Month,
    far_more,
    many_more,
    usual,
    usual_of_others,
)
from worker.store.database import AnyRow

_AT_ONCE: Final = 7
"""Days of one query: however many records there are, none takes long."""
_DAY: Final = timedelta(days=1)
_Key = tuple[str, str | None]
"""An account and its host."""
_ByDay = defaultdict[str, dict[str, int]]
"""Members by account and day."""


@dataclass(slots=True)
class _Done:
    """What an account has done from one host, while it is added up."""

    first: int
    """The oldest record, by which those stand in order who have as much."""
    logins: set[str] = field(default_factory=set)
    clients: set[str] = field(default_factory=set)
    actions: Counter[str] = field(default_factory=Counter)
    totals: Counter[str] = field(default_factory=Counter)
    by_day: dict[str, int] = field(default_factory=dict)
    members: int = 0


@dataclass(frozen=True, slots=True)
class MonthCounts:
    """The accounts of a month, whoever had most members first."""

    accounts: tuple[Account, ...]
    size: int
    """Records that were counted, with those of the days that the month is held against."""


class CountedMonth:
    """Counts one month on one connection."""

    def __init__(self, c: sa.Connection, log: sa.Table, month: Month) -> None:
        self._c = c
        self._log = log
        self._month = month
        self._whose = sa.func.coalesce(log.c.member_id, log.c.member_hash)
        self._days: _ByDay = defaultdict(dict)
        self._opened: _ByDay = defaultdict(dict)
        self._done: dict[_Key, _Done] = {}
        self._size = 0

    def counts(self, reviewers: Collection[str]) -> MonthCounts:
        """``reviewers``: the names, in small letters, of whom an account is held against."""
        month = self._month
        for days in _weeks(month.first - BEFORE, month.after):
            self._add_days(days)
        for days in _weeks(month.first, month.after):
            self._add_done(days)
            self._add_members_by_day(days)
        self._add_members()
        order = sorted(
            self._done, key=lambda key: (-sum(self._done[key].by_day.values()), self._done[key].first)
        )
        return MonthCounts(tuple(self._account(key, reviewers) for key in order), self._size)

    def _add_days(self, days: Sequence[datetime]) -> None:
        """Members of each account from all hosts, and those of them whom it has seen."""
        log, day = self._log, self._day(days)
        seen = sa.case((log.c.action.not_in(NOT_SHOWN), self._whose))
        members, opened = (sa.func.count(each.distinct()) for each in (self._whose, seen))
        for account, at, known, shown, records in self._rows(
            days, log.c.looked_by, day, members, opened, by=2
        ):
            self._size += records
            if known:
                self._days[account][at] = known
            if shown:
                self._opened[account][at] = shown

    def _add_done(self, days: Sequence[datetime]) -> None:
        log = self._log
        who = (log.c.looked_by, log.c.host, log.c.login, log.c.client, log.c.action)
        totals = {
            "of_members": sa.func.count(self._whose),
            "as_json": sa.func.sum(sa.case((log.c.way == "json", 1), else_=0)),
            "outside_hours": sa.func.sum(sa.case((self._working(days), 0), else_=1)),
        }
        for row in self._rows(days, *who, sa.func.min(log.c.id), *totals.values(), by=len(who)):
            account, host, login, client, action, first, *sums, records = row
            done = self._done.setdefault((account, host), _Done(first))
            done.first = min(done.first, first)
            done.logins |= {login} if login else set()
            done.clients |= {client} if client else set()
            done.actions[action] += records
            done.totals.update(
                records=records, **{name: int(n) for name, n in zip(totals, sums, strict=True)}
            )

    def _add_members_by_day(self, days: Sequence[datetime]) -> None:
        log, members = self._log, sa.func.count(self._whose.distinct())
        rows = self._rows(days, log.c.looked_by, log.c.host, self._day(days), members, by=3)
        for account, host, at, number, _ in rows:
            self._done[account, host].by_day[at] = number

    def _add_members(self) -> None:
        log, month = self._log, self._month
        query = sa.select(log.c.looked_by, log.c.host, sa.func.count(self._whose.distinct()))
        query = query.where(log.c.looked_at >= month.first, log.c.looked_at < month.after)
        for account, host, number in self._c.execute(query.group_by(log.c.looked_by, log.c.host)):
            self._done[account, host].members = number

    def _rows(self, days: Sequence[datetime], *columns: sa.ColumnElement[Any], by: int) -> Sequence[AnyRow]:
        """By the first so many columns; the last value is the number of records."""
        log, last = self._log, days[-1] + _DAY
        query = sa.select(*columns, sa.func.count()).where(log.c.looked_at >= days[0], log.c.looked_at < last)
        return self._c.execute(query.group_by(*(sa.text(str(n + 1)) for n in range(by)))).all()

    def _day(self, days: Sequence[datetime]) -> sa.ColumnElement[str]:
        """Such as 2026-11-30."""
        log = self._log
        *others, last = days
        ends = [(log.c.looked_at < day + _DAY, _name(day)) for day in others]
        return sa.case(*ends, else_=_name(last)) if ends else sa.literal(_name(last))

    def _working(self, days: Sequence[datetime]) -> sa.ColumnElement[bool]:
        """Whether a record lies in working hours."""
        at, hours = self._log.c.looked_at, [each for day in days if (each := self._month.working_hours(day))]
        return sa.or_(sa.false(), *(sa.and_(at >= opens, at < closes) for opens, closes in hours))

    def _account(self, key: _Key, reviewers: Collection[str]) -> Account:
        name, host = key
        done, opened = self._done[key], self._opened.get(name, {})
        others = usual_of_others(name, self._opened, reviewers)
        days = {day: usual(day, self._days.get(name, {})) for day in sorted(done.by_day)}
        return Account(
            name=name,
            host=host,
            logins=sorted(done.logins),
            clients=sorted(done.clients),
            actions=dict(sorted(done.actions.items())),
            members=done.members,
            unusual_days={day: n for day, own in days.items() if many_more(n := done.by_day[day], own)},
            more_than_others={
                day: opened[day]
                for day, own in days.items()
                if far_more(opened.get(day, 0), own if others is None else others)
            },
            **{total: done.totals[total] for total in ("records", "of_members", "outside_hours", "as_json")},
        )


def _weeks(first: datetime, after: datetime) -> Iterator[Sequence[datetime]]:
    """The first moments of the days, a few at once."""
    days = [first + n * _DAY for n in range((after.date() - first.date()).days)]
    return (days[n : n + _AT_ONCE] for n in range(0, len(days), _AT_ONCE))


def _name(day: datetime) -> str:
    return f"{day:%Y-%m-%d}"
