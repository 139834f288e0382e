"""`python -m worker label MEMBER PHOTO (genuine|impostor)` and `consent MEMBER on|off`."""

from __future__ import annotations

import click

from pipeline.verdict import Gender
from worker import runtime
from worker.cli.output import by_option, operator, version_option
from worker.cli.records import note_access
from worker.clock import utc_now
from worker.store.tables.states import PairLabel, Purpose


@click.command()
@click.argument("member_id", metavar="MEMBER")
@click.argument("photo", metavar="PHOTO", type=click.IntRange(min=1))
@click.argument("word", metavar="(genuine|impostor)", type=click.Choice([label.value for label in PairLabel]))
@click.option(
    "--gender",
    type=click.Choice([gender.value for gender in Gender]),
    help="The gender of the face in the photo.",
)
@by_option
def label(member_id: str, photo: int, word: str, gender: str | None, by: str | None) -> None:
    """Say whether a gallery photo shows the person of the selfie: the label that training learns from.

    PHOTO is the number that `show` gives it, in the member's latest judged request. A second label of
    the same photo corrects the first.
    """
    name = operator(by)
    done = runtime.store().reviews.label(
        member_id, photo, PairLabel(word), name, utc_now(), gender=Gender(gender) if gender else None
    )
    click.echo(f"Photo {photo} of {member_id} ({done.outcome} by the machine): {word}, says {name}.")
    if done.training_consent:
        click.echo("Training consent: yes.")
    else:
        click.echo("Training consent: no. It counts for audits only, until `consent MEMBER on`.")


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
    until the member agrees again; the verdict that stands stays, and `forget` erases it.
    """
    note_access([member_id], "consent", f"{purpose} {state}")
    changed = runtime.store().consents.record(
        member_id, Purpose(purpose), utc_now(), given=state == "on", version=version
    )
    name = purpose.capitalize()
    click.echo(f"{name} consent of {member_id}: {state}{'' if changed else ', as it was'}.")
