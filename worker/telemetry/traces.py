"""Traces by OpenTelemetry, from the app's message to the event that it is told.

Off unless `OTEL_EXPORTER_OTLP_ENDPOINT` (or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`) says where spans go to. The
packages are the extra `tracing`; this module imports them when a process starts to trace. Only the attributes
of `worker.telemetry.spans` leave the process.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from worker.telemetry.packages import missing

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_SERVICE: Final = "face-verification-worker"
_HEADER: Final = "traceparent"
HEADERS: Final = (_HEADER, "tracestate", "baggage")
"""Headers of HTTP that tell a server what it is part of."""
_provider: list[Any] = []
"""Of this process, once it traces."""


def wanted(environment: Mapping[str, str]) -> bool:
    """Whether the environment says that there is somebody to send spans to."""
    off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    none = environment.get("OTEL_TRACES_EXPORTER", "") == "none"
    return any(environment.get(name) for name in _ENDPOINTS) and not off and not none


def problem() -> str | None:
    """Why this process does not trace although it should, in one line."""
    modules = ("sdk.trace", "exporter.otlp.json.http", *(f"instrumentation.{name}" for name in _INSTRUMENTED))
    lacking = missing("tracing", *(f"opentelemetry.{module}" for module in modules))
    return f"no traces, although OTEL_EXPORTER_OTLP_ENDPOINT is set: {lacking}" if lacking else None


_INSTRUMENTED: Final = ("celery", "sqlalchemy", "requests")


def start() -> None:
    """Trace from here on, if that is wanted. After the fork, and before engines are made."""
    if _provider or not wanted(os.environ) or problem():
        return
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.celery import CeleryInstrumentor
    from opentelemetry.instrumentation.requests import RequestsInstrumentor
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from worker.telemetry.spans import Reduced

    os.environ.setdefault("OTEL_SERVICE_NAME", _SERVICE)
    provider = TracerProvider(shutdown_on_exit=False)  # see `worker.telemetry.flush`
    provider.add_span_processor(BatchSpanProcessor(Reduced(OTLPSpanExporter())))
    trace.set_tracer_provider(provider)
    _provider.append(provider)
    # SQLAlchemy's knows no version after 2.0; tests/e2e/test_telemetry.py runs it with ours.
    instrumentors: tuple[Any, ...] = (CeleryInstrumentor, RequestsInstrumentor, SQLAlchemyInstrumentor)
    for instrumentor in instrumentors:
        instrumentor().instrument(skip_dep_check=True)
    _name_trace_in_records()


def _name_trace_in_records() -> None:
    """JSON log lines have the ID of the trace (`worker.logs.forms`)."""
    make = logging.getLogRecordFactory()

    def record(*args: Any, **options: Any) -> logging.LogRecord:
        made = make(*args, **options)
        if here := current():
            made.trace = here.split("-")[1]
        return made

    logging.setLogRecordFactory(record)


def flush() -> None:
    """Send what is left."""
    if _provider:
        _provider[0].force_flush()


def current() -> str | None:
    """The `traceparent` (W3C) of the span that this thread is in; None without traces."""
    if not _provider:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(_HEADER)


def annotate(attributes: Mapping[str, str | float]) -> None:
    """Say this of the span that this thread is in."""
    if _provider:
        from opentelemetry.trace import get_current_span

        get_current_span().set_attributes(dict(attributes))


@contextmanager
def continued(traceparent: str | None, name: str) -> Iterator[None]:
    """What is done inside is a span of this trace; nothing of the kind without traces."""
    if not _provider or traceparent is None:
        yield
        return
    from opentelemetry.trace import SpanKind, get_tracer
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = TraceContextTextMapPropagator().extract({_HEADER: traceparent})
    with get_tracer(__name__).start_as_current_span(name, context, SpanKind.PRODUCER):
        yield
