"""`python -m worker console add | list | reset | close`: accounts of the console."""

from __future__ import annotations

import click

from pipeline.terminal import console as screen
from pipeline.terminal import new_table
from worker import runtime
from worker.cli.output import operator
from worker.cli.records import note_list
from worker.clock import utc_now
from worker.errors import NotPossible
from worker.store.staff.accounts import Invitation
from worker.store.tables.states import Role

_ROLES = click.Choice([role.value for role in Role])
_by = click.option("--by", metavar="NAME", help="Your name, for the history (default: VERIFY_OPERATOR).")
_note = click.option("--note", metavar="TEXT", help="Why, for the history.")


@click.command()
@click.argument("name")
@click.option(
    "--role", "roles", type=_ROLES, multiple=True, required=True, help="May be given several times."
)
@_by
@_note
def add(name: str, roles: tuple[str, ...], by: str | None, note: str | None) -> None:
    """Add a person. Prints what they choose a password and a second factor with."""
    by = operator(by)
    note_list("people", "add", by)
    accounts = runtime.store().staff.accounts
    _show(accounts.add(name, [Role(role) for role in roles], by, utc_now(), note))


@click.command("list")
def list_people() -> None:
    """List the accounts with their roles."""
    note_list("people", "list")
    now = utc_now()
    table = new_table("name", "roles", "state", "last sign-in")
    for one in runtime.store().staff.accounts.all(now):
        state = "closed" if one.closed_at else "invited" if one.invited_until else "active"
        last = f"{one.signed_in_at:%Y-%m-%d %H:%M}" if one.signed_in_at else "-"
        table.add_row(one.name, ", ".join(sorted(one.roles)) or "-", state, last)
    screen().print(table)


@click.command()
@click.argument("name")
@_by
@_note
def reset(name: str, by: str | None, note: str | None) -> None:
    """Make a person's password and second factor void, and invite them anew."""
    by = operator(by)
    note_list("people", "reset", by)
    _show(runtime.store().staff.accounts.reset(_number_of(name), by, utc_now(), note))


@click.command()
@click.argument("name")
@_by
@_note
def close(name: str, by: str | None, note: str | None) -> None:
    """Close an account: it is signed out and loses all roles. Its history stays for three years."""
    by = operator(by)
    note_list("people", "close", by)
    runtime.store().staff.accounts.close(_number_of(name), by, utc_now(), note)
    click.echo(f"{name} is closed.")


def _number_of(name: str) -> int:
    number = runtime.store().staff.accounts.find(name)
    if number is None:
        raise NotPossible(f"there is no open account {name}")
    return number


def _show(invitation: Invitation) -> None:
    click.echo(f"{invitation.name} opens this once, before {invitation.until:%Y-%m-%d %H:%M} UTC:")
    click.echo(f"{runtime.settings().console_at}/enrol#{invitation.code}")
