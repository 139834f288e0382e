"""The application: all pages behind one guard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
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
    app = Starlette(
        routes=list(_routes(guard)),
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=rules.hosts, www_redirect=False),
            Middleware(Peer),
            Middleware(ProxyHeadersMiddleware, trusted_hosts=list(rules.proxies)),
            Middleware(BodyLimit),
        ],
        exception_handlers={HTTPException: guard.on_http_error, Exception: guard.on_http_error},
        lifespan=_lifespan(services),
    )
    # Around everything: the page of an error of the program is made outside of all other middleware.
    app.middleware_stack = Headers(app.build_middleware_stack(), secure=rules.secure)
    return app


def _lifespan(services: Services) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """At the end of the process no photo is held or fetched any more."""

    @asynccontextmanager
    async def until_the_end(_: Starlette) -> AsyncIterator[None]:
        yield
        services.photos.close()

    return until_the_end


def _routes(guard: Guard) -> Iterator[BaseRoute]:
    yield Route("/healthz", _alive)
    yield Mount("/static", StaticFiles(directory=_STATIC))
    for page in PAGES:
        yield from page.routes(guard)


async def _alive(_: Request) -> Response:
    """For a health check: the process answers."""
    return PlainTextResponse("ok\n")
