"""`python -m worker access`: a month's records of who looked at members, for whoever must check them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
from rich.table import Table

from pipeline.terminal import console, new_table
from worker import runtime
from worker.cli.members.chain import chain_lines
from worker.cli.output import by_option, plain, print_json, viewer
from worker.cli.records import access_by, note_list
from worker.clock import utc_now
from worker.errors import NotPossible
from worker.store import Month, MonthState, ReviewState, SignedReview, first_of, month_before, month_of

_WIDTHS_OF_COUNTS: Final = (22, 7, 7, 4, 22)
_WIDTHS_OF_PLACES: Final = (22, 20, 26)
"""With their frames both tables fit into 80 columns."""


def _zone(_: click.Context, __: click.Parameter, value: str) -> ZoneInfo:
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise click.BadParameter("no time zone such as Asia/Seoul") from None


def _first(_: click.Context, __: click.Parameter, value: str | None) -> date | None:
    try:
        return first_of(value) if value else None
    except ValueError:
        raise click.BadParameter("no month such as 2026-11") from None


def _hours(_: click.Context, __: click.Parameter, value: str) -> tuple[int, int]:
    opens, dash, closes = value.partition("-")
    if not (dash and opens.isdecimal() and closes.isdecimal() and int(opens) < int(closes) <= 24):
        raise click.BadParameter("no hours such as 9-19")
    return int(opens), int(closes)


@click.command()
@click.option("--month", callback=_first, metavar="YYYY-MM", help="Default: the month before this one.")
@click.option(
    "--hours", callback=_hours, default="9-19", show_default=True, help="Working hours, Mon to Fri."
)
@click.option("--zone", callback=_zone, default="Asia/Seoul", show_default=True, help="By whose clocks.")
@click.option("--verify", is_flag=True, help="Whether all records are as they were written, of any month.")
@click.option("--sign", is_flag=True, help="Write down that you have checked the month; with --note.")
@click.option("--note", metavar="TEXT", default="", help="What you have checked and found.")
@by_option
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def access(
    month: date | None,
    hours: tuple[int, int],
    zone: ZoneInfo,
    verify: bool,
    sign: bool,
    note: str,
    by: str | None,
    as_json: bool,
) -> None:
    """Show who looked at members or changed something of them in a month, by account and host.

    Whoever is responsible for personal data checks this once a month: accounts and hosts that nobody knows,
    work at night, days with more members than usual, and results that were taken out as JSON. It names no
    member; `show MEMBER --looks` names who looked at one. Then `--sign --note TEXT` says that it was done;
    where your own work is in it, another person signs as well.

    `--verify` follows the chain of all records, and ends with code 1 where one was changed, removed or put
    in.
    """
    if verify and sign:
        raise click.UsageError("either --verify or --sign: signing follows the chain as well")
    wanted = month_before(utc_now(), zone, hours) if month is None else month_of(month, zone, hours)
    if verify:
        _verify(as_json)
    elif sign:
        _sign(wanted, note, by or viewer(), as_json)
    else:
        _report(wanted, zone, as_json)


def _verify(as_json: bool) -> None:
    note_list("access", "verify")
    report = runtime.store().access_chain.verify(utc_now())
    if as_json:
        print_json({"holds": report.holds, **plain(report)})
    else:
        click.echo("\n".join(chain_lines(report)))
    if not report.holds:
        raise SystemExit(1)


def _sign(month: Month, note: str, by: str, as_json: bool) -> None:
    store = runtime.store()
    chain = store.access_chain.verify(utc_now())
    try:
        signed = store.access_reviews.sign(
            month, access_by("access", f"sign {month.name}", by), note, utc_now(), breaks=chain.breaks
        )
    except NotPossible as error:
        raise click.ClickException(f"{error}.") from None
    if as_json:
        print_json(signed)
        return
    click.echo("\n".join([_signed_line(signed), *chain_lines(chain)]))
    if store.access_reviews.signed(month.name).state is ReviewState.NEEDS_ANOTHER:
        click.echo("Your own work is in that month: another person must sign it as well.")


def _report(month: Month, zone: ZoneInfo, as_json: bool) -> None:
    note_list("access", "json" if as_json else "show")
    store = runtime.store()
    rows = [one.as_row() for one in store.access_reviews.count(month).accounts]
    state = store.access_reviews.signed(month.name)
    if as_json:
        hours = (month.opens, month.closes)
        told = {"month": month.name, "zone": str(zone), "hours": hours, "accounts": rows}
        print_json({**told, "state": state.state, "signed": state.signed})
    else:
        _show(month.name, rows)
        click.echo("\n".join(_signatures(state, store.access_reviews.months(utc_now(), zone))))


def _show(month: str, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        click.echo(f"No records of {month}.")
        return
    out = console()
    out.print(_counts(month, rows))
    out.print(_places(rows))


def _counts(month: str, rows: Sequence[dict[str, Any]]) -> Table:
    names = ("account, host", "members", "outside hours", "as JSON", "unusual days")
    table = _narrow(_WIDTHS_OF_COUNTS, *names, title=month)
    for row in rows:
        counts = (f"{row[name]:,}" for name in ("members", "outside_hours", "as_json"))
        table.add_row(f"{row['account']}, {row['host'] or '-'}", *counts, _days(row))
    return table


def _places(rows: Sequence[dict[str, Any]]) -> Table:
    table = _narrow(_WIDTHS_OF_PLACES, "account, host", "login, from", "what")
    for row in rows:
        what = ", ".join(f"{action} {n:,}" for action, n in row["actions"].items())
        table.add_row(
            row["account"], row["host"] or "-", ", ".join([*row["logins"], *row["from"]]) or "-", what
        )
    return table


def _narrow(widths: Sequence[int], *names: str, title: str | None = None) -> Table:
    table = new_table(*names, title=title)
    for column, width in zip(table.columns, widths, strict=True):
        column.max_width = width
    return table


def _days(row: dict[str, Any]) -> str:
    """Against the account's own days, and those on which it opened more than the other reviewers do."""
    more = row["more_than_others"]
    days = {**row["unusual_days"], **more}
    lines = (f"{day}: {n:,}{', more than others' if day in more else ''}" for day, n in sorted(days.items()))
    return "\n".join(lines) or "-"


def _signatures(state: MonthState, months: Sequence[MonthState]) -> list[str]:
    """Of this month; and which of the others are open."""
    lines = [_signed_line(one) for one in state.signed] or [f"{state.month} is not signed."]
    if state.state is ReviewState.NEEDS_ANOTHER:
        lines.append("Whoever signed has own work in that month: another person must sign as well.")
    others = [one.month for one in months if one.state is not ReviewState.DONE and one.month != state.month]
    return lines + ([f"Other months to be signed: {', '.join(others)}"] if others else [])


def _signed_line(signed: SignedReview) -> str:
    own = f", {signed.own_records:,} of them their own" if signed.own_records else ""
    return (
        f"{signed.month} was signed by {signed.checked_by}, {signed.checked_at:%Y-%m-%d %H:%M} UTC "
        f"({signed.records:,} records{own}): {signed.note}"
    )
