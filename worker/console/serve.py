"""The console as a process: built from the settings, served by uvicorn."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from worker import runtime
from worker.clock import utc_now
from worker.console.app import build
from worker.console.photos.loading import CASE_BYTES
from worker.console.services import ConsoleRules, Services
from worker.setting_values import split_address


def application() -> Starlette:
    """The console that the settings describe. Raises what `runtime.store` raises."""
    return build(services())


def services() -> Services:
    """What its pages work with. Raises what `runtime.store` raises."""
    config = runtime.settings()
    rules = ConsoleRules(
        url=config.console_url or f"http://{config.console_address}",
        proxies=config.console_proxies,
        sign_on_header=config.console_sign_on_header,
        blur=config.console_blur,
        zone=ZoneInfo(config.time_zone),
    )
    fetch = runtime.build_fetcher(CASE_BYTES).fetch_all
    return Services(store=runtime.store(), rules=rules, clock=utc_now, fetch=fetch)


def serve(app: ASGIApp) -> None:
    """Until the process is told to end."""
    host, port = split_address(runtime.settings().console_address)
    # Who asks for what is in the records of access; addresses in a log would say it again.
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the application has the proxies of the settings
        timeout_graceful_shutdown=5,
    )
