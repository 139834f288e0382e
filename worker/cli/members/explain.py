"""`python -m worker explain MEMBER`."""

from __future__ import annotations

from collections.abc import Iterator

import click
from rich.text import Text

from pipeline.terminal import console
from worker import runtime
from worker.cli.output import print_json, viewer
from worker.cli.records import note_absent, note_access
from worker.client.identifiers import is_identifier
from worker.clock import utc_now
from worker.operating.member_file import has_claim_on
from worker.results.explained import Terms
from worker.results.letter import Letter, letter
from worker.results.texts import Language
from worker.store import Store

_WIDTH = 76
"""Columns; a Korean letter takes two."""


@click.command()
@click.argument("member_id", metavar="MEMBER")
@click.option("--ko", is_flag=True, help="In Korean.")
@click.option("--json", "as_json", is_flag=True, help="The same facts, as JSON.")
def explain(member_id: str, ko: bool, as_json: bool) -> None:
    """Explain to a member what was decided, by a program or a person, when, on which photos, by which limits.

    Plain text that can be handed to the member (Korea's PIPA, article 37-2): nothing of what was suspected or
    guessed is in it, and no name of a reviewer. That you asked goes on record.
    """
    if ko and as_json:
        raise click.UsageError("--json has both languages: leave --ko out")
    store = runtime.store()
    way = "json" if as_json else "ko" if ko else "en"
    if not note_access([member_id], "explain", way):
        raise click.ClickException(_nobody(store, member_id, way))
    _refuse_who_decides(store, member_id)
    facts = store.explanations.of_member(member_id, Terms.of(runtime.settings()), utc_now())
    if facts is None:  # erased since
        raise click.ClickException(_nobody(store, member_id, way))
    if as_json:
        print_json(facts)
        return
    for line in _lines(letter(facts, Language.KO if ko else Language.EN)):
        click.echo(line)


def _nobody(store: Store, member_id: str, way: str) -> str:
    if not is_identifier(member_id) or not store.members.forgotten([member_id]):
        return f"no member {member_id}"
    note_absent(member_id, "explain", way)
    return f"{member_id} was erased: nothing is stored that could be explained"


def _refuse_who_decides(store: Store, member_id: str) -> None:
    """What was decided before must not influence who decides now."""
    if has_claim_on(store, viewer(), member_id, utc_now()):
        raise click.ClickException(
            f"you have the case of {member_id}: decide first, or let somebody else explain"
        )


def _lines(text: Letter) -> Iterator[str]:
    """Wrapped, without colours."""
    yield text.title
    for paragraph in text.about:
        yield ""
        yield from _wrapped(paragraph.text)
    for number, section in enumerate(text.sections, start=1):
        yield ""
        yield ""
        yield from _wrapped(f"{number}. {section.heading}")
        for paragraph in section.paragraphs:
            yield ""
            yield from _wrapped(paragraph.text)
            for point in paragraph.points:
                yield from _wrapped(point, "- ")


def _wrapped(text: str, bullet: str = "") -> Iterator[str]:
    for number, line in enumerate(Text(text).wrap(console(), _WIDTH - len(bullet))):
        yield f"{' ' * len(bullet) if number else bullet}{line.plain.rstrip()}"
