"""Which member a message is about that was never understood."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Final

_CLAIM: Final = re.compile(r'"member_id"\s*:\s*("(?:[^"\\]|\\.)*")')
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]{24,}")


def claimed_member(body: bytes) -> str | None:
    """The only member that a message claims to be about, however broken the rest of it is."""
    claims = {claim for text in _readings(body) for claim in _CLAIM.findall(text)}
    return _read(claims.pop()) if len(claims) == 1 else None


def _read(claim: str) -> str | None:
    try:
        return str(json.loads(claim))
    except ValueError:
        return None


def _readings(body: bytes) -> Iterator[str]:
    """As it is, and what Celery's base64 in it says."""
    yield body.decode(errors="replace")
    for run in _BASE64.findall(body):
        # An excerpt is cut off anywhere: a group of four that is not whole is left out.
        yield base64.b64decode(run[: len(run) // 4 * 4]).decode(errors="replace")
