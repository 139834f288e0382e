"""Addresses of photos in cells: as text or as a hyperlink, and which are no address of a photo."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

_ADDRESS: Final = re.compile(r"https?://", re.IGNORECASE)
_BETWEEN: Final = re.compile(r"\s+|(?<![,;|])[,;|]+(?=https?://)", re.IGNORECASE)
"""Commas and semicolons may belong to an address; where they part two, another one follows. That a run
of them is tried from its beginning only keeps the time linear."""
_HYPERLINK: Final = re.compile(r"\bHYPERLINK\s*\(", re.IGNORECASE)
_LITERAL: Final = re.compile(r'HYPERLINK\s*\(\s*"((?:[^"]|"")*)"\s*[,)]', re.IGNORECASE)
_TEXT: Final = re.compile(r'"[^"]*"')

_COMPUTED: Final = (
    "{ko} 칸의 링크는 수식으로 만들어져 주소를 알 수 없습니다. 주소 자체를 적어 주세요 "
    "(a formula computes the link of the {en}: write the address itself)"
)
_NO_LINK: Final = "{ko} 칸에 링크가 아닌 글자가 있습니다 (the {en} is no link)"
_ANOTHER: Final = (
    "{ko} 칸에 여러 링크가 적혀 있는데 셀의 하이퍼링크는 또 다른 주소입니다. 하이퍼링크를 지워 주세요 "
    "(the {en} shows several links and leads to another one: remove the hyperlink)"
)
A_PAGE: Final = (
    "{ko} 칸의 링크는 사진이 아니라 공유 페이지를 엽니다. 사진 파일 자체의 주소를 적어 주세요 "
    "(the link of the {en} opens a page for sharing: give the address of the file itself)"
)

_PAGES: Final = {
    "drive.google.com": r"/(?!uc\b|thumbnail\b)",
    "docs.google.com": r"/(?!uc\b)",
    "photos.google.com": "",
    "photos.app.goo.gl": "",
    "dropbox.com": r"/(s|sh|scl)/",
    "1drv.ms": "",
    "onedrive.live.com": r"/(?!download\b)",
    "icloud.com": "",
    "mybox.naver.com": "",
    "photo.mybox.naver.com": "",
    "naver.me": "",
    "blog.naver.com": "",
    "cafe.naver.com": "",
    "app.box.com": "/(s|file)/",
    "wetransfer.com": "",
    "we.tl": "",
}
"""Hosts whose links show a page with a picture on it, and on which paths."""


class NoAddress(Exception):
    """A cell holds no address of a photo; the text says why, for ``ko`` and ``en``, names of its column."""


def is_address(text: str) -> bool:
    """Whether it begins like an address of the web."""
    return _ADDRESS.match(text) is not None


def link_in(formula: str, shown: str) -> str | None:
    """Where a formula leads to: None if nowhere, empty if that is computed and not stored.

    With one argument `HYPERLINK` shows the address itself, whatever computes it.
    """
    if not _HYPERLINK.search(formula):
        return None
    literal = _LITERAL.match(formula)
    if literal:
        address = literal[1].replace('""', '"')
        return address if is_address(address) else None
    has_one_argument = "," not in _TEXT.sub("", formula)
    return None if has_one_argument and is_address(shown) else ""


def addresses_in(text: str, link: str | None) -> list[str]:
    """The addresses that a cell shows or leads to: a link goes before an address in its place.

    Raises NoAddress.
    """
    parts = [part.strip(",;|") for part in _BETWEEN.split(text)]
    shown = [part for part in parts if part]
    if link == "":
        raise NoAddress(_COMPUTED)
    if link is not None and not _ADDRESS.search(text):
        return [link]
    if not all(is_address(one) for one in shown):
        raise NoAddress(_NO_LINK)
    if link is None or _plain(link) in {_plain(text), *map(_plain, shown)}:
        return shown
    if len(shown) > 1:
        raise NoAddress(_ANOTHER)
    return [link]


def _plain(address: str) -> str:
    """Excel escapes addresses when it makes links of them, and adds a slash."""
    return re.sub(r"\s", "", unquote(address)).rstrip("/")


def is_page(url: str) -> bool:
    """Whether the link is known to show a page with the photo on it."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").removeprefix("www.").removeprefix("share.")
    except ValueError:
        return False
    pattern = _PAGES.get(host)
    if pattern is None or re.match(pattern, parts.path) is None:
        return False
    wanted = parse_qs(parts.query)
    return "1" not in (*wanted.get("dl", ()), *wanted.get("raw", ()))
