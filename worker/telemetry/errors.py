"""Errors to Sentry, where `VERIFY_SENTRY_DSN` says so: log lines of level ERROR, with their tracebacks.

The SDK's own defaults send the values of local variables, the arguments of jobs and the addresses that were
asked: signed links, many times in one error. None of its integrations is on but that of `logging`, and of an
event only what is named here leaves the process.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any, Final

from worker.logs import current, redacted
from worker.telemetry.packages import missing

_KEPT: Final = (
    *("event_id", "timestamp", "level", "logger", "platform", "release", "environment", "server_name", "sdk"),
)
_OF_ERRORS: Final = ("type", "module", "mechanism")
_OF_FRAMES: Final = (
    *("filename", "abs_path", "function", "module", "lineno", "in_app"),
    *("pre_context", "context_line", "post_context"),
)
_MEMBER: Final = "(the member)"


def problem(dsn: str) -> str | None:
    """Why errors are not sent although they should be, in one line."""
    lacking = missing("sentry", "sentry_sdk") if dsn else None
    return f"no errors to Sentry, although VERIFY_SENTRY_DSN is set: {lacking}" if lacking else None


def start(dsn: str) -> None:
    """Send errors from here on; in each process, after the fork."""
    if not dsn or problem(dsn):
        return
    import sentry_sdk
    from sentry_sdk.integrations.logging import LoggingIntegration

    sentry_sdk.init(
        dsn=dsn,
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[LoggingIntegration(level=None, event_level=logging.ERROR)],
        include_local_variables=False,
        send_default_pii=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        auto_session_tracking=False,
        before_send=lambda event, _: reduced(event),
    )


def flush() -> None:
    """Send what is left."""
    from sys import modules

    if "sentry_sdk" in modules:
        modules["sentry_sdk"].flush()


def reduced(event: Mapping[str, Any]) -> Any:
    """Of an event of the SDK's what may leave the process; texts without queries and without the member."""
    kept = {name: event[name] for name in _KEPT if name in event}
    if "logentry" in event:
        template = event["logentry"].get("message") or ""
        text = event["logentry"].get("formatted") or template
        kept["logentry"] = {"message": _text(template), "formatted": _text(text)}
    if "exception" in event:
        kept["exception"] = {"values": [_error(one) for one in event["exception"]["values"]]}
    tags = {name: value for name, value in current().items() if name in ("job", "queue")}
    return {**kept, "tags": tags}


def _error(error: Mapping[str, Any]) -> dict[str, Any]:
    frames = (error.get("stacktrace") or {}).get("frames") or []
    shown = [{name: frame[name] for name in _OF_FRAMES if name in frame} for frame in frames]
    kept = {name: error[name] for name in _OF_ERRORS if name in error}
    return {**kept, "value": _text(error.get("value") or ""), "stacktrace": {"frames": shown}}


def _text(text: str) -> str:
    member = current().get("member")
    if member:
        text = re.sub(rf"(?<![\w-]){re.escape(member)}(?![\w-])", _MEMBER, text)
    return redacted(text)
