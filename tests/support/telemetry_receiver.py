"""Takes traces (OTLP/HTTP, as JSON) and errors (Sentry's envelopes), and keeps what came."""

from __future__ import annotations

import gzip
import json
from typing import Any

from support.local_server import Handler, LocalServer


class TelemetryReceiver(LocalServer):
    """Both receivers at one address."""

    def __init__(self) -> None:
        self.bodies: list[tuple[str, bytes]] = []
        """Path and body of every post."""
        super().__init__(_Handler)

    @property
    def dsn(self) -> str:
        """As Sentry shows it for a project."""
        return self.url.replace("://", "://0123456789abcdef@") + "/1"

    @property
    def settings(self) -> dict[str, str]:
        """Of a worker that sends everything here, soon."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "VERIFY_SENTRY_DSN": self.dsn,
        }

    def spans(self) -> list[dict[str, Any]]:
        """All spans that have come."""
        sent = [json.loads(body) for path, body in list(self.bodies) if path == "/v1/traces"]
        scopes = [s for one in sent for r in one["resourceSpans"] for s in r["scopeSpans"]]
        return [span for scope in scopes for span in scope["spans"]]

    def errors(self) -> list[dict[str, Any]]:
        """All events of Sentry's that have come."""
        sent = [body for path, body in list(self.bodies) if path.endswith("/envelope/")]
        parts = [json.loads(line) for body in sent for line in body.splitlines() if line]
        return [part for part in parts if "level" in part]


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    """Of a span in OTLP's JSON, by name."""
    return {one["key"]: next(iter(one["value"].values())) for one in span.get("attributes", [])}


class _Handler(Handler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.owner.bodies.append((self.path, body))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
