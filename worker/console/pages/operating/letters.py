"""What was decided about a member, as a letter that can be printed and handed over."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from worker.console.guard import Guard
from worker.console.pages.operating.absent import nobody
from worker.console.roles import Permission
from worker.console.visit import Visit, language_of
from worker.operating.member_file import has_claim_on
from worker.results.letter import letter


def routes(guard: Guard) -> list[Route]:
    """Of this page."""
    return [guard.page("/members/letter", _letter, Permission.MEMBERS)]


def _letter(visit: Visit) -> Response:
    """As `python -m worker explain` writes it; the page adds nothing."""
    member_id, store = visit.query("id") or "", visit.services.store
    language = language_of(visit.query("in"))
    if not visit.note_member(member_id, "explain", language):
        return nobody(visit, member_id, "explain", language)
    if has_claim_on(store, visit.person.name, member_id, visit.now):
        return visit.page("operating/decides.html", 409, member_id=member_id)
    facts = store.explanations.of_member(member_id, visit.services.operations.terms, visit.now)
    if facts is None:  # erased since
        return nobody(visit, member_id, "explain", language)
    text = letter(facts, language)
    return visit.page("operating/letter.html", member_id=member_id, letter=text, written_in=language)
