"""`python -m worker access`: a month's records of who looked at members, for whoever must check them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from statistics import median
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from pipeline.terminal import console, new_table
from worker import runtime
from worker.cli.output import print_json
from worker.cli.records import note_list
from worker.clock import utc_now
from worker.store import AccessRecord

_BEFORE: Final = timedelta(days=90)
"""What a day is held against lies in the month and in so many days before it."""
_MANY: Final = 20
_TIMES: Final = 3
"""A day is unusual with so many members at least, and so many times as many as the account's usual day."""
_WEEKEND: Final = (5, 6)


@dataclass(slots=True, eq=False)
class Account:
    """What one account has done from one host."""

    name: str
    host: str | None
    logins: set[str] = field(default_factory=set)
    clients: set[str] = field(default_factory=set)
    """Addresses that it was reached from over SSH."""
    actions: Counter[str] = field(default_factory=Counter)
    members_by_day: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    outside_hours: int = 0
    as_json: int = 0
    """What may have left as a file."""
    days: dict[str, int] = field(default_factory=dict)
    """Members by day, from all hosts, in the months before as well."""

    def note(self, whose: str | None, record: AccessRecord, at: datetime, *, outside: bool) -> None:
        """Count a record."""
        self.logins |= {record.login} if record.login else set()
        self.clients |= {record.client} if record.client else set()
        self.actions[record.action] += 1
        self.outside_hours += outside
        self.as_json += record.way == "json"
        self.members_by_day[f"{at:%Y-%m-%d}"] |= {whose} if whose else set()

    def as_row(self) -> dict[str, Any]:
        """For JSON and the table."""
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
            "unusual_days": {day: n for day, n in mine.items() if n >= max(_MANY, _TIMES * self._usual(day))},
        }

    def _usual(self, day: str) -> float:
        """Members of the median of all other days on which the account did anything."""
        return median([n for other, n in self.days.items() if other != day] or [0])


@dataclass(frozen=True, slots=True)
class Month:
    """A month, and the working hours, by the clocks of a place."""

    first: datetime
    after: datetime
    opens: int
    closes: int

    def is_outside(self, at: datetime) -> bool:
        """Whether nobody is expected to work then: nights and weekends; holidays it does not know."""
        return at.weekday() in _WEEKEND or not self.opens <= at.hour < self.closes


def _zone(_: click.Context, __: click.Parameter, value: str) -> ZoneInfo:
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise click.BadParameter("no time zone such as Asia/Seoul") from None


def _first(_: click.Context, __: click.Parameter, value: str | None) -> date | None:
    try:
        return date.fromisoformat(f"{value}-01") if value else None
    except ValueError:
        raise click.BadParameter("no month such as 2026-11") from None


def _hours(_: click.Context, __: click.Parameter, value: str) -> tuple[int, int]:
    opens, dash, closes = value.partition("-")
    if not (dash and opens.isdecimal() and closes.isdecimal() and int(opens) < int(closes) <= 24):
        raise click.BadParameter("no hours such as 9-19")
    return int(opens), int(closes)


@click.command()
@click.option("--month", callback=_first, metavar="YYYY-MM", help="Default: the month before this one.")
@click.option(
    "--hours", callback=_hours, default="9-19", show_default=True, help="Working hours, Mon to Fri."
)
@click.option("--zone", callback=_zone, default="Asia/Seoul", show_default=True, help="By whose clocks.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def access(month: date | None, hours: tuple[int, int], zone: ZoneInfo, as_json: bool) -> None:
    """Show who looked at members or changed something of them in a month, by account and host.

    Whoever is responsible for personal data checks this once a month: accounts and hosts that nobody knows,
    work at night, days with more members than usual, and results that were taken out as JSON. It names no
    member; `show MEMBER --looks` names who looked at one.
    """
    note_list("access", "json" if as_json else "show")
    wanted = _month(month, hours, zone)
    rows = [one.as_row() for one in accounts_of(_records(wanted), wanted)]
    if as_json:
        print_json({"month": f"{wanted.first:%Y-%m}", "zone": str(zone), "hours": hours, "accounts": rows})
    else:
        _show(f"{wanted.first:%Y-%m}", rows)


def _month(first: date | None, hours: tuple[int, int], zone: ZoneInfo) -> Month:
    if first is None:
        this = utc_now().astimezone(zone).replace(day=1)
        first = this - timedelta(days=1)
    start = datetime(first.year, first.month, 1, tzinfo=zone)
    following = start.replace(day=28) + timedelta(days=4)
    return Month(start, following.replace(day=1), *hours)


def _records(month: Month) -> Sequence[tuple[str | None, AccessRecord]]:
    return runtime.store().accesses.between(month.first - _BEFORE, month.after)


def accounts_of(records: Iterable[tuple[str | None, AccessRecord]], month: Month) -> list[Account]:
    """Those with a record in the month, whoever had most members first."""
    accounts: dict[tuple[str, str | None], Account] = {}
    days: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for whose, record in records:
        at = record.looked_at.astimezone(month.first.tzinfo)
        days[record.looked_by][f"{at:%Y-%m-%d}"] |= {whose} if whose else set()
        if at >= month.first:
            key = (record.looked_by, record.host)
            account = accounts.setdefault(key, Account(*key))
            account.note(whose, record, at, outside=month.is_outside(at))
    for account in accounts.values():
        account.days = {day: len(members) for day, members in days[account.name].items() if members}
    return sorted(accounts.values(), key=lambda one: -sum(map(len, one.members_by_day.values())))


def _show(month: str, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        click.echo(f"No records of {month}.")
        return
    names = (
        "account",
        "login",
        "host",
        "from",
        "members",
        "what",
        "outside hours",
        "as JSON",
        "unusual days",
    )
    table = new_table(*names, title=month)
    for row in rows:
        what = ", ".join(f"{action} {n:,}" for action, n in row["actions"].items())
        unusual = ", ".join(f"{day}: {n:,}" for day, n in row["unusual_days"].items())
        place = (_joined(row["logins"]), row["host"] or "-", _joined(row["from"]))
        counts = (f"{row['outside_hours']:,}", f"{row['as_json']:,}", unusual or "-")
        table.add_row(row["account"], *place, f"{row['members']:,}", what, *counts)
    console().print(table)


def _joined(words: Sequence[str]) -> str:
    return ", ".join(words) or "-"
