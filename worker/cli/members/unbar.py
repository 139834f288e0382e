"""`python -m worker unbar MEMBER`."""

from __future__ import annotations

import click

from worker import runtime
from worker.cli.who import by_option, operator
from worker.clock import utc_now


@click.command()
@click.argument("member_id", metavar="MEMBER")
@by_option
def unbar(member_id: str, by: str | None) -> None:
    """Let the ID of a forgotten member in again, where it was barred by mistake or the member came back.

    Who did it, and when, goes on record. What was erased does not come back, and a sign-up that was
    refused meanwhile was not kept: the app must send it again.
    """
    name = operator(by)
    lifted = runtime.store().members.lift(member_id, name, utc_now())
    since = f"{lifted.forgotten_at:%Y-%m-%d %H:%M} UTC"
    click.echo(f"{member_id} is barred no more, says {name} (it was since {since}).")
    if lifted.refused:
        numbers = " ".join(map(str, lifted.refused))
        click.echo(
            f"Refused meanwhile, for the app to send again: dead jobs {numbers}. Then: dismiss {numbers}"
        )
