"""Who has signed in: the session's cookie."""

from __future__ import annotations

from starlette.requests import Request

from worker.console.guard import PersonOf
from worker.console.services import ConsoleRules, Services
from worker.store.staff.records import Person


def cookie_name(rules: ConsoleRules) -> str:
    """Over TLS no other site of the same domain can set it."""
    return "__Host-session" if rules.secure else "session"


def person_of(services: Services) -> PersonOf:
    """Finds the person of a request; the idle time begins anew with each."""
    name = cookie_name(services.rules)

    def find(request: Request) -> Person | None:
        token = request.cookies.get(name)
        return services.store.staff.sessions.person_of(token, services.clock()) if token else None

    return find
