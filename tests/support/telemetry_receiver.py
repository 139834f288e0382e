"""Takes traces (OTLP/HTTP, as JSON) and errors (Sentry's envelopes), and keeps what came."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class TelemetryReceiver:
    """Both receivers at one address."""

    def __init__(self) -> None:
        self.bodies: list[tuple[str, bytes]] = []
        """Path and body of every post."""
        self._http = _Server(self)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

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

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    """Of a span in OTLP's JSON, by name."""
    return {one["key"]: next(iter(one["value"].values())) for one in span.get("attributes", [])}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, receiver: TelemetryReceiver) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.receiver = receiver


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        server = self.server
        assert isinstance(server, _Server)
        server.receiver.bodies.append((self.path, body))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Nothing."""
