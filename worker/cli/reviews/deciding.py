"""`review decide`, `undo`, `reopen` and `reasons`."""

from __future__ import annotations

import click

from pipeline.terminal import console, new_table
from worker import runtime
from worker.cli.output import by_option, operator, print_json
from worker.cli.records import note_access
from worker.cli.reviews.claimed import claimed, json_option, member_option
from worker.cli.reviews.pages import CHOICES
from worker.clock import utc_now
from worker.results.reviewer_reasons import ReviewReason, review_reason_text
from worker.results.texts import Language
from worker.store import Effect, Ruled, ruling
from worker.store.reviews.ruling import CODES
from worker.store.tables.states import Choice


@click.command()
@click.argument("choice", metavar="(approve|reject|new-photo|escalate)", type=click.Choice(list(CHOICES)))
@click.option("--reason", "code", metavar="CODE", help="What you see, always needed: `review reasons`.")
@click.option("--photo", type=int, metavar="NUMBER", help="Which photo is to be replaced; 0 is the selfie.")
@click.option("--note", metavar="TEXT", help="For colleagues, 1,000 characters at most.")
@by_option
@member_option
@json_option
def decide(
    choice: str,
    code: str | None,
    photo: int | None,
    note: str | None,
    by: str | None,
    member_id: str | None,
    as_json: bool,
) -> None:
    """Decide your case, after a look and an answer about every photo.

    `new-photo` asks the member for another photo and says what is wrong with it. `escalate` hands the
    case to others. Within a minute `review undo` takes it back.
    """
    store, name, now = runtime.store(), operator(by), utc_now()
    if code is None:
        raise click.UsageError("say what you see: --reason CODE; `review reasons` lists them")
    what = ruling(CHOICES[choice], code, photo, note)
    claim = claimed(store, name, member_id, now)
    note_access([claim.member_id], "review", choice, name)
    done = store.reviews.decisions.decide(claim, what, now)
    if as_json:
        print_json({"decided_by": name, "decision": done})
    else:
        click.echo(f"{done.member_id}: {_in_words(done)}, says {name} (request {done.request_id}).")


def _in_words(done: Ruled) -> str:
    if done.effect is Effect.WAITS:
        return f"{done.choice}; somebody else must come to the same before it counts"
    if done.effect is Effect.ESCALATED and done.choice is not Choice.ESCALATE:
        return f"{done.choice}, and somebody else said otherwise: escalated"
    return "escalated" if done.effect is Effect.ESCALATED else f"{done.status}"


@click.command()
@by_option
def undo(by: str | None) -> None:
    """Take back what you decided within the last minute; the case waits again."""
    name = operator(by)
    done = runtime.store().reviews.undoing.undo(name, utc_now())
    note_access([done.member_id], "review", "undo", name)
    stands = f"{done.status or 'no verdict'}, {done.reason or '-'}"
    click.echo(f"{done.member_id}: {done.choice} is taken back, says {name}; the verdict: {stands}.")


@click.command()
@click.argument("member_id", metavar="MEMBER")
@by_option
def reopen(member_id: str, by: str | None) -> None:
    """Open a case about a member, so that a person looks (again) at what was decided.

    The verdict stands until then. The case comes with `review next`, like any other.
    """
    name = operator(by)
    note_access([member_id], "review", "reopen", name)
    runtime.store().reviews.decisions.reopen(member_id, name, utc_now())
    click.echo(f"A case of {member_id} is open, says {name}: it comes with `review next`.")


@click.command()
@json_option
def reasons(as_json: bool) -> None:
    """List the reasons that a decision can have, in Korean and English."""
    fitting = {
        code: [name for name, choice in CHOICES.items() if code in CODES[choice]] for code in ReviewReason
    }
    if as_json:
        texts = {code: {one: review_reason_text(code, one) for one in Language} for code in ReviewReason}
        print_json({code: {"for": fitting[code], **texts[code]} for code in ReviewReason})
        return
    table = new_table("reason", "for", "한국어", "English")
    table.columns[0].no_wrap = True  # to be copied
    for code in ReviewReason:
        words = (review_reason_text(code, one) for one in Language)
        table.add_row(code, ", ".join(fitting[code]), *words)
    console().print(table)
