"""`python -m worker status`."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipeline.terminal import console, new_table
from worker import runtime
from worker.cli.models.retrain import outcome
from worker.cli.output import STYLES, print_json
from worker.cli.reviews.pages import objections_line
from worker.clock import utc_now
from worker.store import AccessState, OutboxReport, StatusReport, Store

_EVERY_SECONDS: Final = 2.0


@click.command()
@click.option("--watch", is_flag=True, help="Go on until Ctrl-C, every two seconds.")
@click.option("--json", "as_json", is_flag=True, help="As JSON; with --watch one line each time.")
def status(watch: bool, as_json: bool) -> None:
    """Show the state of members, requests, verdicts and queues, and dead jobs.

    The counts of the requests add up to all that were ever accepted; the sandbox is counted by itself. Of
    more than 10,000 requests these two, and members by verdict, are counted by the sweep every ten minutes:
    `counted_at` says when.
    """
    store = runtime.store()
    if not watch:
        _once(store, as_json)
        return
    try:
        _for_ever(store, as_json)
    except KeyboardInterrupt:
        return


def _once(store: Store, as_json: bool, indent: int | None = 2) -> None:
    report = store.reports.status(utc_now())
    if as_json:
        print_json(report, indent)
    else:
        console().print(_picture(report))


def _for_ever(store: Store, as_json: bool) -> None:
    out = console()
    if as_json or not out.is_terminal:
        while True:
            _once(store, as_json, indent=None)
            time.sleep(_EVERY_SECONDS)
    with Live(_picture(store.reports.status(utc_now())), console=out, auto_refresh=False) as live:
        while True:
            time.sleep(_EVERY_SECONDS)
            live.update(_picture(store.reports.status(utc_now())), refresh=True)


def _picture(report: StatusReport) -> Group:
    parts: list[RenderableType] = [_requests(report), _verdicts(report), _waiting(report), _models(report)]
    if report.counted_at:
        parts.insert(2, Text(f"Counted at {report.counted_at:%H:%M:%S} UTC; all that follows is of now"))
    if report.cases.open or report.objections.open:
        parts.append(_people(report))
    if report.access.unusual or report.access.unsigned_breaks:
        parts.append(_access(report.access))
    if report.outbox.waiting or report.outbox.parked or report.outbox.paused:
        parts.append(_outbox(report.outbox))
    if report.sandbox:
        parts.append(Text(f"Sandbox: {report.sandbox:,} members, in none of these counts"))
    if report.training:
        parts.append(Text(outcome(report.training)))
    return Group(*parts, *([_refused(report)] if report.refused_heads else []))


def _requests(report: StatusReport) -> Table:
    table = new_table(*report.requests, "all", title="Requests")
    table.add_row(*(f"{n:,}" for n in report.requests.values()), f"{sum(report.requests.values()):,}")
    return table


def _verdicts(report: StatusReport) -> Table:
    """Members by standing verdict; the rest have none yet."""
    table = new_table(*report.verdicts, "none yet", "all", title="Members")
    without = report.members - sum(report.verdicts.values())
    counts = [Text(f"{n:,}", STYLES[status]) for status, n in report.verdicts.items()]
    table.add_row(*counts, f"{without:,}", f"{report.members:,}")
    return table


def _waiting(report: StatusReport) -> Table:
    waiting = ", ".join(f"{queue} {n:,}" for queue, n in report.queued.items()) or "nothing"
    table = new_table(
        *("unfinished", "oldest", "members without a request", "lapsed leases", "failed since verdict"),
        "dead jobs",
        title="Waiting",
    )
    table.add_row(
        waiting,
        _age(report.oldest_waiting),
        f"{report.pending:,}",
        f"{report.lapsed:,}",
        Text(f"{report.failed_since_verdict:,}", "red" if report.failed_since_verdict else "dim"),
        Text(f"{report.dead_jobs:,}", "red" if report.dead_jobs else "dim"),
    )
    return table


def _people(report: StatusReport) -> Text:
    """What waits for people."""
    cases, objections = report.cases, report.objections
    text = Text(f"Cases: {cases.open:,} open, ")
    text.append(f"{cases.overdue:,} overdue", "red" if cases.overdue else "")
    if objections.open:
        red = objections.due_soon or objections.overdue
        text.append(f"\n{objections_line(objections)}", "red" if red else "")
    return text


def _access(access: AccessState) -> Text:
    """What is unusual about the records of access."""
    lines = [
        f"{one.account} opened {one.members:,} members in a day; the other reviewers: {one.usual:,.0f}"
        for one in access.unusual
    ]
    if access.unsigned_breaks:
        places = f"{access.unsigned_breaks:,} places"
        lines.append(f"The access log does not hold together, at {places}: `access --verify`")
    return Text("\n".join(lines), "red")


def _outbox(outbox: OutboxReport) -> Text:
    """Events that the app has not had yet; `python -m worker events` says more."""
    text = Text(f"Events: {outbox.waiting:,} waiting, the oldest for {_age(outbox.oldest)}; ")
    text.append(f"{outbox.parked:,} parked", "red" if outbox.parked else "")
    for endpoint, problem in outbox.paused.items():
        text.append(f"\nEndpoint {endpoint} fails and is left alone for a while: {problem}", "red")
    return text


def _models(report: StatusReport) -> Text:
    shadows = f"; in shadow: {', '.join(report.shadows)}" if report.shadows else ""
    return Text(f"Head: {report.champion or 'as shipped with each host'}{shadows}")


def _refused(report: StatusReport) -> Table:
    """Hosts that go on with another head than they should."""
    table = new_table("head", "refused by", "since (UTC)", "because", title="Heads that are not used")
    table.title_style = "bold red"
    for one in report.refused_heads:
        when = f"{one.refused_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(one.version, one.host, when, one.problem)
    return table


def _age(age: timedelta | None) -> str:
    return "-" if age is None else str(timedelta(seconds=int(age.total_seconds())))
