"""The console as a process: built from the settings, served by uvicorn."""

from __future__ import annotations

import signal
import sys
from functools import lru_cache
from types import FrameType
from zoneinfo import ZoneInfo

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from worker import runtime
from worker.clock import utc_now
from worker.console.app import build
from worker.console.photos.loading import CASE_BYTES
from worker.console.services import ConsoleRules, Services
from worker.operating.broker import BrokerCheck
from worker.operating.operations import Operations
from worker.results.explained import Terms
from worker.serving.references import References
from worker.setting_values import split_address


def application() -> Starlette:
    """The console that the settings describe. Raises what `runtime.store` raises."""
    return build(services())


def services() -> Services:
    """What its pages work with. Raises what `runtime.store` raises."""
    config = runtime.settings()
    rules = ConsoleRules(
        url=config.console_at,
        proxies=config.console_proxies,
        sign_on_header=config.console_sign_on_header,
        blur=config.console_blur,
        zone=ZoneInfo(config.time_zone),
    )
    store, fetch = runtime.store(), runtime.build_fetcher(CASE_BYTES).fetch_all
    return Services(
        store=store,
        rules=rules,
        clock=utc_now,
        fetch=fetch,
        references=References(store.models, config.bundle),
        operations_of=lru_cache(maxsize=1)(_operations),
    )


def _operations() -> Operations:
    publisher, config = runtime.publisher(), runtime.settings()
    return Operations(
        publisher=publisher,
        broker=BrokerCheck(publisher),
        heads=runtime.head_checks(),
        terms=Terms.of(config),
        retrain_problem=runtime.retrain_problem,
        min_labels=config.retrain_min_labels,
    )


def serve(app: ASGIApp) -> None:
    """Until the process is told to end; then it ends in good order, with status 0."""
    signal.signal(signal.SIGTERM, _end)  # uvicorn raises it again once it has closed its connections
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


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)
