"""Traces from the app's message to its webhook, and errors to Sentry: what arrives, and what never does."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from support.bundle import ROOT
from support.invalid_messages import JOB_TASK, body_of, envelope
from support.photo_server import PhotoServer
from support.portraits import OBAMA, smaller
from support.servers import Redis
from support.system import System, on_redis
from support.telemetry_receiver import TelemetryReceiver, attributes
from support.webhook_receiver import SECRET as WEBHOOK_SECRET
from support.webhook_receiver import WebhookReceiver
from support.workers import Worker, open_empty_store, wait_until

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
APP_SPAN: Final = "00f067aa0ba902b7"
SECRET: Final = "s3cret"


@dataclass(frozen=True)
class Run:
    """What came of two jobs: one of a traced message of the app's, one that raises."""

    telemetry: TelemetryReceiver
    webhooks: WebhookReceiver
    photo_headers: list[dict[str, str]]
    words: str

    @property
    def spans(self) -> list[dict[str, Any]]:
        """Of the app's trace."""
        return [span for span in self.telemetry.spans() if span["traceId"] == TRACE]

    @property
    def sent(self) -> bytes:
        """All that left the worker for either receiver."""
        return b"\n".join(body for _, body in self.telemetry.bodies)


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory, redis_server: Redis, bundle_dir: Path, portraits: Path
) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("telemetry")
    with ExitStack() as stack:
        photos, webhooks = stack.enter_context(PhotoServer()), stack.enter_context(WebhookReceiver())
        telemetry = stack.enter_context(TelemetryReceiver())
        broker = stack.enter_context(redis.Redis.from_url(redis_server.url))
        broker.flushdb()
        one, other = (smaller(portraits / OBAMA[i], folder / OBAMA[i]) for i in (0, 2))
        database = f"sqlite:///{folder / 'verify.db'}"
        store = open_empty_store(database)
        stack.callback(store.close)
        settings = {
            "VERIFY_HOME": str(folder / "var"),
            "VERIFY_DATABASE_URL": database,
            "VERIFY_BROKER_URL": redis_server.url,
            "VERIFY_BUNDLE": str(bundle_dir.absolute()),
            "VERIFY_ALLOW_HTTP": "true",
            "VERIFY_ALLOW_PRIVATE_ADDRESSES": "true",
            "VERIFY_APP_PRIVATE_HOSTS": "127.0.0.1",
            "VERIFY_WEBHOOKS": json.dumps({"app": {"url": webhooks.url, "secrets": [WEBHOOK_SECRET]}}),
            "VERIFY_LOG_FORMAT": "json",
            "VERIFY_SANDBOX_PREFIX": "",
            **telemetry.settings,
        }
        system = System(settings, folder, store, on_redis(broker), photos, (one, other), stack)
        words = ["--queues", "verify,maintenance", "-c", "1", "--beat"]
        worker = stack.enter_context(Worker(settings, folder / "worker", words, "support.noisy_worker run"))
        worker.wait_until_ready()
        _send(system, "raise")
        _send(system, "traced", traceparent=f"00-{TRACE}-{APP_SPAN}-01")
        wait_until(
            lambda: [one for one in webhooks.received if one.payload["data"]["request_id"] == "traced"]
        )
        wait_until(telemetry.errors)
        assert worker.stop() == 0
        yield Run(telemetry, webhooks, photos.headers, worker.words)


def _send(system: System, name: str, **headers: str) -> None:
    """A message as an app sends it whose tracing has put headers into it; its links are signed."""
    job = system.job(name)
    job["selfie_url"] += f"?X-Amz-Signature={SECRET}"
    its = {"task": JOB_TASK, "id": str(uuid.uuid4()), **headers}
    system.put("verify", envelope(body_of(job), its))


def test_the_apps_trace_goes_on_from_its_message_through_the_job_to_the_webhook(run: Run) -> None:
    by_id = {span["spanId"]: span for span in run.spans}
    (job,) = [span for span in run.spans if span["name"] == "run/worker.verify_member"]
    (event,) = [span for span in run.spans if span["name"] == "deliver event"]
    assert job["parentSpanId"] == APP_SPAN
    assert by_id[event["parentSpanId"]]["name"]
    (post,) = [one for one in run.webhooks.received if one.payload["data"]["request_id"] == "traced"]
    _, trace, parent, _ = post.headers["traceparent"].split("-")
    assert trace == TRACE
    assert by_id[parent]["parentSpanId"] == event["spanId"]


def test_the_jobs_span_says_what_came_of_it_and_where_its_time_went(run: Run) -> None:
    (job,) = [span for span in run.spans if span["name"] == "run/worker.verify_member"]
    said = attributes(job)
    assert said["verification.request"] == "traced"
    assert said["verification.outcome"] == "stored"
    assert {"verification.status", "verification.reason", "verification.seconds.download"} <= said.keys()


def test_downloads_and_the_database_are_spans_of_the_job(run: Run) -> None:
    said = [attributes(span) for span in run.spans]
    assert {"http.method", "db.statement"} <= {name for one in said for name in one}
    assert {one["server.address"] for one in said if one.get("http.method") == "GET"} == {"127.0.0.1"}
    assert not [one for one in said if one.keys() & {"http.url", "url.full", "db.user", "celery.hostname"}]


def test_photo_hosts_are_not_told_the_trace(run: Run) -> None:
    assert run.photo_headers
    assert not [one for one in run.photo_headers if {"traceparent", "tracestate", "baggage"} & one.keys()]


def test_log_lines_name_the_trace(run: Run) -> None:
    lines = [json.loads(line) for line in run.words.splitlines()]
    assert {line["trace"] for line in lines if line.get("job") == "traced"} == {TRACE}


def test_an_error_arrives_at_sentry_with_its_frames_and_its_job(run: Run) -> None:
    (error,) = run.telemetry.errors()
    (shown,) = error["exception"]["values"]
    assert shown["type"] == "RuntimeError"
    assert "https://cdn.example.com/a.jpg?…" in shown["value"]
    assert [frame["function"] for frame in shown["stacktrace"]["frames"]][-2:] == ["_raise", "_fetch"]
    assert error["tags"]["job"] == "raise"


def test_nothing_of_a_links_query_no_local_variable_and_no_member_leaves_the_worker(run: Run) -> None:
    assert SECRET.encode() not in run.sent
    assert b'"vars"' not in run.sent
    assert b"member-raise" not in run.sent
    assert b"member-traced" not in run.sent
    left_out = {"breadcrumbs", "request", "extra", "user", "modules", "contexts"}
    assert not [error for error in run.telemetry.errors() if error.keys() & left_out]


HANGING = """
import logging, sys
from worker import logs, telemetry
logs.configure("INFO", "plain")
telemetry.traces.start()
telemetry.errors.start(sys.argv[1])
from opentelemetry import trace
for number in range(3000):
    with trace.get_tracer("x").start_as_current_span("span"):
        pass
for number in range(200):
    logging.getLogger("x").error("error %d", number)
telemetry.flush()
print("done")
"""


@pytest.mark.parametrize("accepts", [True, False], ids=["hangs", "is down"])
def test_a_receiver_that_hangs_or_is_down_stops_nothing_and_is_not_complained_about(accepts: bool) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=512) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        if not accepts:
            server.close()
        dsn = url.replace("://", "://0123456789abcdef@") + "/1"
        done = subprocess.run(
            [sys.executable, "-c", HANGING, dsn],
            cwd=ROOT,
            env={"PATH": "", "OTEL_EXPORTER_OTLP_ENDPOINT": url},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.stdout == "done\n"
    assert not [
        line for line in done.stderr.splitlines() if "ERROR" not in line or " x [-] error " not in line
    ]
