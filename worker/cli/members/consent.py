"""`python -m worker consent MEMBER on|off`."""

from __future__ import annotations

import click

from worker import runtime
from worker.cli.output import version_option
from worker.cli.records import note_access
from worker.clock import utc_now
from worker.store.tables.states import Purpose


@click.command()
@click.argument("member_id", metavar="MEMBER")
@click.argument("state", metavar="(on|off)", type=click.Choice(["on", "off"]))
@click.option(
    "--purpose",
    type=click.Choice([purpose.value for purpose in Purpose]),
    default=Purpose.TRAINING.value,
    show_default=True,
    help="What the member agrees to.",
)
@version_option
def consent(member_id: str, state: str, purpose: str, version: str) -> None:
    """Note what a member agrees to: that labelled photos are trained on, or that requests are judged.

    A withdrawal takes effect at once. Training: the member's labels are not used any more, and nothing of the
    member is left in a retraining. Verification: open requests end and new ones are refused (`no_consent`)
    until the member agrees again, and nobody sees or decides an open case; the verdict that stands stays,
    and `forget` erases it.
    """
    note_access([member_id], "consent", f"{purpose} {state}")
    changed = runtime.store().consents.record(
        member_id, Purpose(purpose), utc_now(), given=state == "on", version=version
    )
    name = purpose.capitalize()
    click.echo(f"{name} consent of {member_id}: {state}{'' if changed else ', as it was'}.")
