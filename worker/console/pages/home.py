"""The first page, which leads to the person's own work; and the language."""

from __future__ import annotations

from typing import Final

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from worker.console.guard import Guard, MenuEntry, error_page
from worker.console.visit import Guest, Visit, is_ours, language_of, with_language

MENU: Final[tuple[MenuEntry, ...]] = ()


def routes(guard: Guard) -> list[Route]:
    """Of this page."""
    return [
        guard.page("/", _home),
        guard.open_page("/language", _change_language, method="POST"),
    ]


def _home(visit: Visit) -> Response:
    return visit.go(visit.menu[0][1]) if visit.menu else visit.page("home.html")


def _change_language(guest: Guest) -> Response:
    """The one that the pressed button names. Whoever has not signed in has no token to send."""
    if not is_ours(guest):
        return error_page(guest, 403, "error.csrf")
    response = RedirectResponse(own_path(guest.form.get("next")), 303)
    return with_language(response, guest, language_of(guest.form.get("language")))


def own_path(path: str | None) -> str:
    """A path of the console, or its start: never another site's address."""
    fine = path and path.startswith("/") and not path.startswith("//") and "\\" not in path
    return path if path and fine and path.isprintable() else "/"
