"""`review answer PHOTO=WORD …`."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import click

from pipeline.verdict import Gender
from worker import runtime
from worker.cli.output import by_option, operator, print_json
from worker.cli.records import note_access
from worker.cli.reviews.claimed import claimed, json_option, looking, member_option
from worker.cli.reviews.pages import SPOKEN, WORDS
from worker.clock import utc_now
from worker.store.tables.states import PairLabel, Phase


@click.command()
@click.argument("answers", metavar="PHOTO=(same|different|cannot_tell)…", nargs=-1)
@click.option(
    "--gender",
    "genders",
    metavar="PHOTO=(male|female|unknown)",
    multiple=True,
    help="What the face in a photo of somebody else looks like to you; training learns from it.",
)
@by_option
@member_option
@json_option
def answer(
    answers: tuple[str, ...], genders: tuple[str, ...], by: str | None, member_id: str | None, as_json: bool
) -> None:
    """Say of each gallery photo of your case whether it shows the person of the selfie.

    All of them at once, before anything else is shown; without any named here you are asked. They are
    what training learns from. What you say differently after that is kept beside it.
    """
    store, name = runtime.store(), operator(by)
    claim = claimed(store, name, member_id, utc_now())
    words = {n: WORDS[word] for n, word in _pairs(answers, WORDS).items()}
    if not words:
        view = store.reviews.queue.look(claim, looking("photos", name), utc_now())
        words = _ask(view.to_answer)
    looks = {n: Gender(word) for n, word in _pairs(genders, [*Gender]).items()}
    note_access([claim.member_id], "review", "answer", name)
    done = store.reviews.answers.answer(claim, words, utc_now(), genders=looks)
    if as_json:
        given = {one.position: {"answer": SPOKEN[one.label], "phase": one.phase} for one in done.new}
        print_json({"member_id": claim.member_id, "answers": given})
        return
    changed = (
        " (a change, after the evidence)" if any(one.phase is Phase.EVIDENCE for one in done.new) else ""
    )
    said = ", ".join(f"{one.position} {SPOKEN[one.label]}" for one in done.new) or "nothing new"
    click.echo(f"{claim.member_id}: {said}{changed}, says {name}. Now: review show, review decide.")


def _pairs(texts: tuple[str, ...], words: Mapping[str, object] | list[Gender]) -> dict[int, str]:
    """`1=same` by number. Raises UsageError."""
    found: dict[int, str] = {}
    for text in texts:
        number, _, word = text.partition("=")
        if not number.isascii() or not number.isdigit() or word not in words or int(number) in found:
            raise click.UsageError(f"{text[:40]!r}: each photo once, as PHOTO=({'|'.join(words)})")
        found[int(number)] = word
    return found


def _ask(positions: tuple[int, ...]) -> dict[int, PairLabel]:
    if not positions:
        return {}
    if not sys.stdin.isatty():
        raise click.UsageError("say it for each photo: review answer 1=same 2=different 3=cannot_tell")
    choice = click.Choice(list(WORDS))
    return {n: WORDS[click.prompt(f"Photo {n}: the person of the selfie?", type=choice)] for n in positions}
