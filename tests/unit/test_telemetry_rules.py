"""When traces and errors leave a process, and what of a span and of an error may."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from worker import logs
from worker.errors import BadSettings
from worker.settings import load_settings
from worker.telemetry import errors, traces
from worker.telemetry.packages import missing
from worker.telemetry.spans import Reduced

COLLECTOR = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        (COLLECTOR, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({**COLLECTOR, "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({**COLLECTOR, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_SERVICE_NAME": "faces"}, False),
    ],
)
def test_a_process_traces_where_the_environment_names_a_receiver(
    environment: dict[str, str], wanted: bool
) -> None:
    assert traces.wanted(environment) is wanted


def test_without_traces_there_is_no_trace_to_write_down_and_nothing_to_continue() -> None:
    assert traces.current() is None
    traces.annotate({"verification.queue": "verify"})
    with traces.continued("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "deliver event"):
        assert traces.current() is None


def test_packages_that_are_missing_are_named_by_how_to_install_them() -> None:
    assert missing("sentry", "json") is None
    text = missing("sentry", "json", "no_such_package.part")
    assert text == "its packages are missing: pip install -r worker/requirements-sentry.txt"


@pytest.mark.parametrize("dsn", ["k3y@sentry.org/1", "https://k3y.org/1", "https://k3y@h/x", "k3y"])
def test_a_dsn_that_is_none_is_refused_without_showing_it(dsn: str) -> None:
    with pytest.raises(BadSettings, match=r"VERIFY_SENTRY_DSN: must be an address such as") as refused:
        load_settings({"sentry_dsn": dsn})
    assert "k3y" not in str(refused.value)


@pytest.mark.parametrize("dsn", ["", "https://0af@o1.ingest.example.com/42", "http://a:b@sentry:9000/team/7"])
def test_a_dsn_as_sentry_shows_it_is_taken(dsn: str) -> None:
    assert load_settings({"sentry_dsn": dsn}).sentry_dsn.get_secret_value() == dsn


def exported(**attributes: Any) -> ReadableSpan:
    """What becomes of a span with these attributes that ends in an error."""
    kept, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(Reduced(kept)))
    its = {name.replace("__", "."): value for name, value in attributes.items()}
    with (
        pytest.raises(ValueError, match="s3cret"),
        provider.get_tracer("x").start_as_current_span("GET", attributes=its),
    ):
        raise ValueError("https://cdn.example.com/a.jpg?sig=s3cret")
    (span,) = kept.get_finished_spans()
    return span


def test_of_a_span_only_what_is_named_leaves_and_of_an_error_its_class() -> None:
    span = exported(
        http__url="https://cdn.example.com/a.jpg?sig=s3cret", db__user="verify", http__method="GET"
    )
    assert span.attributes == {"http.method": "GET", "server.address": "cdn.example.com"}
    assert [dict(one.attributes or {}) for one in span.events] == [
        {"exception.type": "ValueError", "exception.escaped": "False"}
    ]
    assert "s3cret" not in span.to_json()


def test_of_an_error_no_variable_no_argument_and_no_member_leaves() -> None:
    frame = {"function": "f", "lineno": 1, "vars": {"url": "https://a/b?sig=s3cret"}}
    event = {
        "level": "error",
        "logentry": {
            "message": "no %s",
            "formatted": "no m1 at https://a/b?sig=s3cret",
            "params": ["s3cret"],
        },
        "exception": {"values": [{"type": "E", "value": "m1, not m12", "stacktrace": {"frames": [frame]}}]},
        "extra": {"celery-job": {"args": ["s3cret"]}},
        "breadcrumbs": {"values": [{"data": {"url": "https://a/b?sig=s3cret"}}]},
    }
    with logs.about("r1", "m1", "verify"):
        kept = errors.reduced(event)
    assert "s3cret" not in str(kept)
    assert kept["logentry"]["formatted"] == "no (the member) at https://a/b?…"
    (error,) = kept["exception"]["values"]
    assert error["value"] == "(the member), not m12"
    assert error["stacktrace"]["frames"] == [{"function": "f", "lineno": 1}]
    assert kept.keys() == {"level", "logentry", "exception", "tags"}
    assert kept["tags"] == {"job": "r1", "queue": "verify"}
