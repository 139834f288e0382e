"""A circuit breaker by photo host: a host that fails is left alone for a while.

Without it a host that hangs would cost every request its whole time-out. The state is this process's own:
the others learn the same within a few requests.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_MAX_HOSTS: Final = 1000
"""The URLs come from outside, so the number of hosts that are remembered needs a limit."""


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    openings: int = 0
    open_until: float = 0.0


class CircuitBreaker:
    """Opens after ``limit`` failures of a host in a row, for ``seconds``.

    Then it is half-open: one more failure opens it for twice as long, up to ``longest``; one success
    closes it.
    """

    def __init__(
        self,
        limit: int,
        seconds: float,
        longest: float = 120.0,
        *,
        opened: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``opened`` is told each host whose circuit opens; it must not raise."""
        self._limit, self._seconds, self._longest, self._clock = limit, seconds, longest, clock
        self._opened = opened
        self._circuits: OrderedDict[str, _Circuit] = OrderedDict()
        self._lock = threading.Lock()

    def open_for(self, host: str) -> float:
        """Seconds for which the circuit is still open; 0 when the host may be asked."""
        with self._lock:
            circuit = self._circuits.get(host)
            return max(0.0, circuit.open_until - self._clock()) if circuit else 0.0

    def is_half_open(self, host: str) -> bool:
        """Whether the circuit was open and the host has not answered since."""
        with self._lock:
            circuit = self._circuits.get(host)
            return circuit is not None and circuit.openings > 0

    def record_failure(self, host: str, weight: int = 1) -> None:
        """The host did not answer, or said that it cannot; a failure that took long has more ``weight``."""
        with self._lock:
            circuit, now = self._circuits.setdefault(host, _Circuit()), self._clock()
            self._circuits.move_to_end(host)
            circuit.failures += weight
            # All photos of a request fail at once: they open the circuit once.
            if circuit.failures >= self._limit and circuit.open_until <= now:
                circuit.open_until = now + min(self._seconds * 2**circuit.openings, self._longest)
                circuit.openings += 1
                self._opened(host)
            if len(self._circuits) > _MAX_HOSTS:
                self._circuits.popitem(last=False)

    def record_success(self, host: str) -> None:
        """The host works, whatever it said about the one photo."""
        with self._lock:
            self._circuits.pop(host, None)
