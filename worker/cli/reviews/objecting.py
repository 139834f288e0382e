"""`review object MEMBER`."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from worker import runtime
from worker.cli.output import by_option, operator
from worker.cli.records import note_access
from worker.client.message import EARLIEST
from worker.clock import utc_now
from worker.store import NewObjection


@click.command("object")
@click.argument("member_id", metavar="MEMBER")
@click.option(
    "--received",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="When the letter came, if not today: 2026-11-20.",
)
@by_option
def object_to_verdict(member_id: str, received: datetime | None, by: str | None) -> None:
    """Write down that a member wants a person to look: by letter or on the telephone.

    The member's case comes first then, and only a decision ends it. The deadline counts from the day on
    which it came.
    """
    name, now = operator(by), utc_now()
    came = now if received is None else received.replace(tzinfo=UTC)
    if not EARLIEST <= came <= now:
        raise click.BadParameter("a day since 2020 that has begun, in UTC", param_hint="--received")
    note_access([member_id], "review", "object", name)
    objections = runtime.store().reviews.objections
    objections.record(NewObjection(member_id, came, by=name), now)
    due = objections.of_member(member_id)[0].due_at
    click.echo(f"{member_id} objects, says {name}: a person answers by {due:%Y-%m-%d}.")
