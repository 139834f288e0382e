"""A photo host on this machine that can be slow, broken or hostile, path by path."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from support.local_server import Handler, LocalServer

_TYPES: Final = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}


def _type(name: str) -> str:
    return _TYPES.get(Path(name).suffix.lower(), "application/octet-stream")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one path answers.

    ``headers`` replace those of the same name; a header with the value None is left out.
    ``delay`` (seconds) comes before the first byte, ``drip`` (seconds) between the bytes.
    ``cut`` closes the connection after so many bytes of the body. ``raw`` replaces the whole answer.
    """

    body: bytes = b""
    status: int = 200
    content_type: str = "image/jpeg"
    headers: Mapping[str, str | None] = field(default_factory=dict)
    delay: float = 0.0
    drip: float = 0.0
    cut: int | None = None
    raw: bytes | None = None


_FORBIDDEN: Final = Answer(b"<Error><Code>SignatureDoesNotMatch</Code></Error>", 403, "application/xml")


class PhotoServer(LocalServer):
    """Serves what it was told, and the files of ``folder`` for every other path."""

    def __init__(self, folder: Path | None = None, *, delay: float = 0.0) -> None:
        self.folder = folder
        self.delay = delay
        """Seconds before every answer, on top of a path's own."""
        self.signature: str | None = None
        """With it only links with this `sig` get a photo; all others get S3's answer to a wrong signature."""
        self.hits: Counter[str] = Counter()
        """How often each path was asked for."""
        self.headers: list[dict[str, str]] = []
        """Of each request; the names in small letters."""
        self._answers: dict[str, Answer | Callable[[int], Answer]] = {}
        self._lock = threading.Lock()
        super().__init__(_Handler)

    def at(self, path: str) -> str:
        """The URL of a path."""
        return f"{self.url}/{path.lstrip('/')}"

    def add(self, path: str, answer: Answer | Callable[[int], Answer]) -> str:
        """Let a path give this answer, or one that depends on the number of the request (1, 2, ...)."""
        key = "/" + path.lstrip("/")
        self._answers[key] = answer
        return self.at(key)

    def add_photo(self, path: str, photo: bytes | Path, *, delay: float = 0.0) -> str:
        """Serve a photo's bytes, or a file, under a path."""
        body = photo if isinstance(photo, bytes) else photo.read_bytes()
        return self.add(path, Answer(body, content_type=_type(path), delay=delay))

    def answer(self, path: str) -> Answer:
        """What this path answers now; counts the request."""
        with self._lock:
            self.hits[path] += 1
            number = self.hits[path]
        known = self._answers.get(path)
        if known is None:
            return self._file(path)
        return known(number) if callable(known) else known

    def refuses(self, query: str) -> bool:
        """Whether the signature in a link is none of today."""
        return self.signature is not None and parse_qs(query).get("sig") != [self.signature]

    def _file(self, path: str) -> Answer:
        file = self.folder / path.lstrip("/") if self.folder else None
        if file is None or not file.is_file():
            return Answer(b"not found", status=404, content_type="text/plain")
        return Answer(file.read_bytes(), content_type=_type(file.name))


class _Handler(Handler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer as told."""
        photos: PhotoServer = self.owner
        photos.headers.append({name.lower(): value for name, value in self.headers.items()})
        asked = urlsplit(self.path)
        answer = _FORBIDDEN if photos.refuses(asked.query) else photos.answer(asked.path)
        time.sleep(photos.delay + answer.delay)
        if answer.raw is not None:
            self.wfile.write(answer.raw)
            self.close_connection = True
            return
        self._head(answer)
        self._body(answer)

    def _head(self, answer: Answer) -> None:
        self.send_response(answer.status)
        headers: dict[str, str | None] = {
            "Content-Type": answer.content_type,
            "Content-Length": str(len(answer.body)),
            **answer.headers,
        }
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        if headers["Content-Length"] is None:
            self.send_header("Connection", "close")
        self.end_headers()

    def _body(self, answer: Answer) -> None:
        body = answer.body if answer.cut is None else answer.body[: answer.cut]
        if answer.drip:
            for byte in body:
                self.wfile.write(bytes([byte]))
                time.sleep(answer.drip)
        else:
            self.wfile.write(body)
        if answer.cut is not None:
            self.close_connection = True
