"""`python -m worker review [MEMBER approve|reject]`."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import click

from pipeline.terminal import console, new_table
from pipeline.verdict import Status
from worker import runtime
from worker.cli.output import by_option, operator, print_json
from worker.clock import utc_now
from worker.results.texts import operator_text
from worker.store import Store
from worker.store.members.records import WaitingReview

_DECISIONS: Final = {"approve": Status.APPROVED, "reject": Status.REJECTED}


@click.command()
@click.argument("member_id", metavar="[MEMBER", required=False)
@click.argument("decision", metavar="(approve|reject)]", type=click.Choice(list(_DECISIONS)), required=False)
@by_option
@click.option("--request", "request_id", metavar="ID", help="Only if this is still the newest request.")
@click.option("--json", "as_json", is_flag=True, help="The list, or the decision, as JSON.")
def review(
    member_id: str | None, decision: str | None, by: str | None, request_id: str | None, as_json: bool
) -> None:
    """Decide about a member; with nothing named: list those who wait for it, the longest waiting first.

    The decision is about the member's newest request and stands until a newer one. A review stays open,
    whatever later requests say, until somebody has decided; only where the machine was in doubt a better
    photo ends it. Look at the member first (`show MEMBER`); --request ID makes sure that it is still the
    one you looked at.
    """
    store = runtime.store()
    if member_id is None:
        _list(store, as_json, utc_now())
        return
    if decision is None:
        raise click.UsageError("say approve or reject")
    name = operator(by)
    done = store.reviews.decide(member_id, _DECISIONS[decision], name, utc_now(), request_id=request_id)
    if as_json:
        print_json({"member_id": member_id, "decided_by": name, "decision": done})
        return
    before = f"{done.previous_status}, {done.previous_reason or '-'}"
    click.echo(f"{member_id}: {done.status}, says {name} (request {done.request_id}; before: {before}).")


def _list(store: Store, as_json: bool, now: datetime) -> None:
    waiting = store.reviews.waiting()
    if as_json:
        print_json(waiting)
        return
    if not waiting:
        click.echo("Nobody waits for a review.")
        return
    table = new_table("member", "waits", "reason", "opened by", "newest request", "which says")
    for one in waiting:
        age = "-" if one.since is None else str(now - one.since).partition(".")[0]
        reason = f"{one.reason}: {_in_words(one)}" if one.reason else "-"
        said = " ".join(filter(None, (one.newest_status or one.newest_state, one.newest_reason)))
        newest = ("the same", "") if one.request_id == one.opened_by else (one.request_id or "-", said)
        member = f"{one.member_id}{' (sandbox)' if one.sandbox else ''}"
        table.add_row(member, age, reason, one.opened_by or "-", *newest)
    console().print(table)


def _in_words(one: WaitingReview) -> str:
    """What the reason means, and what it is about in this case."""
    about = f" Tries before: {one.tries}." if one.tries is not None else ""
    if one.photos_of:
        about += f" The photos are in: {', '.join(one.photos_of)}."
    return (operator_text(one.reason) if one.reason else "") + about
