"""A month's figures that the database counts are those of its records looked at one after the other."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from support.jobs import KIM
from support.month_rows import accounts_of
from worker.store import Month, NewMember, Store, month_before, month_of
from worker.store.access.kept_months import KeptMonths
from worker.store.access.month import BEFORE
from worker.store.access.month_counts import CountedMonth

SEOUL = ZoneInfo("Asia/Seoul")
NOVEMBER = month_of(date(2026, 11, 1), SEOUL)
DURING = datetime(2026, 11, 24, 3, tzinfo=UTC)
IDS = [f"m{number:03}" for number in range(150)]
ACTIONS = ("show", "review", "import", "enqueue", "forget")
REVIEWERS = frozenset({"kim", "lee"})
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)


def record(at: datetime, by: str = "kim", **more: Any) -> dict[str, Any]:
    row = {"looked_at": at, "looked_by": by, "action": "show", "way": "show", "host": "desk-1", "login": by}
    return row | {"client": None, "member_id": None, "member_hash": None} | more


def some(month: Month) -> Iterator[dict[str, Any]]:
    """Records of four months: of a few people, at any time, and beside the first moments of days."""
    chance = random.Random(month.name + str(month.first.tzinfo))
    days = [month.first + n * DAY for n in range(-91, 32)]
    edges = [
        day + hours * HOUR + tick for day in days for hours in (0, 9, 19) for tick in (-MICROSECOND, 0 * DAY)
    ]
    times = edges + [chance.choice(days) + chance.random() * DAY for _ in range(900)]
    for at in times:
        whose = chance.choice(["member_id", "member_id", "member_hash", None])
        more = {} if whose is None else {whose: chance.choice(IDS)}
        yield record(
            at,
            chance.choice(["kim", "Kim", "lee", "root"]),
            action=chance.choice(ACTIONS),
            way=chance.choice(["show", "json"]),
            host=chance.choice([None, "desk-1", "desk-2"]),
            login=chance.choice([None, "kim", "lee"]),
            client=chance.choice([None, "203.0.113.7", "203.0.113.8"]),
            **more,
        )
    for by, day, members in (
        ("lee", -40, 30),
        ("kim", 3, 120),
        ("root", 9, 101),
        ("lee", 12, 21),
        ("kim", 30, 99),
    ):
        yield from (record(month.first + day * DAY + 2 * HOUR, by, member_id=each) for each in IDS[:members])


@pytest.fixture
def members(store: Store) -> Store:
    store.members.import_list([NewMember(i, None, f"https://h/{i}.jpg", ()) for i in IDS], DURING)
    return store


def write(store: Store, *records: dict[str, Any]) -> None:
    with store.database.engine.begin() as c:
        c.execute(sa.insert(store.database.t.access_log), list(records))


def row_by_row(store: Store, month: Month) -> list[dict[str, Any]]:
    records = store.accesses.between(month.first - BEFORE, month.after)
    return [one.as_row() for one in accounts_of(records, month, REVIEWERS)]


def counted(store: Store, month: Month) -> list[dict[str, Any]]:
    log = store.database.t.access_log
    found = store.database.read(lambda c: CountedMonth(c, log, month).counts(REVIEWERS))
    assert found.size == len(store.accesses.between(month.first - BEFORE, month.after))
    return [one.as_row() for one in found.accounts]


@pytest.mark.parametrize(
    ("zone", "first", "hours"),
    [
        ("Asia/Seoul", date(2026, 11, 1), (9, 19)),
        ("UTC", date(2026, 2, 1), (0, 24)),
        ("America/New_York", date(2026, 11, 1), (1, 2)),  # its first day has 25 hours
        ("Europe/London", date(2026, 3, 1), (0, 2)),  # its last Sunday has 23
        ("Australia/Lord_Howe", date(2026, 4, 1), (7, 15)),  # whose summer time is half an hour
        ("Asia/Kathmandu", date(2026, 12, 1), (9, 19)),
    ],
)
def test_the_counts_are_those_of_the_records_one_by_one(
    members: Store, zone: str, first: date, hours: tuple[int, int]
) -> None:
    month = month_of(first, ZoneInfo(zone), hours)
    write(members, *some(month))
    found = counted(members, month)
    assert found == row_by_row(members, month)
    assert any(one["unusual_days"] for one in found)
    assert any(one["more_than_others"] for one in found)
    assert counted(members, month_before(month.first - 100 * DAY, ZoneInfo(zone))) == []


def test_a_member_counts_once_from_one_host_and_once_of_all_hosts(members: Store) -> None:
    at = NOVEMBER.first + 3 * DAY
    write(
        members,
        *(
            record(at + n * DAY, member_id=IDS[0], host=host)
            for n in (0, 0, 1)
            for host in ("desk-1", "desk-2")
        ),
        record(at, member_hash="f" * 64),
        record(at),
    )
    found = members.access_reviews.count(NOVEMBER)
    assert [(one.host, one.members, one.records, one.of_members) for one in found.accounts] == [
        ("desk-1", 2, 5, 4),
        ("desk-2", 1, 3, 3),
    ]


# What is kept of them


@pytest.fixture
def kept(members: Store) -> KeptMonths:
    """Kept, however few records there are."""
    write(members, *some(NOVEMBER))
    return KeptMonths(members.database, members.access_reviews, counted_now=0)


def renewed(kept: KeptMonths, now: datetime) -> int:
    """How many months it has counted, one at each call."""
    return sum(1 for _ in iter(lambda: kept.renew(now, SEOUL), False))


def test_the_kept_figures_are_those_of_a_count(members: Store, kept: KeptMonths) -> None:
    assert kept.figures(NOVEMBER).counted_at is None  # nobody has counted yet
    assert renewed(kept, DURING) == 3
    month = NOVEMBER
    for _ in range(3):
        figures = kept.figures(month)
        assert (figures.counted_at, list(figures.accounts)) == (
            DURING,
            list(members.access_reviews.count(month).accounts),
        )
        month = month_before(month.first, SEOUL)
    assert kept.figures(month).counted_at is None
    for other in (month_of(date(2026, 11, 1), ZoneInfo("UTC")), month_of(date(2026, 11, 1), SEOUL, (8, 17))):
        assert kept.figures(other).counted_at is None  # another day, and other working hours


def test_the_totals_are_those_that_a_signature_counts(members: Store, kept: KeptMonths) -> None:
    renewed(kept, DURING)
    figures = kept.figures(NOVEMBER)
    signed = members.access_reviews.sign(
        NOVEMBER, replace(KIM, by="KIM", action="access"), "all is known", NOVEMBER.after, breaks=0
    )
    assert (figures.records, figures.own_records("KIM")) == (signed.records, signed.own_records)
    assert 0 < signed.own_records < signed.records


def test_the_month_that_goes_on_is_counted_each_hour_and_one_that_is_over_each_day(kept: KeptMonths) -> None:
    assert renewed(kept, DURING) == 3
    assert renewed(kept, DURING + HOUR - MICROSECOND) == 0
    assert renewed(kept, DURING + HOUR) == 1
    assert renewed(kept, DURING + DAY) == 3
    assert renewed(kept, NOVEMBER.after - MICROSECOND) == 3
    assert renewed(kept, NOVEMBER.after) == 2  # the new one, and at once the one that is over since
    assert kept.figures(NOVEMBER).counted_at == NOVEMBER.after
    assert renewed(kept, NOVEMBER.after + HOUR) == 2  # a record may have come late
    assert renewed(kept, NOVEMBER.after + 2 * HOUR) == 1


def test_what_is_purged_or_erased_leaves_the_figures_within_a_day(members: Store, kept: KeptMonths) -> None:
    before = NOVEMBER.after + DAY
    renewed(kept, before)
    shown = kept.figures(NOVEMBER)
    members.members.forget(IDS[0], before)
    while members.accesses.purge(NOVEMBER.first + 9 * DAY):
        pass
    assert kept.figures(NOVEMBER) == shown  # as of that time, which the page says
    renewed(kept, before + DAY)
    rows = [one.as_row() for one in kept.figures(NOVEMBER).accounts]
    records = members.accesses.between(NOVEMBER.first - BEFORE, NOVEMBER.after)
    assert rows == [one.as_row() for one in accounts_of(records, NOVEMBER)]
    assert kept.figures(NOVEMBER).records < shown.records


def test_few_records_are_counted_at_each_question(members: Store) -> None:
    write(members, record(NOVEMBER.first + DAY))
    assert members.kept_months.renew(DURING, SEOUL)
    write(members, record(NOVEMBER.first + DAY))
    figures = members.kept_months.figures(NOVEMBER)
    assert (figures.records, figures.counted_at) == (2, None)
