"""`python -m worker forget MEMBER` and `unbar MEMBER`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict

import click
from rich.table import Table

from pipeline.terminal import console, new_table
from worker import runtime
from worker.cli.output import by_option, operator, print_json
from worker.cli.records import note_absent, note_access
from worker.client.identifiers import is_identifier
from worker.clock import utc_now
from worker.store import Store


@click.command()
@click.argument("member_id", metavar="[MEMBER]", required=False)
@click.option("--barred", is_flag=True, help="In place of MEMBER: all whose ID is barred and who are back.")
@click.option("--yes", is_flag=True, help="Do not ask: for scripts.")
@click.option("--unknown", is_flag=True, help="Bar the ID even if nothing is stored about it.")
@click.option("--json", "as_json", is_flag=True, help="The outcome as JSON.")
def forget(member_id: str | None, barred: bool, yes: bool, unknown: bool, as_json: bool) -> None:
    """Erase all that is stored about a member, for good, and keep the member from coming back.

    Shows what there is, and asks. Only a keyed hash of the ID stays, in a tombstone and in the records of who
    looked. A job that runs now writes nothing any
    more; an import refuses the member's row and says why; a sign-up that comes later is refused and becomes
    a dead job without its content. `unbar` allows the ID again.

    --barred: after the restore of a backup from before some erasures, and of the tombstones since.
    """
    if barred is (member_id is not None):
        raise click.UsageError("a MEMBER, or --barred")
    if member_id is None:
        _forget_again(yes=yes, as_json=as_json)
        return
    if not is_identifier(member_id):
        raise click.BadParameter("1 to 64 ASCII characters without spaces", param_hint="MEMBER")
    _warn_without_key()
    store = runtime.store()
    _make_sure(store, member_id, yes=yes, unknown=unknown)
    _note(member_id, "erase")
    forgotten = store.members.forget(member_id, utc_now())
    if as_json:
        print_json({"forgotten": member_id, **asdict(forgotten)})
        return
    console().print(_table(f"Forgotten: {member_id}", "removed", forgotten.removed))
    if forgotten.records:
        click.echo(f"Records of who looked stay, under a keyed hash: {forgotten.records:,}.")
    if forgotten.not_emptied:
        table, columns = runtime.settings().mapped_table, ", ".join(forgotten.not_emptied)
        click.echo(f"Not emptied, for {table} does not take it: {columns}. Change them in SQL.")


def _forget_again(*, yes: bool, as_json: bool) -> None:
    """Erase whoever is stored although a tombstone bars the ID."""
    _warn_without_key()
    store = runtime.store()
    back = store.members.barred()
    if back and not yes:
        click.confirm(f"Erase {len(back):,} members whose IDs are barred, for good?", abort=True, err=True)
    for member_id in back:
        _note(member_id, "erase")
        store.members.forget(member_id, utc_now())
    if as_json:
        print_json({"forgotten_again": len(back)})
        return
    click.echo(f"Members whose IDs are barred and who were back: {len(back):,}, erased again.")


def _warn_without_key() -> None:
    if not runtime.settings().secret:
        click.echo(
            "Warning: VERIFY_TOMBSTONE_KEY is not set: who was forgotten can be found out by trying IDs, "
            "and once it is set they are no longer barred.",
            err=True,
        )


def _make_sure(store: Store, member_id: str, *, yes: bool, unknown: bool) -> None:
    """A mistyped ID would bar somebody else. Who is barred already may be forgotten again."""
    found = store.members.stored_about(member_id)
    if not any(found.values()) and not unknown and not store.members.forgotten([member_id]):
        raise click.ClickException(
            f"nothing is stored about {member_id}: is the ID right? --unknown bars it all the same"
        )
    if yes:
        return
    _note(member_id, "look")
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask on: --yes goes ahead")
    console(stderr=True).print(_table(f"Stored about {member_id}", "would be removed", found))
    click.confirm("Erase all this for good, and bar the ID?", abort=True, err=True)


def _note(member_id: str, way: str) -> None:
    if not note_access([member_id], "forget", way):
        note_absent(member_id, "forget", way)


def _table(title: str, column: str, rows: Mapping[str, int]) -> Table:
    table = new_table(column, "rows", title=title)
    for name, number in rows.items():
        table.add_row(name, f"{number:,}")
    return table


@click.command()
@click.argument("member_id", metavar="MEMBER")
@by_option
def unbar(member_id: str, by: str | None) -> None:
    """Allow the ID of a forgotten member again: it was barred by mistake, or the member came back.

    Who did it, and when, goes on record. What was erased does not come back, and a sign-up that was
    refused meanwhile was not kept: the app must send it again.
    """
    name = operator(by)
    note_absent(member_id, "unbar", "lift", name)
    lifted = runtime.store().members.lift(member_id, name, utc_now())
    since = f"{lifted.forgotten_at:%Y-%m-%d %H:%M} UTC"
    click.echo(f"{member_id} is barred no more, says {name} (it was since {since}).")
    if lifted.refused:
        numbers = " ".join(map(str, lifted.refused))
        click.echo(
            f"Refused meanwhile, for the app to send again: dead jobs {numbers}. Then: dismiss {numbers}"
        )
