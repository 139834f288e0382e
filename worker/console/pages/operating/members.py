"""A member by the exact ID: what stands, what was found, who decided and who looked. Nothing is listed."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from worker.console.guard import Guard, MenuEntry
from worker.console.pages.operating import letters, objections
from worker.console.pages.operating.absent import nobody
from worker.console.roles import Permission
from worker.console.visit import Visit
from worker.operating.member_file import MemberFile, member_file, without_query
from worker.results.reviewer_reasons import review_reason_text
from worker.results.texts import Language
from worker.store import AccessRecord, RequestRecord

MENU: Final = (MenuEntry("nav.members", "/members", Permission.MEMBERS),)
_SHOW: Final = "show"
_LOOKS: Final = "looks"


def routes(guard: Guard) -> list[Route]:
    """Of these pages."""
    return [
        guard.page("/members", _members, Permission.MEMBERS),
        *letters.routes(guard),
        *objections.routes(guard),
    ]


def _members(visit: Visit) -> Response:
    member_id = (visit.query("id") or "").strip()
    if not member_id:
        visit.note_list(_SHOW)
        return visit.page("operating/lookup.html", member_id="", problem="")
    return _looks(visit, member_id) if visit.query("view") == _LOOKS else _member(visit, member_id)


def _member(visit: Visit, member_id: str) -> Response:
    """On record before anything is read of the member."""
    if not visit.note_member(member_id, _SHOW):
        return nobody(visit, member_id, _SHOW)
    file = member_file(visit.services.store, member_id)
    if file is None:  # erased since
        return nobody(visit, member_id, _SHOW)
    template = "operating/open_case.html" if file.open_case else "operating/member.html"
    return visit.page(
        template,
        file=file,
        member_id=member_id,
        urls=_urls(file),
        texts=[(one, file.text(one)) for one in Language],
        total=_total,
        review_reason=lambda code: review_reason_text(code, visit.language),
    )


def _looks(visit: Visit, member_id: str) -> Response:
    if not visit.note_member(member_id, _SHOW, _LOOKS):
        return nobody(visit, member_id, _SHOW, _LOOKS)
    store = visit.services.store
    file = member_file(store, member_id)
    looks = store.accesses.of_member(member_id)
    open_case = file is not None and file.open_case
    rows = [(look, _how(look, open_case=open_case)) for look in looks]
    return visit.page("operating/looks.html", member_id=member_id, looks=rows)


def _how(look: AccessRecord, *, open_case: bool) -> str:
    """While a case is open not how: it would tell whoever has the case what somebody else has decided."""
    return "–" if open_case and look.action == "review" else look.way


def _urls(file: MemberFile) -> list[str]:
    """The photos' addresses as they may be shown, the selfie's first."""
    return [without_query(url) for url in (file.member.selfie_url, *file.member.photo_urls)]


def _total(request: RequestRecord) -> float:
    """Milliseconds that the request took."""
    return sum(request.timings.values())
