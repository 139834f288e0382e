"""Photos of the case that somebody has, as pictures of their own: no link of a photo reaches a browser.

`address_of` is what a page writes into `<img src>`. Where there is no picture the answer is JSON: `problem`,
`text` in the reader's language, and `again`, whether the address with `&again=1` may bring it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from worker.console.guard import Guard, MenuEntry
from worker.console.photos.facts import FileFacts
from worker.console.photos.pictures import Shape
from worker.console.photos.problems import PhotoProblem
from worker.console.photos.watermark import mark_of
from worker.console.roles import Permission
from worker.console.visit import Visit
from worker.console.words import Words
from worker.errors import NotPossible
from worker.store import Claim

MENU: Final[tuple[MenuEntry, ...]] = ()
_ACTION: Final = "review"
"""Of the records, as that of the command."""
_HEADERS: Final = {"Cache-Control": "no-store", "Content-Disposition": "inline"}
_SHAPES: Final = frozenset(Shape)
_MEGABYTE: Final = 1_000_000


def routes(guard: Guard) -> list[Route]:
    """Of these pictures."""
    return [guard.page("/case/photo/{position:int}/{shape}", _photo, Permission.REVIEW)]


def address_of(claim: Claim, position: int, shape: Shape) -> str:
    """Of a picture, for whoever has the case; of another case it shows nothing."""
    return f"/case/photo/{position}/{shape}?case={claim.case_id}"


def told_facts(facts: FileFacts, t: Words) -> Sequence[tuple[str, str]]:
    """What a file says of itself: names and values in the reader's language."""
    unknown = t("photo.fact.unknown")
    size = f"{facts.format}, {max(facts.bytes / _MEGABYTE, 0.01):.2f} MB"
    return (
        (t("photo.fact.camera"), facts.camera or unknown),
        (t("photo.fact.taken"), facts.taken or unknown),
        (t("photo.fact.software"), facts.software or unknown),
        (t("photo.fact.pixels"), t("photo.fact.pixels.value", width=facts.width, height=facts.height)),
        (t("photo.fact.file"), size),
    )


def _photo(visit: Visit) -> Response:
    photos, asked = visit.services.photos, visit.request.path_params
    claim = visit.services.store.reviews.queue.claim_of(visit.person.name)
    if claim is None or asked["shape"] not in _SHAPES or visit.query("case") != str(claim.case_id):
        return _no_such_photo(visit, 404)
    position, shape = asked["position"], Shape(asked["shape"])
    try:
        found = photos.serve(
            claim,
            position,
            shape,
            visit.access(_ACTION, f"photo {position} {shape}"),
            visit.now,
            mark=mark_of(visit.person.account_id, visit.person.name, visit.now, visit.services.rules.zone),
            again=visit.query("again") is not None,
        )
    except NotPossible:
        return _no_such_photo(visit, 403)
    if found is None:
        return _no_such_photo(visit, 404)
    if isinstance(found, PhotoProblem):
        return _problem(visit, found)
    return Response(found, media_type="image/jpeg", headers=_HEADERS)


def _no_such_photo(visit: Visit, status: int) -> Response:
    text = visit.words("photo.problem.not_yours")
    return JSONResponse({"problem": "not_yours", "text": text, "again": False}, status, _HEADERS)


def _problem(visit: Visit, problem: PhotoProblem) -> Response:
    text = visit.words(f"photo.problem.{problem}")
    return JSONResponse({"problem": problem, "text": text, "again": problem.passing}, 502, _HEADERS)
