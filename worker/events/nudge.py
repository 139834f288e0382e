"""Asks for a delivery of events soon after they were written."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from worker.client.errors import NotSent

_SECONDS: Final = 1.0


class Nudge:
    """Sends at most once a second. A failure does not matter: beat asks as well."""

    def __init__(self, send: Callable[[], None]) -> None:
        self._send = send
        self._next = 0.0

    def __call__(self) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _SECONDS
            with suppress(NotSent):
                self._send()
