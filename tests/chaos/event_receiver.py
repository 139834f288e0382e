"""`python -m chaos.event_receiver PORT LOG`: an app that takes events, to be killed and stopped.

It checks the signature, writes the event to its log, and only then answers. How many milliseconds each answer
takes stands in the file `LOG.slow`, if there is one.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from standardwebhooks import Webhook, WebhookVerificationError

SECRET: Final = "whsec_" + "Y2hhb3MgcmVjZWl2ZXIncyBzZWNyZXQgb2YgMzIgYnl0ZXM="
FORGED: Final = "forged"
"""In the log in place of an event's ID where the signature does not fit."""


class Receiver(ThreadingHTTPServer):
    """On one port, so that it can come back after its death."""

    daemon_threads = True
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, port: int, log: Path) -> None:
        self.log = log.open("a", buffering=1)
        self.slow = log.with_suffix(".slow")
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    def take(self, headers: dict[str, str], body: bytes) -> int:
        """Write down what came; the status of the answer."""
        try:
            event: Any = Webhook(SECRET).verify(body, headers)
        except WebhookVerificationError:
            line, status = [FORGED], 401
        else:
            line, status = [headers["webhook-id"], event], 204
        with self.lock:
            self.log.write(json.dumps(line) + "\n")
        return status

    def handle_error(self, request: object, client_address: object) -> None:
        """A worker that was killed while it posted."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.slow.exists():
            time.sleep(int(self.server.slow.read_text() or 0) / 1000)
        status = self.server.take({name.lower(): value for name, value in self.headers.items()}, body)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """What came is in the log of events."""


if __name__ == "__main__":
    Receiver(int(sys.argv[1]), Path(sys.argv[2])).serve_forever()
