"""Whether a message that was never understood is about a certain member."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Iterator
from typing import Final

_CLAIM: Final = re.compile(r'"member_id"\s*:\s*("(?:[^"\\]|\\.)*")')
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]{24,}")
_WORD: Final = r"[A-Za-z0-9_\-]"


def claimed_member(body: bytes) -> str | None:
    """The first member that a message claims to be about, however broken the rest of it is."""
    for text in _readings(body):
        if found := _CLAIM.search(text):
            try:
                return str(json.loads(found[1]))
            except ValueError:
                return None
    return None


def mentions(body: bytes, member_id: str, urls: Collection[str]) -> bool:
    """Whether the ID stands in the message as a word of its own, or one of the URLs."""
    word = re.compile(rf"(?<!{_WORD}){re.escape(member_id)}(?!{_WORD})")
    return any(word.search(text) or any(url in text for url in urls) for text in _readings(body))


def _readings(body: bytes) -> Iterator[str]:
    """As it is, without JSON's escaped slashes, and what Celery's base64 in it says."""
    yield body.decode(errors="replace").replace("\\/", "/")
    for run in _BASE64.findall(body):
        # Kept messages are cut off anywhere: a group of four that is not whole is left out.
        decoded = base64.b64decode(run[: len(run) // 4 * 4])
        yield decoded.decode(errors="replace").replace("\\/", "/")
