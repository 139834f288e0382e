"""`python -m worker retrain`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import click

from pipeline.terminal import console, new_table
from worker import runtime
from worker.broker.publisher import Publisher
from worker.cli.output import print_json, progress, viewer
from worker.clock import utc_now
from worker.operating.retraining import ask
from worker.store import RunRecord, Store
from worker.store.tables.states import RunState

_EVERY_SECONDS: Final = 1.0
_LATEST: Final = "latest"


@click.command()
@click.option("--force", "--now", "force", is_flag=True, help="However few new labels there are.")
@click.option("--wait", is_flag=True, help="Show how far it is until it has ended; exit 1 if it failed.")
@click.option(
    "--report",
    is_flag=False,
    flag_value=_LATEST,
    metavar="[RUN]",
    help="Start nothing; show the report of a run (default: the latest).",
)
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
def retrain(force: bool, wait: bool, report: str | None, as_json: bool) -> None:
    """Retrain on labelled photos of members who consented.

    The verify workers embed the photos when no sign-up waits, the retrain worker trains a head, and the
    gate lets it replace the champion only if it is shown to be no worse. Beat starts
    one by VERIFY_RETRAIN_SCHEDULE. While a run is under way, this reports that one and starts no other.
    """
    store = runtime.store()
    if report is not None:
        _show(_found(store, report), as_json)
        return
    run_id = _ask(store, 0 if force else runtime.settings().retrain_min_labels)
    if wait:
        _wait(store, run_id)


def _found(store: Store, wanted: str) -> RunRecord:
    if wanted != _LATEST and not wanted.isdecimal():
        raise click.UsageError(f"{wanted} is no number of a run")
    run = (
        store.training_runs.find(int(wanted))
        if wanted != _LATEST
        else next(iter(store.training_runs.latest(1)), None)
    )
    if run is None:
        raise click.ClickException("there was no such retraining")
    return run


def _ask(store: Store, at_least: int) -> int:
    if problem := runtime.retrain_problem():
        raise click.ClickException(problem)
    truth = store.labels.truth()
    click.echo(
        f"{truth.labels:,} labels of {truth.members:,} members who consented, {truth.new_labels:,} of them "
        "since the last retraining."
    )
    if not truth.labels:
        raise click.ClickException("there is nothing to learn from: answer in `review`, note `consent`")
    with Publisher.of(runtime.settings()) as publisher:
        done = ask(store, publisher, viewer(), utc_now(), at_least=at_least)
    if done.run is None:
        raise click.ClickException(
            f"fewer than {at_least:,} new labels (VERIFY_RETRAIN_MIN_LABELS); --force goes ahead all the same"
        )
    click.echo(f"Retraining {done.run.run_id} {'is queued' if done.run.new else 'is under way already'}.")
    if done.unsent:
        click.echo(f"Warning: {done.unsent}; the sweep will send it.", err=True)
    return done.run.run_id


def _wait(store: Store, run_id: int) -> None:
    with progress("embedding members") as show:
        run = _until_ended(store, run_id, show)
    click.echo(outcome(run))
    if run.state is RunState.FAILED:
        raise SystemExit(1)


def _until_ended(store: Store, run_id: int, show: Callable[[int, int | None], None]) -> RunRecord:
    said = None
    while True:
        run = _found(store, str(run_id))
        if run.state is not said:
            said = run.state
            click.echo(f"{utc_now():%H:%M:%S} {said}", err=True)
        if run.state.ended:
            return run
        members = store.training_members.progress(run_id)
        show(members.members - members.waiting, members.members or None)
        time.sleep(_EVERY_SECONDS)


def outcome(run: RunRecord) -> str:
    """What became of a run, in a line."""
    when = run.finished_at or run.started_at or run.created_at
    parts = [f"Retraining {run.run_id}", str(run.state), f"{when:%Y-%m-%d %H:%M}", run.version, run.problem]
    return ", ".join(part for part in parts if part)


def _show(run: RunRecord, as_json: bool) -> None:
    if as_json:
        print_json(run)
        return
    out = console()
    out.print(outcome(run))
    report = dict(run.report or {})
    for reason in (report.get("gate") or {}).get("reasons") or []:
        out.print(f"  the gate: {reason}")
    for title, part in report.items():
        out.print(_table(title.replace("_", " "), part))


def _table(title: str, part: object) -> Any:
    table = new_table("", "", title=title)
    table.show_header = False
    for name, value in _flat("", part):
        table.add_row(name, value)
    return table


def _flat(name: str, value: object) -> list[tuple[str, str]]:
    """Nested figures as lines: "fnmr_at_fmr all champion", "0.012"."""
    if isinstance(value, Mapping):
        return [line for key, item in value.items() for line in _flat(f"{name} {key}".strip(), item)]
    if isinstance(value, float):
        return [(name, f"{value:.4g}")]
    if isinstance(value, list):
        return [(name, "; ".join(str(item) for item in value) or "-")]
    return [(name, f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value))]
