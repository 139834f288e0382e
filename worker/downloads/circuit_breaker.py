"""A host in trouble is left alone for a while instead of costing every job its whole time.

Simple and of this process only: what one process learns, the others learn by themselves within
a few jobs.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_REMEMBERED: Final = 1000  # hosts; the URLs come from outside, so their number must have an end


@dataclass(slots=True)
class _Host:
    failures: int = 0
    rests: int = 0
    closed_until: float = 0.0


class Breaker:
    """Counts failures in a row by host; after ``limit`` of them the host rests ``seconds``.

    When the rest is over one failure is enough for the next one, which is twice as long, up to
    ``longest``; one success ends it. Or a host that hangs would cost every process a whole time-out
    each half a minute, for as long as it hangs.
    """

    def __init__(
        self,
        limit: int,
        seconds: float,
        longest: float = 120.0,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit, self._seconds, self._longest, self._clock = limit, seconds, longest, clock
        self._hosts: OrderedDict[str, _Host] = OrderedDict()
        self._lock = threading.Lock()

    def rest(self, host: str) -> float:
        """Seconds that the host still rests; 0 when it may be asked."""
        with self._lock:
            known = self._hosts.get(host)
            return max(0.0, known.closed_until - self._clock()) if known else 0.0

    def on_trial(self, host: str) -> bool:
        """Whether the host has rested and not answered since."""
        with self._lock:
            known = self._hosts.get(host)
            return known is not None and known.rests > 0

    def failed(self, host: str, weight: int = 1) -> None:
        """The host did not answer, or said that it cannot; ``weight`` for what took its time to fail."""
        with self._lock:
            known, now = self._hosts.setdefault(host, _Host()), self._clock()
            self._hosts.move_to_end(host)
            known.failures += weight
            # All photos of a job fail at once: that is one reason to rest, not several.
            if known.failures >= self._limit and known.closed_until <= now:
                known.closed_until = now + min(self._seconds * 2**known.rests, self._longest)
                known.rests += 1
            if len(self._hosts) > _REMEMBERED:
                self._hosts.popitem(last=False)

    def answered(self, host: str) -> None:
        """The host works, whatever it said about the one photo."""
        with self._lock:
            self._hosts.pop(host, None)
