"""One request as a page sees it: who asks, what for, in which language, and how to answer."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from worker.console.render import render
from worker.console.roles import Permission, permissions_of
from worker.console.services import Services
from worker.console.words import Words
from worker.results.texts import Language
from worker.store import Access
from worker.store.staff.records import Person

LANGUAGE_COOKIE: Final = "language"
_YEAR: Final = 365 * 86_400
_MOST_DIGITS: Final = 18
"""So that every number fits into a column."""
LOGIN: Final = "console"
"""Stands where the commands record the account of the operating system."""
_HOST: Final = socket.gethostname()
_Response = TypeVar("_Response", bound=Response)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A request by somebody who has not signed in."""

    request: Request
    services: Services
    form: Mapping[str, str]
    """The fields of a posted form; empty for others."""
    now: datetime
    menu: tuple[tuple[str, str], ...] = ()
    """Entries of the menu for this person: key of the words, path."""

    @property
    def path(self) -> str:
        return self.request.url.path

    @property
    def address(self) -> str:
        """Where the request comes from."""
        return self.request.client.host if self.request.client else "-"

    @property
    def is_fragment(self) -> bool:
        """Whether htmx asks, for a part of a page."""
        return "hx-request" in self.request.headers

    @property
    def in_dialog(self) -> bool:
        """Whether the part is for the dialog of an operators' page."""
        return self.request.headers.get("hx-target") == "question"

    @property
    def language(self) -> Language:
        """The one that was chosen in this browser; Korean where none was."""
        return language_of(self.request.cookies.get(LANGUAGE_COOKIE))

    @property
    def words(self) -> Words:
        return Words(self.language)

    def query(self, name: str) -> str | None:
        """A value out of the address; None where it is missing or empty."""
        return self.request.query_params.get(name) or None

    def page(self, template: str, /, status: int = 200, **values: Any) -> Response:
        """A page, or a part of one, made from a template."""
        return HTMLResponse(render(template, self.words, {**self._common(), **values}), status)

    def go(self, path: str) -> Response:
        """Send the browser to another page of the console, whoever asks: it, or htmx."""
        if self.is_fragment:
            return Response(status_code=204, headers={"HX-Redirect": path})
        return RedirectResponse(path, 303)

    def _common(self) -> dict[str, Any]:
        rules = self.services.rules
        return {
            "visit": self,
            "person": None,
            "csrf": "",
            "menu": self.menu,
            "zone": rules.zone,
            "blur": rules.blur,
            "now": self.now,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit(Guest):
    """A request by somebody who has signed in and may make it."""

    person: Person
    permissions: frozenset[Permission] = field(init=False)

    @property
    def language(self) -> Language:
        """The one that was chosen in this browser, else the account's."""
        return language_of(self.request.cookies.get(LANGUAGE_COOKIE, self.person.language))

    def __post_init__(self) -> None:
        object.__setattr__(self, "permissions", permissions_of(self.person.roles))

    def may(self, permission: Permission | str) -> bool:
        """Whether the person may do this."""
        return permission in self.permissions

    def access(self, action: str, way: str) -> Access:
        """For the record of what this person does."""
        return Access(self.person.name, action, way, _HOST, self.address, LOGIN)

    def note_list(self, action: str, way: str = "page") -> None:
        """Write down that the person sees a page that may name any member. Call it before it is shown."""
        self.services.store.accesses.note_list(self.access(action, way), self.now)

    def note_member(self, member_id: str, action: str, way: str = "page") -> bool:
        """The same about one member; whether there is such a member."""
        return bool(self.services.store.accesses.note([member_id], self.access(action, way), self.now))

    def _common(self) -> dict[str, Any]:
        return {**Guest._common(self), "person": self.person, "csrf": self.person.csrf_token}  # noqa: SLF001


def language_of(word: str | None) -> Language:
    """The one that a cookie, an account or a form names; Korean where it names none."""
    return Language.EN if word == Language.EN else Language.KO


def with_language(response: _Response, guest: Guest, language: Language) -> _Response:
    """The response, after which this browser is shown that language."""
    secure = guest.services.rules.secure
    response.set_cookie(LANGUAGE_COOKIE, language, _YEAR, secure=secure, httponly=True, samesite="lax")
    return response


def number_of(text: str | None) -> int | None:
    """The whole number in a value of an address or a form; None where it is none, or too long a one."""
    fine = text and text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS
    return int(text) if text and fine else None


def is_ours(guest: Guest) -> bool:
    """Whether a form was sent by a page of ours: nobody signs somebody in as somebody else."""
    headers = guest.request.headers
    if site := headers.get("sec-fetch-site"):
        return site == "same-origin"
    origin = headers.get("origin")
    return origin is None or origin == guest.services.rules.url


def is_meant(guest: Guest, token: str) -> bool:
    """Whether a page of ours has sent this form, for the session with this token.

    Compared in constant time; an empty token is never right.
    """
    given = guest.form.get("csrf") or guest.request.headers.get("x-csrf-token", "")
    return is_ours(guest) and bool(token) and secrets.compare_digest(given.encode(), token.encode())
