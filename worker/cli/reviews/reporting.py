"""`review report`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import click
from rich.table import Table

from pipeline.terminal import console, new_table
from worker import runtime
from worker.cli.output import print_json
from worker.cli.reviews.claimed import json_option
from worker.cli.reviews.pages import CHOICES
from worker.clock import utc_now
from worker.store import AuditReport, ReviewerReport


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
        console().print(_work(found.reviewers))
        console().print(_agreement(found.reviewers))
    click.echo(_audit(found.audit))


def _work(reviewers: Sequence[ReviewerReport]) -> Table:
    table = new_table("reviewer", "cases", *CHOICES, "median time", title="Decisions")
    for one in reviewers:
        median = "-" if one.median_seconds is None else f"{one.median_seconds:.0f} s"
        decided = (f"{one.decisions.get(choice, 0):,}" for choice in CHOICES.values())
        table.add_row(one.reviewer, f"{one.cases:,}", *decided, median)
    return table


def _agreement(reviewers: Sequence[ReviewerReport]) -> Table:
    table = new_table(
        "reviewer", "answers", "changed", "agreement", "kappa", "overturned", title="Answers and agreement"
    )
    for one in reviewers:
        agreement = "-" if one.agreement is None else f"{one.agreement:.0%} of {one.compared:,}"
        kappa = "-" if one.kappa is None else f"{one.kappa:.2f}"
        numbers = (f"{one.answers:,}", f"{one.changed:,}", agreement, kappa, f"{one.overturned:,}")
        table.add_row(one.reviewer, *numbers)
    return table


def _audit(audit: AuditReport) -> str:
    counts, (low, high) = audit.counts, audit.interval
    rate = "-" if audit.rate is None else f"{audit.rate:.2%}"
    return (
        f"Blind audit: {counts.sampled:,} approvals sampled, {counts.judged:,} judged, "
        f"{counts.wrong:,} wrong: {rate} (95 %: {low:.2%} to {high:.2%}); {audit.open:,} open."
    )
