"""What happened on each day: the counts that the sweep keeps equal those of the tables, whatever changes."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from pipeline.bundles.reference import BINS
from pipeline.verdict import Outcome, Reason, Status
from support import reviews
from support.cases import a_store, judged, rows
from support.jobs import LEASE, MOST, PHOTOS, SELFIE, a_job, a_verdict, later
from worker.store import Attempt, Cutoffs, Store
from worker.store.counts.day import DayCounts
from worker.store.counts.days import Days

DAY = 24 * 3600
SEOUL = timedelta(hours=9)


@pytest.fixture
def store(engine: sa.Engine) -> Store:
    return a_store(engine)


def truth(store: Store) -> dict[date, DayCounts]:
    """By plain Python over whole tables."""
    t = store.database.t
    verdicts, reasons, people = (defaultdict[date, Counter[str]](Counter) for _ in range(3))
    similarity: defaultdict[date, Counter[str]] = defaultdict(Counter)
    hosts: defaultdict[date, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    requests = {row["request_id"]: row for row in rows(store, t.verification) if not row["sandbox"]}
    counted = {
        one: _day(row["finished_at"])
        for one, row in requests.items()
        if row["state"] in ("done", "dead") and row["status"] is not None
    }
    for one, day in counted.items():
        verdicts[day][requests[one]["status"]] += 1
        reasons[day][requests[one]["reason"]] += 1
        similarity[day][requests[one]["model_version"]] += requests[one]["similarity"] is not None
    for row in rows(store, t.verification_photo):
        if row["request_id"] in counted and row["outcome"] not in ("not_fetched", "invalid_image"):
            its = hosts[counted[row["request_id"]]]["photos.example.com"]
            its[0], its[1] = its[0] + 1, its[1] + (row["outcome"] == "no_face")
    decided = rows(store, t.decision)
    undone = {row["undoes"] for row in decided} | {row["id"] for row in decided if row["undoes"] is not None}
    for row in decided:
        if row["id"] not in undone and row["request_id"] in requests:
            people[_day(row["decided_at"])][row["status"]] += 1
    days = {*verdicts, *people}
    return {
        day: DayCounts(verdicts[day], reasons[day], people[day], numbers(similarity[day]), dict(hosts[day]))
        for day in days
    }


def numbers(counted: Counter[str]) -> dict[str, list[int]]:
    """How many similarities there are of each head, without their bins."""
    return {version: [number] for version, number in counted.items() if number}


def _day(moment: datetime) -> date:
    return (moment.astimezone(UTC) + SEOUL).date()


def kept(store: Store, seconds: float) -> dict[date, DayCounts]:
    """The days on which something happened, as they are kept after a sweep."""
    store.days.renew(later(seconds))
    found = {day.day: day.counts for day in store.days.latest(later(seconds), 30)}
    for counts in found.values():
        assert all(len(bins) == BINS for bins in counts.similarity.values())
    sums = {
        day: replace(
            one, similarity={name: [sum(bins)] for name, bins in one.similarity.items() if sum(bins)}
        )
        for day, one in found.items()
    }
    return {day: one for day, one in sums.items() if one != DayCounts()}


def test_the_counts_of_each_day_are_those_of_the_tables_whatever_becomes_of_requests(store: Store) -> None:
    for n, status in enumerate(Status):
        reason = Reason.SAME_PERSON if status is Status.APPROVED else Reason.PRIMARY_UNSURE
        judged(store, f"r{n}", f"m{n}", n * DAY / 3, status=status, reason=reason, similarity=n / 5)
    faceless = replace(PHOTOS[0], outcome=Outcome.NO_FACE, comparison=None, faces=0)
    judged(store, "r-none", "m-none", 10, photos=(faceless,), similarity=None)
    assert kept(store, 2 * DAY) == truth(store)

    reviews.decide(store, "m1", Status.APPROVED, at=later(2 * DAY))
    reviews.decide(store, "m-none", Status.RETRY_PHOTO, "lee", later(2 * DAY))
    assert kept(store, 2 * DAY + 700) == truth(store)

    store.reviews.undoing.undo("lee", later(2 * DAY + 30))
    assert kept(store, 2 * DAY + 1400) == truth(store)

    store.requests.accept(a_job("dead", "m-dead", later(2 * DAY)), "verify", later(2 * DAY))
    store.requests.give_up("dead", "poison", "boom", later(2 * DAY))
    assert kept(store, 4 * DAY) == truth(store)
    assert kept(store, 4 * DAY)[_day(later(2 * DAY))].verdicts["error"] == 2
    store.requests.requeue("dead", later(4 * DAY))  # of a day that was settled
    assert kept(store, 4 * DAY + 1) == truth(store)
    attempt = store.requests.acquire("dead", "w", LEASE, MOST, later(4 * DAY + 2))
    assert isinstance(attempt, Attempt)
    assert store.requests.finish(attempt, a_verdict(), later(4 * DAY + 2))
    assert kept(store, 4 * DAY + 700) == truth(store)

    before = kept(store, 10 * DAY)
    store.members.forget("m1", later(10 * DAY))  # with a decision of the third day
    assert kept(store, 10 * DAY + 1) == truth(store) != before


def test_a_result_that_comes_late_counts_on_no_day(store: Store) -> None:
    store.requests.accept(a_job("old", "m1"), "verify", later(0))
    attempt = store.requests.acquire("old", "w", LEASE, MOST, later(0))
    assert isinstance(attempt, Attempt)
    store.requests.accept(a_job("new", "m1", later(5)), "verify", later(5))
    store.requests.finish(attempt, a_verdict(), later(6))
    assert truth(store) == {}
    assert kept(store, 10) == {}


def test_what_is_purged_still_counts(store: Store) -> None:
    judged(store)
    before = kept(store, DAY)
    assert before == truth(store)
    old = Cutoffs(**dict.fromkeys((field.name for field in fields(Cutoffs)), later(300 * DAY)))
    assert store.retention.purge(old, ()).photos
    d = store.database.t.day_tally
    store.database.write(lambda c: c.execute(sa.delete(d)))
    assert kept(store, DAY) == before == truth(store)


def test_a_day_is_one_of_korea(store: Store) -> None:
    judged(store, "r1", "m1", 7 * 3600 + 59 * 60)  # 23:59 in Seoul on the 24th
    judged(store, "r2", "m2", 8 * 3600)
    found = kept(store, DAY)
    assert {str(day): one.verdicts for day, one in found.items()} == {
        "2026-11-24": {"review": 1},
        "2026-11-25": {"review": 1},
    }


def test_a_day_is_counted_every_ten_minutes_until_an_hour_after_its_end(store: Store) -> None:
    judged(store)
    assert store.days.renew(later(0)) == 1
    assert store.days.renew(later(599)) == 0
    assert store.days.renew(later(600)) == 1
    settled = 9 * 3600 + 60  # 01:01 of the next day
    assert store.days.renew(later(settled)) == 2
    assert store.days.renew(later(settled + 600)) == 1
    assert store.days.renew(later(0)) == 2  # the clock was set back
    judged(store, "r9", "m9", 30 * DAY)
    assert [store.days.renew(later(30 * DAY)) for _ in range(5)] == [5, 5, 5, 5, 5]


def test_a_change_while_a_day_is_counted_is_not_lost(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    judged(store)
    judged(store, "r2", "m2")
    read = Days._read

    def read_while_somebody_is_erased(self: Days, day: date, c: sa.Connection) -> Any:
        found = read(self, day, c)
        monkeypatch.setattr(Days, "_read", read)
        store.members.forget("m2", later(2))
        return found

    monkeypatch.setattr(Days, "_read", read_while_somebody_is_erased)
    store.days.renew(later(1))
    assert kept(store, 3) == truth(store)


def test_hosts_beyond_the_first_are_counted_together(store: Store) -> None:
    for n in range(22):
        urls = [f"https://h{n:02}.example.com/1.jpg"]
        job = a_job(f"r{n}", f"m{n}", photo_urls=urls, selfie_url="https://a.example.com/s.jpg")
        store.requests.accept(job, "verify", later(0))
        attempt = store.requests.acquire(f"r{n}", "w", LEASE, MOST, later(0))
        assert isinstance(attempt, Attempt)
        store.requests.finish(attempt, a_verdict(selfie=SELFIE, photos=PHOTOS[:1]), later(0))
    (counts,) = kept(store, 1).values()
    assert len(counts.hosts) == 21
    assert (counts.hosts["a.example.com"], counts.hosts["*"]) == ([22, 0], [3, 0])
