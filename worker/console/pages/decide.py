"""What a reviewer makes of the case in hand, and taking it back within a minute."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from starlette.responses import Response
from starlette.routing import Route

from worker.console.guard import Guard, MenuEntry
from worker.console.pages.case import (
    PATH,
    Notice,
    in_hand,
    position_of,
    posted_claim,
    refused,
    show_claim,
    show_next,
    start,
    why,
)
from worker.console.roles import Permission
from worker.console.visit import Visit
from worker.errors import NotPossible
from worker.store import Ruling, ruling
from worker.store.tables.states import Choice

MENU: tuple[MenuEntry, ...] = ()


def routes(guard: Guard) -> list[Route]:
    """Of deciding."""
    posts = {"decide": _decide, "undo": _undo}
    return [
        guard.page(f"{PATH}/{name}", handler, Permission.REVIEW, method="POST")
        for name, handler in posts.items()
    ]


def _decide(visit: Visit) -> Response:
    """Written down; the next case comes at once."""
    store = visit.services.store
    try:
        claim, what = posted_claim(visit), _ruling(visit.form)
        visit.note_member(claim.member_id, "review", what.choice)
        store.reviews.decisions.decide(claim, what, visit.now)
        visit.services.photos.drop(claim.request_id)
    except NotPossible as error:
        return refused(visit, error, given=visit.form)
    return show_next(visit)


def _ruling(form: Mapping[str, str]) -> Ruling:
    """Raises NotPossible."""
    word = form.get("choice", "")
    if word not in [*Choice]:
        raise NotPossible("nothing was chosen", "no_choice")
    choice, number = Choice(word), position_of(form.get("photo"))
    note = form.get("note", "").replace("\r\n", "\n").replace("\n", " ")
    code = form.get(f"code-{choice}", "")
    return ruling(choice, code, number if choice is Choice.NEW_PHOTO else None, note)


def _undo(visit: Visit) -> Response:
    """The case waits again, for anybody; the one in hand goes back, so that the next is most likely this."""
    try:
        undone = visit.services.store.reviews.undoing.undo(visit.person.name, visit.now)
    except NotPossible as error:
        notice, claim = why(error, visit.words), in_hand(visit)
        if claim is None:
            return start(visit, notice, status=409)
        return show_claim(visit, claim, notice, status=409)
    visit.note_member(undone.member_id, "review", "undo")
    _give_back(visit)
    return show_next(visit, Notice("good", visit.words("undo.done", member=undone.member_id)))


def _give_back(visit: Visit) -> None:
    """What was answered of it stays."""
    claim = in_hand(visit)
    if claim is not None:
        with suppress(NotPossible):  # it was lost at this very moment
            visit.services.store.reviews.queue.release(claim, visit.now)
