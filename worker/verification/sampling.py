"""Chances that come out the same each time: decided by a keyed hash, so that nobody can foretell them."""

from __future__ import annotations

import hashlib
import hmac


def drawn(key: bytes, purpose: str, name: str) -> float:
    """0 to 1 (exclusive), for this name and this purpose; without the key nobody knows it."""
    digest = hmac.new(key, f"{purpose} {name}".encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:4]) / 2**32
