"""The case in hand, in two steps: the photos alone, and once they are answered what the machine found.

What may be seen, answered and decided, and by whom, are the store's rules; here is only how it looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from worker.console.guard import Guard, MenuEntry
from worker.console.pages.evidence import evidence_values
from worker.console.pages.photos import address_of
from worker.console.photos.pictures import Shape
from worker.console.photos.watermark import label_of
from worker.console.roles import Permission
from worker.console.visit import Visit, number_of
from worker.console.words import Words
from worker.errors import CaseChanged, CaseGone, CaseSuspended, ClaimLost, NotPossible
from worker.store import CaseView, Claim, Effect, LastChoice
from worker.store.tables.states import PairLabel

MENU: Final = (MenuEntry("nav.review", "/review", Permission.REVIEW),)
PATH: Final = "/review"
LABELS: Final = (PairLabel.GENUINE, PairLabel.IMPOSTOR, PairLabel.CANNOT_TELL)
"""In the order of the keys 1, 2 and 3."""
LOST: Final = (CaseGone, ClaimLost, CaseChanged, CaseSuspended)
"""After these the case is not this person's to go on with."""
_MOST_PHOTOS: Final = 100
_NOTHING: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Shown:
    """A photo of the case."""

    position: int
    name: str
    fetched: bool
    answer: PairLabel | None
    face: str
    whole: str
    """Addresses."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What is said above the case."""

    kind: str
    text: str
    detail: str = ""


def routes(guard: Guard) -> list[Route]:
    """Of this page."""
    posts = {"next": show_next, "answers": _answers, "release": _release, "renew": _renew, "ahead": _ahead}
    return [
        guard.page(PATH, show, Permission.REVIEW),
        *(
            guard.page(f"{PATH}/{name}", handler, Permission.REVIEW, method="POST")
            for name, handler in posts.items()
        ),
    ]


# What the browser asks for


def show(visit: Visit) -> Response:
    """The case in hand; without one, how to get the next."""
    claim = _last(visit)
    if claim is None:
        return start(visit)
    if claim.until <= visit.now:
        return start(visit, Notice("warn", visit.words("lost.expired")))
    return show_claim(visit, claim)


def _answers(visit: Visit) -> Response:
    try:
        claim = posted_claim(visit)
        visit.note_member(claim.member_id, "review", "answer")
        words = _answers_of(visit.form)
        visit.services.store.reviews.answers.answer(claim, words, visit.now)
    except NotPossible as error:
        return refused(visit, error)
    return show_claim(visit, claim) if visit.is_fragment else visit.go(PATH)


def _release(visit: Visit) -> Response:
    try:
        claim = posted_claim(visit)
        visit.note_member(claim.member_id, "review", "release")
        visit.services.store.reviews.queue.release(claim, visit.now)
        visit.services.photos.drop(claim.request_id)
    except NotPossible as error:
        return refused(visit, error)
    return start(visit, Notice("good", visit.words("case.released"))) if visit.is_fragment else visit.go(PATH)


def _renew(visit: Visit) -> Response:
    """Somebody is at work on the case: extends the claim, and shows nothing."""
    try:
        claim = visit.services.store.reviews.queue.renew(posted_claim(visit), visit.now)
    except NotPossible as error:
        return JSONResponse({"text": why(error, visit.words).text}, 409)
    return JSONResponse({"left": seconds_until(claim.until, visit.now)})


def _ahead(visit: Visit) -> Response:
    """The photos of the case that comes next are fetched meanwhile; nothing of it is shown."""
    request_id = visit.services.store.reviews.queue.peek(visit.person.name, visit.now)
    if request_id is not None:
        visit.services.photos.prefetch(request_id)
    return Response(status_code=204)


# Parts that deciding needs as well


def in_hand(visit: Visit) -> Claim | None:
    """The case of a real member that this person has now."""
    claim = _last(visit)
    return claim if claim is not None and claim.until > visit.now else None


def _last(visit: Visit) -> Claim | None:
    """The same; the claim may have run out."""
    return visit.services.store.reviews.queue.claim_of(visit.person.name, sandbox=False)


def show_next(visit: Visit, notice: Notice | None = None) -> Response:
    """The case in hand, else the next; of real members alone. Its photos are fetched from now on."""
    claim = visit.services.store.reviews.queue.claim_next(visit.person.name, visit.now)
    if claim is not None:
        visit.services.photos.prefetch(claim.request_id)
    if not visit.is_fragment:
        return visit.go(PATH)
    if claim is None:
        return start(visit, notice, asked=notice is None)
    return show_claim(visit, claim, notice)


def posted_claim(visit: Visit) -> Claim:
    """The claim that the posted page was made for. Raises CaseGone; whether it holds, the store says."""
    case_id, attempt = map(number_of, visit.form.get("case", "").partition("-")[::2])
    if case_id is None or attempt is None:
        raise CaseGone("this page names no case")
    return visit.services.store.reviews.queue.claim_again(case_id, attempt, visit.person.name)


def position_of(text: str | None) -> int | None:
    """The number of a photo; None where it can be none."""
    number = number_of(text)
    return number if number is not None and number <= _MOST_PHOTOS else None


def token_of(claim: Claim) -> str:
    """By which a page says what claim it was made for."""
    return f"{claim.case_id}-{claim.attempt}"


def show_claim(
    visit: Visit,
    claim: Claim,
    notice: Notice | None = None,
    *,
    given: Mapping[str, str] = _NOTHING,
    status: int = 200,
) -> Response:
    """A look at the case, which goes on record. ``given`` is a decision that could not be made."""
    try:
        view = visit.services.store.reviews.queue.look(claim, visit.access("review", "photos"), visit.now)
    except NotPossible as error:
        return start(visit, why(error, visit.words), status=409)
    values = {**_case_values(visit, view), **evidence_values(visit, view), "given": given}
    return _page(visit, "case_part.html", notice, status=status, **values)


def start(visit: Visit, notice: Notice | None = None, *, asked: bool = False, status: int = 200) -> Response:
    """Without a case: how many wait, and the button that takes the next; ``asked``: there is none."""
    values = {"nothing_for_you": asked, "waiting": _waiting(visit)}
    return _page(visit, "case_none.html", notice, status=status, **values)


def refused(visit: Visit, error: NotPossible, *, given: Mapping[str, str] = _NOTHING) -> Response:
    """What the store would not do, in words; the case goes on where it still can."""
    notice = why(error, visit.words)
    if isinstance(error, LOST):
        return start(visit, notice, status=409)
    try:
        claim = posted_claim(visit)
    except CaseGone as gone:
        return start(visit, why(gone, visit.words), status=409)
    return show_claim(visit, claim, notice, given=given, status=409)


def why(error: NotPossible, words: Words) -> Notice:
    """The store's objection in the reader's language."""
    if isinstance(error, CaseGone):
        return Notice("warn", words("lost.gone"))
    if isinstance(error, CaseChanged):
        return Notice("warn", words("lost.changed"))
    if isinstance(error, CaseSuspended):
        return Notice("warn", words("lost.suspended"))
    if isinstance(error, ClaimLost):
        holder = error.reviewer
        return Notice("warn", words("lost.taken", name=holder) if holder else words("lost.expired"))
    key = f"problem.{error.code}"
    known = bool(error.code) and words.has(key)
    return Notice("bad", words(key if known else "problem.other"), "" if known else str(error))


def seconds_until(moment: datetime, now: datetime) -> int:
    """Whole ones, none below zero."""
    return max(0, int((moment - now).total_seconds()))


def _answers_of(form: Mapping[str, str]) -> dict[int, PairLabel]:
    """Raises NotPossible."""
    found = {}
    for name, word in form.items():
        kind, _, number = name.partition("-")
        if kind != "answer":
            continue
        position = position_of(number)
        if position is None or word not in [*PairLabel]:
            raise NotPossible(f"no answer: {word[:40]!r}", "no_answer")
        found[position] = PairLabel(word)
    return found


# What the templates show


def _page(visit: Visit, part: str, notice: Notice | None, *, status: int, **values: Any) -> Response:
    store, now = visit.services.store, visit.now
    last = store.reviews.undoing.last_of(visit.person.name, now)
    values |= {
        "part": part,
        "notice": notice,
        "undo": last and _undo_values(visit, last),
        "decided_today": store.reviews.reports.decided_since(visit.person.name, _midnight(visit)),
    }
    return visit.page(part if visit.is_fragment else "case.html", status=status, **values)


def _waiting(visit: Visit) -> int:
    counts = visit.services.store.reviews.queue.counts(visit.now)
    return counts.open - counts.suspended


def _midnight(visit: Visit) -> datetime:
    there = visit.now.astimezone(visit.services.rules.zone)
    return there.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(visit.now.tzinfo)


def _undo_values(visit: Visit, last: LastChoice) -> dict[str, Any]:
    """What was decided last, and what the machine took the face for: from now on that influences nobody."""
    request = visit.services.store.requests.find(last.request_id) if last.effect is Effect.DECIDED else None
    return {
        "last": last,
        "left": seconds_until(last.until, visit.now),
        "gender": request and request.gender,
        "probability": request and request.gender_probability,
    }


def _case_values(visit: Visit, view: CaseView) -> dict[str, Any]:
    token = token_of(view.claim)
    shown = [
        Shown(
            position=photo.position,
            name=visit.words("case.photo" if photo.position else "case.selfie", n=photo.position),
            fetched=photo.fetched,
            answer=photo.answer,
            face=address_of(view.claim, photo.position, Shape.FACE),
            whole=address_of(view.claim, photo.position, Shape.WHOLE),
        )
        for photo in view.photos
    ]
    return {
        "claim": view.claim,
        "token": token,
        "left": seconds_until(view.claim.until, visit.now),
        "selfie": shown[0],
        "gallery": shown[1:],
        "labels": LABELS,
        "blind": view.evidence is None,
        "screen": label_of(visit.person.name, visit.now, visit.services.rules.zone),
    }
