"""`python -m worker import FILE.xlsx`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from pipeline.terminal import console, new_table
from worker import runtime
from worker.broker.publisher import Publisher
from worker.cli.output import print_json, progress, version_option
from worker.cli.queue.enqueue import enqueue_pending, report
from worker.cli.records import access_by
from worker.errors import StoreUnavailable
from worker.importing.error_workbook import RefusedRow
from worker.importing.run import Report, import_workbook
from worker.jobs import queues
from worker.operating.sending import Sent
from worker.store import Change, Store

_MAX_SHOWN: Final = 100


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--dry-run", is_flag=True, help="Only check the file and say what would be done: nothing is written."
)
@click.option(
    "--errors",
    "errors_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where rows that were not imported go (default: FILE.errors.xlsx beside the file).",
)
@click.option("--no-enqueue", is_flag=True, help="Write the members down; request no verification yet.")
@version_option
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
def import_file(
    file: Path, dry_run: bool, errors_file: Path | None, no_enqueue: bool, version: str, as_json: bool
) -> None:
    """Import members from an Excel file and request a verification for each who is new or changed.

    \b
    Columns, in Korean or English, in any order:
      회원번호 / member_id        the app's own ID
      성별 / gender               남, 여 / male, female; may be empty
      갤러리 사진 / photos        links, in several columns or several in one cell
      인증사진 / selfie           one link
      학습 동의 / consent         예, 아니오 / yes, no; may be left out or empty

    A member may stand in several rows, one photo in each; merged cells count for each of their rows.
    A cell that shows a text and leads to an address is that address. IDs are taken as Excel shows them.

    Rows that cannot be imported stop no other member: they come back in a workbook with the reason, to
    be corrected and imported again; all rows of a member come back together. A dry run writes no file and
    prints the reasons. What was not read, or may not be meant, is a warning. Exit status 1 if there are
    rows that cannot be imported.
    """
    if dry_run and errors_file:
        click.echo(f"A dry run writes no file: {errors_file} is left alone.", err=True)
    store = _store(dry_run)
    with progress("rows") as step:
        done = import_workbook(
            file,
            store.members if store else None,
            errors_file=errors_file or file.with_name(f"{file.stem}.errors.xlsx"),
            dry_run=dry_run,
            progress=step,
            by=access_by("import", "file"),
            version=version,
        )
    sent = None if dry_run or no_enqueue or store is None else _enqueue(store)
    if as_json:
        print_json(_as_json(done, sent, dry_run=dry_run))
    else:
        _show(done, compared=store is not None, dry_run=dry_run)
        _remarks(done)
        if sent is not None:
            report(sent)
    if done.refused or (sent and sent.refused):
        sys.exit(1)


def _store(dry_run: bool) -> Store | None:
    """A dry run works without a database, and then cannot say what would change."""
    store = runtime.store()
    if dry_run:
        url = store.database.engine.url
        if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
            click.echo("Not compared with the database: there is none yet", err=True)
            return None
        try:
            store.members.find("-")
        except StoreUnavailable as error:
            click.echo(f"Not compared with the database: {error}", err=True)
            return None
    return store


def _enqueue(store: Store) -> Sent:
    with progress("queued") as step, Publisher.of(runtime.settings()) as publisher:
        return enqueue_pending(store, publisher, queues.BULK, step)


def _as_json(done: Report, sent: Sent | None, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "rows": done.rows,
        **{change: done.changes[change] for change in Change},
        "refused": done.refused,
        "refused_rows": [{"row": row.number, "reason": row.reason} for row in _in_order(done)],
        "errors_file": done.errors_file and str(done.errors_file),
        "sheet": done.sheet,
        "other_sheets": done.other_sheets,
        "unknown_columns": done.columns.unknown,
        "warnings": done.warnings,
        "queued": sent.accepted if sent else 0,
        "not_sent": sent.unsent if sent else 0,
    }


def _show(done: Report, *, compared: bool, dry_run: bool) -> None:
    words = {
        Change.CREATED: "new",
        Change.CHANGED: "changed",
        Change.UNCHANGED: "unchanged",
        Change.FORGOTTEN: "erased before",
    }
    table = new_table("rows", *(words[change] for change in Change), "refused", "warnings")
    counts = [f"{done.changes[change]:,}" if compared else "?" for change in Change]
    table.add_row(f"{done.rows:,}", *counts, f"{done.refused:,}", f"{len(done.warnings):,}")
    if dry_run:
        table.title = "Dry run: nothing was written"
    console().print(table)


def _remarks(done: Report) -> None:
    _first_of([f"Warning: {warning}." for warning in done.warnings])
    if done.errors_file:
        click.echo(
            f"{done.refused:,} rows were not imported; they are in {done.errors_file} with the reason."
        )
    elif done.refused:
        click.echo(f"{done.refused:,} rows would not be imported:")
        _first_of([f"  row {row.number}: {row.reason}" for row in _in_order(done)])


def _first_of(lines: Sequence[str]) -> None:
    for line in lines[:_MAX_SHOWN]:
        click.echo(line)
    if len(lines) > _MAX_SHOWN:
        click.echo(f"and {len(lines) - _MAX_SHOWN:,} more; --json has them all")


def _in_order(done: Report) -> list[RefusedRow]:
    return sorted(done.refused_rows, key=lambda row: row.number)
