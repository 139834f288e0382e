"""What happened on one day, counted from the tables."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from pipeline.bundles.reference import BINS, bin_of
from pipeline.verdict import Outcome
from worker.jobs.links import name_of, urls_of
from worker.store.tables.people import is_undone
from worker.store.tables.schema import Tables
from worker.store.tables.states import State

KOREA: Final = timezone(timedelta(hours=9), "KST")
"""The day is that of the operator and the members. Korea has had no summer time since 1988."""
MOST_HOSTS: Final = 20
"""Hosts that a day names, those with most photos; the others are one."""
OTHERS: Final = "*"
_HOST_LENGTH: Final = 100
_STEP: Final = timedelta(hours=4)
"""Requests of so long are read at once: a day of an import may have many."""
_UNSEEN: Final = (Outcome.NOT_FETCHED, Outcome.INVALID_IMAGE)
"""Outcomes of what is no picture: no face can be missing there."""


@dataclass(frozen=True, slots=True)
class DayCounts:
    """Of one day; none of the sandbox."""

    verdicts: Mapping[str, int] = field(default_factory=dict)
    """The machine's, by status, of requests that ended; `review` was handed to people."""
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Of these."""
    people: Mapping[str, int] = field(default_factory=dict)
    """Decisions of people by status, without those that were taken back."""
    similarity: Mapping[str, list[int]] = field(default_factory=dict)
    """How many similarities that decided lie in each bin (`pipeline.bundles.reference`), by head."""
    hosts: Mapping[str, list[int]] = field(default_factory=dict)
    """By host: photos that were pictures, and those among them without a face."""

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def day_of(moment: datetime) -> date:
    """The day in Korea."""
    return moment.astimezone(KOREA).date()


def bounds(day: date) -> tuple[datetime, datetime]:
    """From the first moment of a day up to the next one's, in UTC."""
    start = datetime.combine(day, time(), KOREA).astimezone(UTC)
    return start, start + timedelta(days=1)


def count_day(c: sa.Connection, t: Tables, day: date) -> DayCounts:
    """The truth, within one reading."""
    verdicts, reasons = Counter[str](), Counter[str]()
    similarity: defaultdict[str, list[int]] = defaultdict(lambda: [0] * BINS)
    hosts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for start, end in _steps(day):
        messages: dict[str, Any] = {}
        for row in c.execute(_ended(t, start, end)):
            messages[row.request_id] = row.message
            verdicts[row.status] += 1
            reasons[row.reason] += 1
            if row.similarity is not None:
                similarity[row.model_version or ""][bin_of(row.similarity)] += 1
        for host, no_face in _pictures(c, t, (start, end), messages):
            hosts[host][0] += 1
            hosts[host][1] += no_face
    return DayCounts(dict(verdicts), dict(reasons), _decided(c, t, day), dict(similarity), _named(hosts))


def _steps(day: date) -> Iterator[tuple[datetime, datetime]]:
    start, end = bounds(day)
    while start < end:
        yield start, start + _STEP
        start += _STEP


def _during(t: Tables, start: datetime, end: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """Requests that ended then with a verdict, and were not overtaken by newer ones."""
    v = t.verification
    # Both values of the first column, so that the index of both finds the time.
    when = (v.c.has_links.in_([True, False]), v.c.finished_at >= start, v.c.finished_at < end)
    return (*when, v.c.state.in_([State.DONE, State.DEAD]), v.c.status.is_not(None), sa.not_(v.c.sandbox))


def _ended(t: Tables, start: datetime, end: datetime) -> sa.Select[Any]:
    v = t.verification
    columns = (v.c.request_id, v.c.status, v.c.reason, v.c.similarity, v.c.model_version, v.c.message)
    return sa.select(*columns).where(*_during(t, start, end))


def _pictures(
    c: sa.Connection, t: Tables, span: tuple[datetime, datetime], messages: Mapping[str, Any]
) -> Iterator[tuple[str, bool]]:
    """Of each photo that was a picture: its host, and whether no face was in it."""
    v, vp = t.verification, t.verification_photo
    seen = sa.select(vp.c.request_id, vp.c.position, vp.c.outcome).join(v, v.c.request_id == vp.c.request_id)
    urls: dict[str, list[str]] = {}
    for row in c.execute(seen.where(*_during(t, *span), vp.c.outcome.not_in(_UNSEEN))):
        if row.request_id not in urls:
            urls[row.request_id] = list(urls_of(messages.get(row.request_id, {})))
        if row.position < len(urls[row.request_id]):
            yield _host(urls[row.request_id][row.position]), row.outcome == Outcome.NO_FACE


def _host(url: str) -> str:
    """Of an address that was checked when it came in."""
    return _host_of("/".join(url.split("/", 3)[:3]))


@lru_cache(maxsize=1024)
def _host_of(origin: str) -> str:
    return name_of(origin)[0][:_HOST_LENGTH]


def _named(hosts: Mapping[str, list[int]]) -> dict[str, list[int]]:
    """The hosts with most photos, the others together."""
    order = sorted(hosts, key=lambda host: (-hosts[host][0], host))
    found = {host: hosts[host] for host in order[:MOST_HOSTS]}
    if rest := [hosts[host] for host in order[MOST_HOSTS:]]:
        found[OTHERS] = [sum(counts) for counts in zip(*rest, strict=True)]
    return found


def _decided(c: sa.Connection, t: Tables, day: date) -> dict[str, int]:
    d, v = t.decision, t.verification
    start, end = bounds(day)
    query = sa.select(d.c.status, sa.func.count()).join(v, v.c.request_id == d.c.request_id)
    query = query.where(d.c.decided_at >= start, d.c.decided_at < end, ~is_undone(d), sa.not_(v.c.sandbox))
    return dict(map(tuple, c.execute(query.group_by(d.c.status))))
