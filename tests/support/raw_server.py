"""A server that speaks HTTP as badly as a test wants it to, byte by byte."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class RawServer:
    """Reads a request's head and hands the connection to ``talk``, each in a thread of its own.

    ``talk`` gets the connection and the number of the connection (1, 2, ...). ``requests`` keeps
    the heads as they came. ``url`` is for ``host``, which must resolve to 127.0.0.1.
    """

    def __init__(
        self,
        talk: Callable[[socket.socket, int], None],
        *,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._talk, self._tls = talk, tls
        self.requests: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        number = 0
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            number += 1
            threading.Thread(target=self._one, args=(connection, number), daemon=True).start()

    def _one(self, connection: socket.socket, number: int) -> None:
        """A client that goes away is no error here."""
        with contextlib.suppress(OSError), connection:
            wrapped = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
            with wrapped:
                self.requests.append(read_head(wrapped))
                self._talk(wrapped, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


def read_head(connection: socket.socket) -> bytes:
    """A request up to the empty line, or what there is of it."""
    head = b""
    while b"\r\n\r\n" not in head:
        part = connection.recv(4096)
        if not part:
            return head
        head += part
    return head


def response(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """A whole HTTP answer; ``length`` lies about the body's."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body
