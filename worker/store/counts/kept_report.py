"""The report about reviewers for a page: computed when it is asked for while there is little, else kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any, Final

from worker.store.counts.tally import Kept
from worker.store.database import Database
from worker.store.reviews.records import AuditReport, ReviewerReport, ReviewReport
from worker.store.reviews.report import ReviewReports
from worker.store.tables.states import Choice
from worker.store.training.records import Audit

SPAN: Final = timedelta(days=28)
COMPUTED_NOW: Final = 2000
"""Up to so many answers and sampled approvals, as they were counted last, it is computed at each question."""


class KeptReport:
    """The report of the last four weeks."""

    def __init__(self, database: Database, reports: ReviewReports, computed_now: int = COMPUTED_NOW) -> None:
        """``computed_now``: see `COMPUTED_NOW`."""
        self._db = database
        self._kept = Kept(database, "reviews")
        self._reports = reports
        self._computed_now = computed_now

    def report(self, now: datetime) -> tuple[ReviewReport, datetime | None]:
        """The report of the last four weeks, and when it was computed: None for just now."""
        row = self._db.read(self._kept.row_on)
        if row is not None and row.counts["size"] > self._computed_now:
            return _report_of(row.counts["report"], row.counted_at), row.counted_at
        return self._reports.report(now - SPAN), None

    def renew(self, now: datetime) -> bool:
        """Compute it again where the last time is ten minutes ago; whether it was so."""
        return self._kept.renew(now, lambda: self._computed(now))

    def _computed(self, now: datetime) -> dict[str, Any]:
        report = self._reports.report(now - SPAN)
        size = report.audit.counts.sampled + sum(one.answers for one in report.reviewers)
        facts = {"reviewers": [asdict(one) for one in report.reviewers], "audit": asdict(report.audit)}
        return {"size": size, "report": facts}


def _report_of(facts: Mapping[str, Any], counted_at: datetime) -> ReviewReport:
    audit = facts["audit"]
    low, high = audit["interval"]
    return ReviewReport(
        since=counted_at - SPAN,
        reviewers=tuple(_reviewer_of(one) for one in facts["reviewers"]),
        audit=AuditReport(Audit(**audit["counts"]), audit["open"], audit["rate"], (low, high)),
    )


def _reviewer_of(facts: Mapping[str, Any]) -> ReviewerReport:
    decisions = {Choice(choice): number for choice, number in facts["decisions"].items()}
    return replace(ReviewerReport(**facts), decisions=decisions)
