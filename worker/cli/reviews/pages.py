"""What a reviewer sees of a case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import click
from rich.table import Table
from rich.text import Text

from pipeline.terminal import console, new_table
from worker.cli.members.pages import in_words, number, photos_table
from worker.cli.output import STYLES, plain
from worker.operating.member_file import without_query
from worker.results.reviewer_reasons import ReviewReason
from worker.store import CaseView, Evidence, ObjectionCounts, RequestRecord
from worker.store.tables.states import Cause, Choice, PairLabel

WORDS: Final = {
    "same": PairLabel.GENUINE,
    "different": PairLabel.IMPOSTOR,
    "cannot_tell": PairLabel.CANNOT_TELL,
}
"""What a reviewer says of a photo beside the selfie."""
CHOICES: Final = {
    "approve": Choice.APPROVE,
    "reject": Choice.REJECT,
    "new-photo": Choice.NEW_PHOTO,
    "escalate": Choice.ESCALATE,
}
"""What a reviewer may make of a case."""
_CAUSES: Final[Mapping[Cause, str]] = {
    Cause.VERDICT: "the machine asks for a person",
    Cause.CORRECTION: "somebody wants the decision looked at again",
    Cause.OBJECTION: "the member objects",
    Cause.RETRIES: "the machine has asked for another photo again and again",
    Cause.MANUAL: "the app wants a person",
}
SPOKEN: Final = {label: word for word, label in WORDS.items()}


def case_as_json(view: CaseView, *, links: bool) -> dict[str, Any]:
    """The case; ``links``: with addresses that can be opened."""
    photos = [
        {
            "position": photo.position,
            "url": photo.url if links else without_query(photo.url),
            "fetched": photo.fetched,
            "answer": photo.answer and SPOKEN[photo.answer],
        }
        for photo in view.photos
    ]
    return {
        "member_id": view.claim.member_id,
        "yours_until": plain(view.claim.until),
        "photos": photos,
        "to_answer": list(view.to_answer),
        "evidence": plain(view.evidence),
    }


def objections_line(counts: ObjectionCounts) -> str:
    """How many objections wait, and how long they may."""
    late = f"{counts.due_soon:,} near the end of their time, {counts.overdue:,} beyond it"
    return f"Objections without an answer: {counts.open:,}, {late}."


def print_case(view: CaseView, *, links: bool) -> None:
    """The same for a terminal."""
    claim = view.claim
    click.echo(f"The case of {claim.member_id} is yours until {claim.until:%H:%M:%S} UTC.")
    for photo in view.photos:
        name = "selfie" if photo.position == 0 else f"{photo.position}"
        state = "" if photo.fetched else "  (could not be fetched)"
        said = f"  {SPOKEN[photo.answer]}" if photo.answer else ""
        # Not in a table: an address must be whole to be opened.
        click.echo(f"  {name:>6}  {photo.url if links else without_query(photo.url)}{state}{said}")
    if not links and any(urlsplit(photo.url).query for photo in view.photos):
        click.echo("`--links` shows the whole addresses, by which the photos can be opened.")
    if view.to_answer:
        example = " ".join(f"{n}=…" for n in view.to_answer)
        click.echo(f"Is it the person of the selfie? review answer {example} ({', '.join(WORDS)})")
    if view.evidence is not None:
        _print_evidence(view.evidence)
        click.echo(f"Now: review decide ({'|'.join(CHOICES)}) --reason CODE")
        click.echo("The codes: review reasons")


def _print_evidence(evidence: Evidence) -> None:
    out = console()
    out.print(_facts(evidence))
    if evidence.request.selfie:
        out.print(photos_table(evidence.request, title="What the machine found"))
    if evidence.earlier:
        out.print(_earlier_table(evidence.earlier))
    for one in evidence.request.decisions:
        if not one.undone:
            _print_said(one.decided_by, f"{one.status} on {one.decided_at:%Y-%m-%d}", one.code, one.note)
    for vote in evidence.votes:
        _print_said(vote.voted_by, vote.choice, vote.code, vote.note)


def _earlier_table(requests: Sequence[RequestRecord]) -> Table:
    table = new_table("requested", "request", "verdict", "reason", "similarity", title="Earlier requests")
    for one in requests:
        verdict = Text(one.status or "-", STYLES[one.status])
        reason = one.reason or one.problem or "-"
        table.add_row(
            f"{one.requested_at:%Y-%m-%d %H:%M}", one.request_id, verdict, reason, number(one.similarity)
        )
    return table


def _print_said(by: str, what: str, code: ReviewReason | None, note: str | None) -> None:
    """What somebody else has made of it before."""
    click.echo(f"{by}: {what}" + (f", {code}" if code else "") + (f": {note}" if note else ""))


def _facts(evidence: Evidence) -> Table:
    request = evidence.request
    table = new_table("the machine", f"{request.machine_status or '-'}")
    objected = f": {evidence.objected_at:%Y-%m-%d}" if evidence.objected_at else ""
    # The verdict of an earlier request, or of a person, may stand, and its reason is another one then.
    stands = (evidence.reason, evidence.opened_by) != (request.machine_reason, request.request_id)
    verdict = {"the verdict": in_words(evidence.reason), "of request": evidence.opened_by or "-"}
    facts = {
        "the case is open because": f"{_CAUSES[evidence.cause]}{objected}",
        "reason": in_words(request.machine_reason),
        "similarity": number(request.similarity),
        **(verdict if stands else {}),
        **({} if evidence.tries is None else {"tries before": str(evidence.tries)}),
        "declared gender": evidence.declared_gender or "-",
    }
    for name, value in facts.items():
        table.add_row(name, value)
    return table
