"""Whether the broker answers, asked now and then."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Final

from worker.broker.publisher import Publisher
from worker.client.errors import NotSent
from worker.jobs.queues import VERIFY

_KEPT_SECONDS: Final = 10.0


@dataclass(slots=True)
class BrokerCheck:
    """Keeps the answer for a while: a broker that is away takes seconds to say so."""

    publisher: Publisher
    _asked_at: float | None = None
    _problem: str | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def problem(self) -> str | None:
        """Why it cannot be reached, in a line; None if it can."""
        with self._lock:
            now = time.monotonic()
            if self._asked_at is None or now > self._asked_at + _KEPT_SECONDS:
                self._problem = self._ask()
                self._asked_at = time.monotonic()
            return self._problem

    def _ask(self) -> str | None:
        try:
            self.publisher.waiting(VERIFY)
        except NotSent as error:
            return str(error)
        return None
