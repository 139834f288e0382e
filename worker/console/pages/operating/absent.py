"""A member who is not there."""

from __future__ import annotations

from starlette.responses import Response

from worker.client.identifiers import is_identifier
from worker.console.visit import Visit


def nobody(visit: Visit, member_id: str, action: str, way: str = "page") -> Response:
    """There is no such member, or no more; that somebody asked goes on record where an ID can be one."""
    words, store = visit.words, visit.services.store
    if not is_identifier(member_id):
        return visit.page("operating/lookup.html", 404, member_id="", problem=words("member.no_id"))
    store.accesses.note_absent(member_id, visit.access(action, way), visit.now)
    erased = store.members.forgotten([member_id])
    text = words("member.erased" if erased else "member.unknown", member=member_id)
    return visit.page("operating/lookup.html", 404, member_id=member_id, problem=text)
