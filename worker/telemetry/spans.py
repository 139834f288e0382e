"""What of a span may leave the process: names, times, and the attributes that are named here.

Nothing about people, no address but the host of a server, no parameter of SQL, no text of an error: a text
may hold a signed link.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Status

OURS: Final = "verification."
"""Begins the attributes that we set ourselves (`worker.runtime`)."""
_ALLOWED: Final = frozenset(
    {
        *("celery.action", "celery.task_name", "celery.retries", "celery.state"),
        *("messaging.destination", "messaging.message.id", "messaging.destination_kind"),
        *("db.system", "db.name", "db.statement", "db.system.name", "db.namespace", "db.query.text"),
        *("http.method", "http.status_code", "http.request.method", "http.response.status_code"),
        *("server.address", "server.port", "net.peer.name", "error.type"),
    }
)
_OF_ERRORS: Final = frozenset({"exception.type", "exception.escaped"})
_LONGEST: Final = 2_000


class Reduced(SpanExporter):
    """Exports spans without all else."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([reduced(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def reduced(span: ReadableSpan) -> ReadableSpan:
    """The same span with no more than may leave the process."""
    known = span.attributes or {}
    attributes = {
        name: value[:_LONGEST] if isinstance(value, str) else value
        for name, value in known.items()
        if name in _ALLOWED or name.startswith(OURS)
    }
    if host := urlsplit(str(known.get("http.url", ""))).hostname:
        attributes["server.address"] = host
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        events=[Event(one.name, _kept(one.attributes), one.timestamp) for one in span.events],
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _kept(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (attributes or {}).items() if name in _OF_ERRORS}
