"""What the system is doing, as a strip of few numbers at the top of a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from worker.console.visit import Visit
from worker.store import WaitingReport


@dataclass(frozen=True, slots=True)
class Cell:
    """One number of the strip."""

    words: str
    """The key of its name."""
    value: str
    kind: str = ""
    """`warn` or `bad` where somebody must do something."""
    path: str = ""
    """The page about it."""


@dataclass(frozen=True, slots=True)
class SystemStrip:
    """For `operating/system.html`, under the name ``system``."""

    cells: Sequence[Cell]
    broker_problem: str | None
    """Why the queue cannot be reached; then requests wait in the database."""


def system_strip(visit: Visit) -> SystemStrip:
    """What waits of `python -m worker status`, as of now; names no member."""
    report = visit.services.store.reports.waiting(visit.now)
    return SystemStrip(tuple(_cells(visit, report)), visit.services.operations.broker.problem())


def _cells(visit: Visit, report: WaitingReport) -> list[Cell]:
    t, backlog = visit.words, report.backlog
    waiting = sum(backlog.queued.values())
    oldest = backlog.oldest_waiting
    minutes = 0 if oldest is None else int(oldest.total_seconds() // 60)
    late = report.cases.overdue
    due = report.objections.due_soon + report.objections.overdue
    failed, head = backlog.failed_since_verdict, report.heads.champion
    events = report.outbox.waiting + report.outbox.parked
    hosts = len({one.host for one in report.refused_heads})
    return [
        Cell("system.waiting", f"{waiting:,}"),
        Cell("system.oldest", t("system.minutes", n=f"{minutes:,}") if waiting else "–"),
        Cell("system.failed", f"{failed:,}", "bad" if failed else ""),
        Cell("system.dead", f"{backlog.dead_jobs:,}", "bad" if backlog.dead_jobs else "", "/jobs"),
        Cell(
            "system.cases",
            t("system.of", n=f"{late:,}", all=f"{report.cases.open:,}"),
            "warn" if late else "",
        ),
        Cell(
            "system.objections",
            t("system.of", n=f"{due:,}", all=f"{report.objections.open:,}"),
            "bad" if report.objections.overdue else "warn" if due else "",
            "/members/objections",
        ),
        Cell("system.events", f"{events:,}", "bad" if report.outbox.parked or report.outbox.paused else ""),
        Cell("system.head", head or t("models.shipped"), "bad" if hosts else "", "/training"),
    ]
