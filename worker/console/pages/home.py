"""The first page, which leads to the person's own work; and the language."""

from __future__ import annotations

from typing import Final

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from worker.console.guard import Guard, MenuEntry
from worker.console.visit import LANGUAGE_COOKIE, Guest, Visit
from worker.results.texts import Language

MENU: Final[tuple[MenuEntry, ...]] = ()
_YEAR: Final = 365 * 86_400


def routes(guard: Guard) -> list[Route]:
    """Of this page."""
    return [
        guard.page("/", _home),
        guard.open_page("/language", _change_language, method="POST"),
    ]


def _home(visit: Visit) -> Response:
    return visit.go(visit.menu[0][1]) if visit.menu else visit.page("home.html")


def _change_language(guest: Guest) -> Response:
    """The other one. Harmless where somebody else's page posts it, so it needs no token."""
    other = Language.KO if guest.language is Language.EN else Language.EN
    response = RedirectResponse(own_path(guest.form.get("next")), 303)
    secure = guest.services.rules.secure
    response.set_cookie(LANGUAGE_COOKIE, other, _YEAR, secure=secure, httponly=True, samesite="lax")
    return response


def own_path(path: str | None) -> str:
    """A path of the console, or its start: never another site's address."""
    fine = path and path.startswith("/") and not path.startswith("//") and "\\" not in path
    return path if path and fine and path.isprintable() else "/"
