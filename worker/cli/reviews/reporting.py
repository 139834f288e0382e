"""`review report`."""

from __future__ import annotations

from datetime import timedelta

import click
from rich.table import Table

from pipeline.terminal import console, new_table
from worker import runtime
from worker.cli.output import print_json
from worker.cli.reviews.claimed import json_option
from worker.clock import utc_now
from worker.store import AuditReport, ReviewerReport, ReviewReport


@click.command()
@click.option("--days", type=click.IntRange(1, 3650), default=90, help="Of how many days (90).")
@json_option
def report(days: int, as_json: bool) -> None:
    """How people decide: cases, agreement, corrections, speed; and the blind audit's error of the machine.

    Agreement is about photos that two people answered blind; kappa is what of it is beyond chance.
    """
    found = runtime.store().reviews.reports.report(utc_now() - timedelta(days=days))
    if as_json:
        print_json(found)
        return
    if found.reviewers:
        console().print(_reviewers(found))
    click.echo(_audit(found.audit))


def _reviewers(found: ReviewReport) -> Table:
    names = ("reviewer", "cases", "approve/reject/new/escalate", "answers", "changed")
    table = new_table(*names, "agreement", "kappa", "overturned", "median time", title="Reviewers")
    for one in found.reviewers:
        table.add_row(*_row(one))
    return table


def _row(one: ReviewerReport) -> tuple[str, ...]:
    return (
        one.reviewer,
        f"{one.cases:,}",
        "/".join(f"{number:,}" for number in one.decisions.values()),
        f"{one.answers:,}",
        f"{one.changed:,}",
        "-" if one.agreement is None else f"{one.agreement:.0%} of {one.compared:,}",
        "-" if one.kappa is None else f"{one.kappa:.2f}",
        f"{one.overturned:,}",
        "-" if one.median_seconds is None else f"{one.median_seconds:.0f} s",
    )


def _audit(audit: AuditReport) -> str:
    counts, (low, high) = audit.counts, audit.interval
    rate = "-" if audit.rate is None else f"{audit.rate:.2%}"
    return (
        f"Blind audit: {counts.sampled:,} approvals sampled, {counts.judged:,} judged, "
        f"{counts.wrong:,} wrong: {rate} (95 %: {low:.2%} to {high:.2%}); {audit.open:,} open."
    )
