"""The HTTP server of the metrics: `GET /metrics`, as Prometheus' text or, where asked for, as OpenMetrics."""

from __future__ import annotations

import hmac
import logging
import threading
import time
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from socket import AF_INET, AF_INET6
from socketserver import TCPServer
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

logger = logging.getLogger(__name__)

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

RETRY_SECONDS: Final = 5.0
"""How soon an address is tried again that another process has."""


class _Handler(WSGIRequestHandler):
    timeout = 10.0
    """Seconds that a client may be silent."""

    def log_message(self, *_: Any) -> None:
        """Nothing: a line for each scrape says nothing."""


class _Server(ThreadingWSGIServer):
    def __init__(self, host: str, port: int, wanted: Callable[[], bool]) -> None:
        self.address_family = AF_INET6 if ip_address(host).version == 6 else AF_INET
        self._wanted = wanted
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Without a look-up of this machine's own name, which may take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def service_actions(self) -> None:
        """Called twice a second."""
        if not self._wanted():
            threading.Thread(target=self.shutdown, daemon=True).start()

    def handle_error(self, *_: Any) -> None:
        """A client that goes away is no event."""


def app(registry: CollectorRegistry, token: str) -> App:
    """What answers; whoever does not show the token, where there is one, gets 401."""
    metrics, lock = make_wsgi_app(registry), threading.Lock()

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/metrics":
            start("404 Not Found", [])
            return [b""]
        if token and not _shows(environ.get("HTTP_AUTHORIZATION", ""), token):
            start("401 Unauthorized", [("WWW-Authenticate", "Bearer")])
            return [b""]
        with lock:  # one answer after the other: they share the readings
            return list(metrics(environ, start))

    return answer


def _shows(header: str, token: str) -> bool:
    return hmac.compare_digest(header.encode("latin-1", "replace"), f"Bearer {token}".encode("latin-1"))


def serve(host: str, port: int, application: App, wanted: Callable[[], bool]) -> None:
    """Serve for as long as it is ``wanted``; while another process has the address, wait for it."""
    told = False
    while wanted():
        try:
            server = _Server(host, port, wanted)
        except OSError as error:
            if not told:
                logger.warning("no metrics at %s port %d: %s; tried again", host, port, error.strerror)
            told = True
            time.sleep(RETRY_SECONDS)
            continue
        with server:
            server.set_app(application)
            logger.info("metrics at http://%s:%d/metrics", host, server.server_port)
            server.serve_forever()
