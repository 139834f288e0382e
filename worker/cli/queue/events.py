"""`python -m worker events`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click
from rich.text import Text

from pipeline.terminal import console, new_table
from worker import runtime
from worker.cli.output import print_json
from worker.cli.records import note_list
from worker.clock import utc_now
from worker.store import EndpointReport, ParkedEvent, Store

_MOST: Final = 1000


def _moment(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    """A time of ISO 8601; without a zone it is UTC."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter("no time such as 2026-11-29T07:00 (UTC) or 2026-11-29T16:00+09:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@click.command()
@click.argument("event_ids", metavar="[EVENT_ID]...", nargs=-1)
@click.option("--replay", is_flag=True, help="Send events again.")
@click.option("--endpoint", metavar="NAME", help="With --replay: to this endpoint only.")
@click.option("--since", metavar="TIME", callback=_moment, help="With --replay: all events since then.")
@click.option("--parked", is_flag=True, help="Only list the parked events (the latest 1,000).")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def events(
    event_ids: tuple[str, ...],
    replay: bool,
    endpoint: str | None,
    since: datetime | None,
    parked: bool,
    as_json: bool,
) -> None:
    """Show which events have not arrived at their endpoints, and why; or send them again.

    \b
    --replay              those that are parked, or have failed and wait
    --replay --since TIME all since then, delivered or not
    --replay EVENT_ID…    these, delivered or not
    A receiver knows an event that it has had by its `webhook-id`.
    """
    store = runtime.store()
    note_list("events", "replay" if replay else "list")
    if replay:
        count = store.replays.replay(utc_now(), endpoint=endpoint, since=since, event_ids=event_ids)
        click.echo(f"{count:,} deliveries go out again.")
        return
    if event_ids or endpoint or since:
        raise click.UsageError("EVENT_ID, --endpoint and --since go with --replay")
    _show(store, as_json, with_endpoints=not parked)


def _show(store: Store, as_json: bool, *, with_endpoints: bool) -> None:
    endpoints = store.replays.endpoints(utc_now()) if with_endpoints else []
    parked = store.replays.parked(_MOST)
    if as_json:
        print_json({"endpoints": endpoints, "parked": parked} if with_endpoints else parked)
        return
    if with_endpoints:
        _show_endpoints(endpoints)
    if parked:
        console().print(_parked_table(parked))
    else:
        click.echo("No parked events.")


def _show_endpoints(endpoints: list[EndpointReport]) -> None:
    known = runtime.settings().endpoints
    if not known and not endpoints:
        click.echo("No endpoint: VERIFY_WEBHOOKS and VERIFY_EVENT_STREAM are not set.")
        return
    table = new_table("endpoint", "waiting", "oldest", "parked", "paused until (UTC)", "last problem")
    for one in endpoints:
        name = one.endpoint if one.endpoint in known else f"{one.endpoint} (not in the settings here)"
        until = f"{one.paused_until:%Y-%m-%d %H:%M:%S}" if one.paused_until else "-"
        parked = Text(f"{one.parked:,}", "red" if one.parked else "dim")
        table.add_row(name, f"{one.waiting:,}", _age(one.oldest), parked, until, one.problem or "-")
    console().print(table)


def _parked_table(parked: list[ParkedEvent]) -> Any:
    table = new_table("event", "endpoint", "type", "member", "request", "since", "tries", "last problem")
    for one in parked:
        when = f"{one.occurred_at:%Y-%m-%d %H:%M}"
        ids = (one.member_id or "-", one.request_id or "-")
        table.add_row(one.event_id, one.endpoint, one.type, *ids, when, str(one.attempts), one.problem or "-")
    return table


def _age(age: timedelta | None) -> str:
    return "-" if age is None else str(timedelta(seconds=int(age.total_seconds())))
