"""What stands before every page: size, headers, session, permission, forged requests, records, errors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.console.roles import Permission, permissions_of
from worker.console.services import Services
from worker.console.visit import Guest, Visit, is_meant
from worker.errors import NotPossible, StoreUnavailable
from worker.store.staff.records import Person

logger = logging.getLogger(__name__)

SIGN_IN: Final = "/sign-in"
MAX_BODY: Final = 64 * 1024
BODY_SECONDS: Final = 20.0
"""How long a form may take to arrive."""
_MAX_FIELDS: Final = 200
_POST: Final = "POST"
_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), display-capture=()",
}
_TLS_ONLY: Final = "max-age=31536000"


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """An entry of the menu for those who may."""

    words: str
    path: str
    needs: Permission


Handler = Callable[[Visit], Response]
GuestHandler = Callable[[Guest], Response]
PersonOf = Callable[[Request], Person | None]
"""Who has signed in."""
_Asker = TypeVar("_Asker", bound=Guest)


@dataclass(frozen=True, slots=True)
class _Check:
    """What is asked before a handler runs."""

    needs: Permission | None
    records: str | None
    posted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Makes routes of handlers; everything that a request must fulfil is checked here."""

    services: Services
    person_of: PersonOf
    menu: tuple[MenuEntry, ...]

    def page(
        self,
        path: str,
        handler: Handler,
        needs: Permission | None = None,
        *,
        records: str | None = None,
        method: str = "GET",
    ) -> Route:
        """A route for people who have signed in, and may.

        ``records``: the action of the record that is written before the handler runs, of a page that may name
        any member. A handler about one member writes its own (`Visit.note_member`).
        """
        check = _Check(needs, records, posted=method == _POST)
        return self._route(path, lambda guest: self._visited(guest, check, handler), method)

    def _visited(self, guest: Guest, check: _Check, handler: Handler) -> Response:
        person = self.person_of(guest.request)
        if person is None:
            return _to_sign_in(guest)
        visit = Visit(**self._parts(guest.request, guest.form), person=person, menu=self._menu_of(person))
        return _answered(visit, partial(_checked, check, handler))

    def open_page(self, path: str, handler: GuestHandler, *, method: str = "GET") -> Route:
        """A route for everybody. What it posts must check by itself that it is meant."""
        return self._route(path, handler, method)

    def guest(self, request: Request, form: Mapping[str, str] | None = None) -> Guest:
        """The request of somebody who has not signed in."""
        return Guest(**self._parts(request, form or {}))

    def _parts(self, request: Request, form: Mapping[str, str]) -> dict[str, Any]:
        now = self.services.clock()
        return {"request": request, "services": self.services, "form": form, "now": now}

    def _menu_of(self, person: Person) -> tuple[tuple[str, str], ...]:
        may = permissions_of(person.roles)
        return tuple((entry.words, entry.path) for entry in self.menu if entry.needs in may)

    def _route(self, path: str, handler: GuestHandler, method: str) -> Route:
        async def endpoint(request: Request) -> Response:
            form = await _form_of(request) if method == _POST else {}
            return await run_in_threadpool(_answered, self.guest(request, form), handler)

        return Route(path, endpoint, methods=[method])

    async def on_http_error(self, request: Request, error: Exception) -> Response:
        """The page for what no handler has answered."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        return error_page(self.guest(request), status)


def _to_sign_in(guest: Guest) -> Response:
    back = guest.path if guest.request.method == "GET" and not guest.is_fragment else "/"
    return guest.go(f"{SIGN_IN}?next={quote(back, safe='/')}")


def _checked(check: _Check, handler: Handler, visit: Visit) -> Response:
    if check.posted and not is_meant(visit, visit.person.csrf_token):
        return error_page(visit, 403, "error.csrf")
    if check.needs is not None and not visit.may(check.needs):
        return error_page(visit, 403)
    if check.records is not None:
        visit.note_list(check.records)
    return handler(visit)


def _answered(asker: _Asker, handler: Callable[[_Asker], Response]) -> Response:
    """What the handler answers; what the store would not or could not do becomes a page for whoever asks."""
    try:
        return handler(asker)
    except NotPossible as error:
        return error_page(asker, 409, detail=str(error))
    except StoreUnavailable as error:
        logger.warning("console: %s", error)
        return error_page(asker, 503)


def error_page(visit: Guest, status: int, words: str | None = None, detail: str = "") -> Response:
    """A page, or for htmx a part of one, that says what went wrong."""
    key = words or f"error.{status}"
    text = visit.words(key) if visit.words.has(key) else HTTPStatus(status).phrase
    template = "error_part.html" if visit.is_fragment else "error.html"
    return visit.page(template, status=status, text=text, detail=detail)


async def _form_of(request: Request) -> dict[str, str]:
    """Raises HTTPException: it does not end, or whoever sends it has gone."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return _texts(await request.form(max_fields=_MAX_FIELDS))
    except (TimeoutError, ClientDisconnect) as error:
        raise HTTPException(408) from error


def _texts(form: FormData) -> dict[str, str]:
    """The fields of a form; a field that comes several times has its values in lines."""
    found: dict[str, str] = {}
    for name, value in form.multi_items():
        if isinstance(value, str):
            found[name] = f"{found[name]}\n{value}" if name in found else value
    return found


class Headers:
    """Adds the headers of `_HEADERS` to every response; pages are kept by nobody."""

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self._app = app
        self._secure = secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if self._secure:
                    headers["Strict-Transport-Security"] = _TLS_ONLY
                if not scope["path"].startswith("/static/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, with_headers)


class Peer:
    """Notes who is at the other end of the connection, before a proxy's headers are believed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if client := scope.get("client"):
            scope.setdefault("state", {})["peer"] = client[0]
        await self._app(scope, receive, send)


class BodyLimit:
    """Refuses what is larger than `MAX_BODY`, before it is read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        read = 0

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MAX_BODY:
                raise HTTPException(413)
            return message

        await self._app(scope, limited, send)
