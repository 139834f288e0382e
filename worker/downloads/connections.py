"""Connections that go only to addresses that are allowed, and never outlast their deadline.

requests-hardened checks the first address of a name only; a name may have several. A read time-out of
urllib3 or requests begins anew with every byte, so a server that sends byte by byte holds a thread for
hours, in its headers as well as in its body. Both are prevented at the socket: it is opened to addresses
that are checked at that moment, and each single read waits no longer than what is left of the time.

The bounds of a fetch are in a context variable, for connections are pooled and a thread does one fetch at
a time.
"""

from __future__ import annotations

import io
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any

import certifi
import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from worker.downloads.addresses import IpAddress
from worker.telemetry.traces import HEADERS as TRACE_HEADERS


@dataclass(frozen=True, slots=True)
class FetchBounds:
    """Limits of one fetch: its time and size, and the addresses that it may connect to."""

    deadline: float
    """In seconds of `time.monotonic`."""
    read_seconds: float
    """The longest silence."""
    addresses: Callable[[str, int], Sequence[IpAddress]]
    max_bytes: int
    """Of a body."""
    path: str = "/"
    """Path and query to ask for, unchanged."""

    def time_left(self, limit: float) -> float:
        """Seconds that may still be waited. Raises TimeoutError when there are none."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time for this photo is used up")
        return min(left, limit)


_bounds: ContextVar[FetchBounds] = ContextVar("bounds")


@contextmanager
def bounded_by(bounds: FetchBounds) -> Iterator[None]:
    """All that this thread connects to and reads inside of the block keeps to the bounds."""
    token = _bounds.set(bounds)
    try:
        yield
    finally:
        _bounds.reset(token)


class _Reader(io.RawIOBase):
    """Reads from a socket, each time with what is left of the time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        bounds = _bounds.get()
        self._sock.settimeout(bounds.time_left(bounds.read_seconds))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    """http.client's response; headers and body come through a `_Reader`."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_Reader(sock))


def _connect(connection: HTTPConnection) -> socket.socket:
    """A socket to the first address that answers, of those that are allowed.

    Raises what urllib3's own would, and AddressRefused.
    """
    bounds = _bounds.get()
    try:
        addresses = bounds.addresses(connection.host, connection.port)
    except OSError as error:
        gai = error if isinstance(error, socket.gaierror) else socket.gaierror(str(error))
        raise NameResolutionError(connection.host, connection, gai) from error
    return _first_to_answer(connection, addresses, bounds)


def _first_to_answer(
    connection: HTTPConnection, addresses: Sequence[IpAddress], bounds: FetchBounds
) -> socket.socket:
    problem: Exception = NewConnectionError(connection, "no address")
    for address in addresses:
        try:
            return _open(str(address), connection, bounds)
        except TimeoutError:
            problem = ConnectTimeoutError(connection, "no answer in time")
        except OSError as error:
            problem = NewConnectionError(connection, type(error).__name__)
    raise problem


def _open(address: str, connection: HTTPConnection, bounds: FetchBounds) -> socket.socket:
    sock = socket.create_connection((address, connection.port), bounds.time_left(connection.timeout or 5.0))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class _PlainConnection(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        return _connect(self)

    def putrequest(self, method: str, url: str, *args: Any, **options: Any) -> None:  # noqa: ARG002
        """Ask for the path of the bounds: urllib3 would normalise it, and a signature would no longer fit."""
        super().putrequest(method, _bounds.get().path, *args, **options)


class _TlsConnection(_PlainConnection, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class BoundedAdapter(HTTPAdapter):
    """requests' adapter over connections that keep to the bounds; works only inside `bounded_by`.

    ``ca_file``: authorities that are trusted beside the usual ones. ``traced``: whether the other side is
    told the trace. Raises OSError where the file cannot be read.
    """

    def __init__(self, *, pool_maxsize: int, ca_file: str | None = None, traced: bool = False) -> None:
        self._traced = traced
        self._trust = ssl.create_default_context(cafile=certifi.where())
        if ca_file:
            self._trust.load_verify_locations(ca_file)
        super().__init__(pool_maxsize=pool_maxsize)

    def add_headers(self, request: requests.PreparedRequest, **_: Any) -> None:
        """Called before a request is sent: a photo host is not told what its photo is a part of."""
        if not self._traced:
            for name in TRACE_HEADERS:
                request.headers.pop(name, None)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Let requests build its pools out of our connections."""
        super().init_poolmanager(*args, ssl_context=self._trust, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}
