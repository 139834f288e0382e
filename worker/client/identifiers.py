"""Member and request IDs: `[!-~]{1,64}`.

Printable ASCII without the space, so that no database takes two members for one: MariaDB's default collation
takes `Ab1`, `ab1` and `Ab1 ` for the same key.
"""

from __future__ import annotations

import re
import secrets
from datetime import datetime

MAX_LENGTH = 64
_ALLOWED = re.compile(rf"[!-~]{{1,{MAX_LENGTH}}}")


def is_identifier(text: object) -> bool:
    """Whether the value may be a member's or a request's ID."""
    return isinstance(text, str) and _ALLOWED.fullmatch(text) is not None


def new_request_id(now: datetime) -> str:
    """A new request ID of 33 characters; later ones sort behind earlier ones (to the millisecond).

    The order matters where two requests of a member carry the same time: the larger ID is newer.
    """
    return f"{int(now.timestamp() * 1000):012x}-{secrets.token_hex(10)}"
