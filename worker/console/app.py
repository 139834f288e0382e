"""The application: all pages behind one guard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from worker.console.guard import BodyLimit, Guard, Headers, MenuEntry, Peer
from worker.console.pages import (
    account,
    case,
    dashboard,
    decide,
    home,
    people,
    photos,
    queue,
    records,
    signing_in,
)
from worker.console.pages.operating import jobs, members, training
from worker.console.services import Services
from worker.console.sessions import person_of

_STATIC: Final = Path(__file__).parent / "static"
PAGES: Final = (
    home,
    case,
    decide,
    queue,
    photos,
    dashboard,
    members,
    jobs,
    training,
    records,
    signing_in,
    account,
    people,
)
"""Each has `MENU`, the entries of the menu that lead to it, and `routes`."""


def build(services: Services) -> Starlette:
    """The console over these services."""
    menu: tuple[MenuEntry, ...] = tuple(entry for page in PAGES for entry in page.MENU)
    guard = Guard(services=services, person_of=person_of(services), menu=menu)
    rules = services.rules
    return Starlette(
        routes=list(_routes(guard)),
        middleware=[
            Middleware(Headers, secure=rules.secure),
            Middleware(TrustedHostMiddleware, allowed_hosts=rules.hosts, www_redirect=False),
            Middleware(Peer),
            Middleware(ProxyHeadersMiddleware, trusted_hosts=list(rules.proxies)),
            Middleware(BodyLimit),
        ],
        exception_handlers={HTTPException: guard.on_http_error, Exception: guard.on_http_error},
    )


def _routes(guard: Guard) -> Iterator[BaseRoute]:
    yield Route("/healthz", _alive)
    yield Mount("/static", StaticFiles(directory=_STATIC))
    for page in PAGES:
        yield from page.routes(guard)


async def _alive(_: Request) -> Response:
    """For a health check: the process answers."""
    return PlainTextResponse("ok\n")
