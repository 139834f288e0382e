"""`python -m worker consent MEMBER on|off`."""

from __future__ import annotations

import click

from worker import runtime
from worker.clock import utc_now


@click.command()
@click.argument("member_id", metavar="MEMBER")
@click.argument("answer", metavar="(on|off)", type=click.Choice(["on", "off"]))
def consent(member_id: str, answer: str) -> None:
    """Note whether a member agrees that labelled photos are used for training."""
    changed = runtime.store().members.set_consent(member_id, utc_now(), training=answer == "on")
    click.echo(f"Training consent of {member_id}: {answer}{'' if changed else ', as it was'}.")
