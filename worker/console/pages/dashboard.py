"""The dashboard: what waits, what was decided and by whom, and whether anything has changed.

People who review see how many cases wait, and their own figures. What tells of the blind audit is shown to
nobody who reviews: by a number that moves, an audit could be told from other cases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route

from pipeline.verdict import Status
from worker.console.charts import Columns, columns, similarity_chart
from worker.console.guard import Guard, MenuEntry
from worker.console.roles import Permission
from worker.console.spans import age_in_words
from worker.console.visit import Visit
from worker.serving.references import DescribedHead
from worker.store import ObjectionCounts, ReviewReport
from worker.store.counts.backlog import Backlog
from worker.store.counts.day import OTHERS, day_of
from worker.store.counts.days import Day
from worker.store.counts.drift import Drift, drift, reason_drift, similarities, summed
from worker.store.tables.states import ModelState

MENU: Final = (MenuEntry("nav.dashboard", "/dashboard", Permission.FIGURES),)
_SPAN: Final = 28
"""Days of the charts."""
_WEEK: Final = 7
_ORDER: Final = (Status.APPROVED, Status.RETRY_PHOTO, Status.REJECTED, Status.REVIEW, Status.ERROR)
_BY_MACHINE: Final = (Status.APPROVED, Status.RETRY_PHOTO, Status.REJECTED)
_DECIDERS: Final = ("machine", "people")
_MOST_REASONS: Final = 10
_MOST_HOSTS: Final = 10
_MOST_MODELS: Final = 8


def routes(guard: Guard) -> list[Route]:
    """Of this page."""
    return [guard.page("/dashboard", _dashboard, Permission.FIGURES, records="dashboard")]


def _dashboard(visit: Visit) -> Response:
    store = visit.services.store
    reviewers = _reviewers(visit)
    values: dict[str, Any] = {"keys": _key_figures(visit), "reviewers": reviewers}
    if visit.may(Permission.REVIEWERS):
        days = store.days.latest(visit.now, _SPAN + _WEEK)
        values |= {"days": _days(visit, days[-_SPAN:]), "hosts": _hosts(days[-_SPAN:])}
        if _sees_machine(visit):
            values |= _machine(visit, days) | {
                "audit": reviewers.report.audit,
                "audit_at": reviewers.counted_at,
            }
    return visit.page("dashboard.html", **values)


def _sees_machine(visit: Visit) -> bool:
    """Whether the machine's reasons, and what the blind audit says of them, may be shown."""
    return not visit.may(Permission.REVIEW)


# What waits


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """A number at the top of the page."""

    name: str
    """Key of its words."""
    value: str
    note: str
    level: str = ""
    """`warn` or `bad`: somebody should do something."""
    link: str | None = None


def _key_figures(visit: Visit) -> list[KeyFigure]:
    t, store = visit.words, visit.services.store
    service = store.reports.waiting(visit.now) if visit.may(Permission.REVIEWERS) else None
    cases = service.cases if service else store.reviews.queue.counts(visit.now)
    pace = store.reviews.reports.pace(visit.now)
    waiting = t("dashboard.waiting.note", claimed=f"{cases.claimed:,}", escalated=f"{cases.escalated:,}")
    overdue = f"{cases.overdue:,}"
    found = [
        KeyFigure("waiting", f"{cases.open - cases.suspended:,}", waiting, link=_link(visit, "/queue")),
        KeyFigure("oldest", age_in_words(pace.oldest, t), t("dashboard.oldest.note")),
        KeyFigure("overdue", overdue, t("dashboard.overdue.note"), "bad" if cases.overdue else ""),
    ]
    if service:
        found += _service_figures(visit, service.backlog, service.objections)
    seconds = None if pace.median_seconds is None else timedelta(seconds=pace.median_seconds)
    note = t("dashboard.pace.note", votes=f"{pace.votes:,}")
    return [*found, KeyFigure("pace", age_in_words(seconds, t), note)]


def _service_figures(visit: Visit, backlog: Backlog, objections: ObjectionCounts) -> list[KeyFigure]:
    t = visit.words
    told = t("dashboard.objections.note", soon=f"{objections.due_soon:,}", late=f"{objections.overdue:,}")
    level = "bad" if objections.overdue else "warn" if objections.due_soon else ""
    queued = backlog.pending + sum(backlog.queued.values())
    behind = t("dashboard.machine_queue.none")
    if backlog.oldest_waiting is not None:
        behind = t("dashboard.machine_queue.note", age=age_in_words(backlog.oldest_waiting, t))
    dead = "warn" if backlog.dead_jobs else ""
    return [
        KeyFigure("objections", f"{objections.open:,}", told, level),
        KeyFigure("dead", f"{backlog.dead_jobs:,}", t("dashboard.dead.note"), dead, _link(visit, "/jobs")),
        KeyFigure("machine_queue", f"{queued:,}", behind),
    ]


def _link(visit: Visit, path: str) -> str | None:
    """Where the person may go there."""
    return path if any(path == entry for _, entry in visit.menu) else None


# What was decided


@dataclass(frozen=True, slots=True)
class DayRow:
    """A day in the tables beside the charts."""

    day: date
    verdicts: Mapping[str, int]
    deciders: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class DayFigures:
    """What was decided on each day."""

    rows: tuple[DayRow, ...]
    verdicts: Columns
    deciders: Columns
    order: Sequence[str]
    totals: Mapping[str, int]
    all: int
    """Requests that ended in the last week."""
    by_machine: float | None
    by_people: int


def _days(visit: Visit, known: Sequence[Day]) -> DayFigures:
    today, by_day = day_of(visit.now), {day.day: day.counts for day in known}
    days = [today - timedelta(days=ago) for ago in reversed(range(_SPAN))]
    rows = []
    for day in days:
        counts = by_day.get(day)
        verdicts = counts.verdicts if counts else {}
        people = sum(counts.people.values()) if counts else 0
        by_machine = sum(verdicts.get(status, 0) for status in _BY_MACHINE)
        rows.append(DayRow(day, verdicts, {"machine": by_machine, "people": people}))
    labels, week = [f"{day.month}/{day.day}" for day in days], rows[-_WEEK:]
    ended = sum(sum(row.verdicts.values()) for row in week)
    alone = sum(row.deciders["machine"] for row in week)
    return DayFigures(
        tuple(rows),
        verdicts=columns(labels, [row.verdicts for row in rows], _ORDER),
        deciders=columns(labels, [row.deciders for row in rows], _DECIDERS),
        order=_ORDER,
        totals=summed([row.verdicts for row in rows]),
        all=ended,
        by_machine=alone / ended if ended else None,
        by_people=sum(row.deciders["people"] for row in week),
    )


@dataclass(frozen=True, slots=True)
class HostRow:
    """Photos of one host."""

    host: str | None
    """None: all others together."""
    photos: int
    no_face: int

    @property
    def share(self) -> float:
        return self.no_face / self.photos if self.photos else 0.0


def _hosts(days: Sequence[Day]) -> list[HostRow]:
    """Those with most photos."""
    photos = summed([{host: counts[0] for host, counts in day.counts.hosts.items()} for day in days])
    faceless = summed([{host: counts[1] for host, counts in day.counts.hosts.items()} for day in days])
    named = [host for host, _ in photos.most_common() if host != OTHERS][:_MOST_HOSTS]
    rest = photos.keys() - set(named)
    found = [HostRow(host, photos[host], faceless[host]) for host in named]
    if rest:
        found.append(HostRow(None, sum(photos[h] for h in rest), sum(faceless[h] for h in rest)))
    return found


# What the machine does


def _machine(visit: Visit, days: Sequence[Day]) -> dict[str, Any]:
    store = visit.services.store
    first = day_of(visit.now) - timedelta(days=_WEEK - 1)
    week, before = ([d for d in days if (d.day >= first) is late] for late in (True, False))
    head = _champion(visit, week)
    return {
        "reasons": _reasons(week, before),
        "reason_drift": reason_drift(week, before),
        **_similarity(head, week, before),
        "models": _models(visit, head),
        "training": store.training_runs.latest(1),
    }


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """Shares of a reason among all verdicts."""

    reason: str | None
    """None: all others together."""
    week: float
    before: float
    count: int


def _reasons(week: Sequence[Day], before: Sequence[Day]) -> list[ReasonRow]:
    mine, theirs = (summed([day.counts.reasons for day in days]) for days in (week, before))
    total, total_before = max(sum(mine.values()), 1), max(sum(theirs.values()), 1)
    order = [reason for reason, _ in (mine + theirs).most_common()]
    rows = [
        ReasonRow(reason, mine[reason] / total, theirs[reason] / total_before, mine[reason])
        for reason in order[:_MOST_REASONS]
    ]
    if rest := order[_MOST_REASONS:]:
        count, earlier = sum(mine[r] for r in rest), sum(theirs[r] for r in rest)
        rows.append(ReasonRow(None, count / total, earlier / total_before, count))
    return rows


def _similarity(head: DescribedHead | None, week: Sequence[Day], before: Sequence[Day]) -> dict[str, Any]:
    """The similarities that the champion found, against its reference and against the weeks before."""
    chart, drifts = None, dict[str, Drift]()
    if head is not None:
        now, earlier = similarities(week, head.version), similarities(before, head.version)
        drifts["days"] = drift(now, earlier)
        if head.reference is not None:
            chart = similarity_chart(head.reference, head.different, own=now)
            if head.reference.genuine is not None:
                drifts = {"reference": drift(now, head.reference.genuine, reference=True), **drifts}
    return {"head": head, "similarity": chart, "drifts": drifts}


def _champion(visit: Visit, days: Sequence[Day]) -> DescribedHead | None:
    judged = summed([{v: sum(bins) for v, bins in day.counts.similarity.items()} for day in days])
    seen = max(judged, key=lambda version: judged[version], default=None)
    references = visit.services.references
    return None if references is None else references.champion(seen)


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A version of the model."""

    version: str
    state: str
    calibrated: bool | None
    published: Any
    shadowed: int
    figures: Mapping[str, Any]


def _models(visit: Visit, head: DescribedHead | None) -> list[ModelRow]:
    found = [
        ModelRow(
            one.version,
            one.state,
            None if one.calibration is None else one.calibration == "calibrated",
            one.created_at,
            one.shadow_verdicts,
            {name: value for name, value in (one.figures or {}).items() if isinstance(value, int | float)},
        )
        for one in visit.services.store.models.latest()[:_MOST_MODELS]
    ]
    if head is not None and not any(one.state == ModelState.CHAMPION for one in found):
        found.insert(0, ModelRow(head.version, "shipped", head.calibrated, None, 0, {}))
    return found


# Who reviews


@dataclass(frozen=True, slots=True)
class Reviewers:
    """What is known of how people review: of all, or of the person alone."""

    report: ReviewReport
    all: bool
    counted_at: Any


def _reviewers(visit: Visit) -> Reviewers:
    report, counted_at = visit.services.store.kept_report.report(visit.now)
    everybody = visit.may(Permission.REVIEWERS)
    own = visit.person.name.lower()
    shown = tuple(one for one in report.reviewers if everybody or one.reviewer == own)
    return Reviewers(ReviewReport(report.since, shown, report.audit), everybody, counted_at)
