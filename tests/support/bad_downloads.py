"""Addresses that photos must not come from, and answers that a photo's server must not give."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from support.photo_server import Answer

_JPEG: Final = b"\xff\xd8\xff\xe0" + b"photo" * 100
_PUBLIC: Final = "93.184.216.34"

ADDRESSES: Final[dict[str, Sequence[str]]] = {
    "ftp://photos.example.com/1.jpg": (),
    "file:///etc/passwd": (),
    "https://user:word@photos.example.com/1.jpg": (),
    "https://photos.example.com:22/1.jpg": (),
    "http://127.0.0.1/1.jpg": (),
    "http://localhost/1.jpg": ("127.0.0.1",),
    "http://10.0.0.7/1.jpg": (),
    "http://169.254.169.254/latest/meta-data": (),
    "http://100.64.0.1/1.jpg": (),
    "http://224.0.0.1/1.jpg": (),
    "http://0.0.0.0/1.jpg": (),
    "http://2130706433/1.jpg": (),
    "http://0x7f.1/1.jpg": (),
    "http://127.1/1.jpg": (),
    "http://[::1]/1.jpg": (),
    "http://[::]/1.jpg": (),
    "http://[::ffff:127.0.0.1]/1.jpg": (),
    "http://[::127.0.0.1]/1.jpg": (),
    "http://[::ffff:0:7f00:1]/1.jpg": (),
    "http://[64:ff9b::7f00:1]/1.jpg": (),
    "http://[64:ff9b:1::7f00:1]/1.jpg": (),
    "http://[2002:7f00:1::]/1.jpg": (),
    "http://[2001:0:7f00:1::]/1.jpg": (),
    "http://[2606:4700::5efe:7f00:1]/1.jpg": (),
    "http://[fec0::1]/1.jpg": (),
    "http://[fe80::1]/1.jpg": (),
    "http://[fd00::1]/1.jpg": (),
    "http://photos.example.com/1.jpg": (_PUBLIC, "10.0.0.7"),
    "http://photos.example.com/2.jpg": ("fd00::1",),
    "http://photos.example.com/3.jpg": ("no address",),
}
"""URL, and what the resolver says of its host: one bad address among them is enough."""


@dataclass(frozen=True, slots=True)
class Download:
    """What a server answers; it is told its own address."""

    name: str
    answer: Callable[[str], Answer]


def _simple(name: str, answer: Answer) -> Download:
    return Download(name, lambda _: answer)


DOWNLOADS: Final = (
    *(
        _simple(f"status {status}", Answer(b"", status))
        for status in (400, 401, 403, 404, 410, 429, 500, 503)
    ),
    *(_simple(f"status {status}", Answer(_JPEG, status)) for status in (204, 206, 418)),
    _simple("an empty body", Answer(b"")),
    _simple("a web page as image/jpeg", Answer(b"<!doctype html><html>")),
    _simple("JSON as application/json", Answer(b'{"error": 1}', content_type="application/json")),
    _simple("a photo as text/plain", Answer(_JPEG, content_type="text/plain")),
    _simple("a length of 10 GB", Answer(_JPEG, headers={"Content-Length": "10000000000"})),
    _simple("101 KB where 100 KB may be", Answer(_JPEG * 202)),
    _simple("the same without a length", Answer(_JPEG * 202, headers={"Content-Length": None})),
    _simple("a body shorter than its length", Answer(_JPEG, cut=100)),
    _simple(
        "a gzip body that was not asked for",
        Answer(gzip.compress(_JPEG), headers={"Content-Encoding": "gzip"}),
    ),
    *(
        _simple(f"a photo with Content-Encoding {said}", Answer(_JPEG, headers={"Content-Encoding": said}))
        for said in ("base64", "aws-chunked", "utf-8")
    ),
    _simple("a photo with status 203", Answer(_JPEG, 203)),
    _simple("a length of 5,000 digits", Answer(_JPEG, headers={"Content-Length": "9" * 5000})),
    _simple("no answer for longer than the limit", Answer(_JPEG, delay=30)),
    _simple("a byte every 0.2 s", Answer(_JPEG, drip=0.2)),
    _simple("no HTTP at all", Answer(raw=b"SSH-2.0-OpenSSH_9.2\r\n")),
    Download("a redirect to itself", lambda url: _redirect(f"{url}/photo.jpg")),
    Download("a redirect to the metadata address", lambda _: _redirect("http://169.254.169.254/")),
    Download("a redirect to a file", lambda _: _redirect("file:///etc/passwd")),
)


def _redirect(to: str) -> Answer:
    return Answer(b"", 302, headers={"Location": to})
