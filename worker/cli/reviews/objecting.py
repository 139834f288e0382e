"""`review object MEMBER`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import click

from worker import runtime
from worker.cli.output import by_option, operator
from worker.cli.records import note_access
from worker.client.message import EARLIEST
from worker.clock import utc_now
from worker.store import NewObjection

_EASTERNMOST: Final = timedelta(hours=14)
"""So much earlier than in UTC a day begins somewhere: where the letter lies it is that day already."""


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
    if not EARLIEST <= came <= now + _EASTERNMOST:
        raise click.BadParameter("must be a day since 2020, and not to come", param_hint="--received")
    note_access([member_id], "review", "object", name)
    objections = runtime.store().reviews.objections
    objections.record(NewObjection(member_id, came, by=name), now)
    due = next(one.due_at for one in objections.of_member(member_id) if one.answer is None)
    click.echo(f"{member_id} objects, says {name}: the answer is due by {due:%Y-%m-%d}.")
