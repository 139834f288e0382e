"""The demo's console, and a way into it without a password: a link that is good once, on this machine alone.

The link is part of the demo's process and of no other: `python -m worker console` has no such way.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from worker.console.app import build
from worker.console.serve import serve, services
from worker.console.services import Services
from worker.console.sessions import cookie_name
from worker.demo.run import DemoFailed
from worker.store.staff.records import Browser
from worker.store.staff.sign_in import Passed
from worker.store.tables.states import Role

ACCOUNT: Final = "demo"
_FOLDER: Final = "/demo/"
_USED: Final = "This link was good once. The terminal shows the next one.\n"


def open_console(say: Callable[[str], None]) -> None:
    """Serve the console that the settings describe, until Ctrl-C.

    ``say`` gets the link, and after each use the next one.
    """
    its = services()
    make_account(its)
    serve(Doorway(build(its), its, say))


def make_account(its: Services) -> None:
    """Of whoever tries the demo: it may do everything."""
    its.store.staff.accounts.add(ACCOUNT, Role, ACCOUNT, its.clock())


class Doorway:
    """The console, and before it the link."""

    def __init__(self, console: ASGIApp, its: Services, say: Callable[[str], None]) -> None:
        self._console = console
        self._its = its
        self._say = say
        self._secret = ""
        self._renew()

    def _renew(self) -> None:
        self._secret = secrets.token_urlsafe(16)
        self._say(f"{self._its.rules.url}{_FOLDER}{self._secret}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] == "http" and scope["path"].startswith(_FOLDER):
            await self._answer(Request(scope))(scope, receive, send)
        else:
            await self._console(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        given = request.url.path.removeprefix(_FOLDER)
        if not secrets.compare_digest(given.encode(), self._secret.encode()):
            return PlainTextResponse(_USED, 410)
        response = RedirectResponse("/", 303)
        name = cookie_name(self._its.rules)
        response.set_cookie(name, self._session(request), httponly=True, samesite="strict")
        self._renew()
        return response

    def _session(self, request: Request) -> str:
        """The token of a new session of the demo's account, as if a company's own sign-on had sent it."""
        browser = Browser(request.client.host if request.client else None, request.headers.get("user-agent"))
        passed = self._its.store.staff.sign_in.trusted(ACCOUNT, browser, self._its.clock())
        if not isinstance(passed, Passed):
            raise DemoFailed(f"the account {ACCOUNT} is gone")
        return passed.token
