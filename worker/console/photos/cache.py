"""Photos in memory: so many bytes, for so long, and no longer than their case."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from worker.console.photos.pictures import ReadyPhoto
from worker.console.photos.problems import PhotoProblem

Loaded = ReadyPhoto | PhotoProblem
Key = tuple[str, int, str]
"""Request, position, and the SHA-256 of the file that was judged."""
_PROBLEM_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class CacheLimits:
    """How much is held, and for how many seconds."""

    bytes: int = 64 * 1024 * 1024
    """About 25 cases of six photos."""
    seconds: float = 600.0
    """A claim is five minutes long and is renewed by every look."""
    problem_seconds: float = 30.0
    """So that a host that does not answer is not asked by each picture of the page."""


@dataclass(frozen=True, slots=True)
class _Entry:
    loaded: Loaded
    size: int
    until: float


class PhotoCache:
    """Holds what was loaded; threads may share it. What is old goes by itself, even if nobody asks."""

    def __init__(
        self, limits: CacheLimits | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limits, self._clock = limits or CacheLimits(), clock
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    @property
    def bytes(self) -> int:
        """Held now."""
        return self._bytes

    def get(self, key: Key) -> Loaded | None:
        """What is held under the key."""
        with self._lock:
            self._drop_old()
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
            return None if entry is None else entry.loaded

    def put(self, key: Key, loaded: Loaded) -> None:
        """Hold it; what was not asked for longest goes where there is no room."""
        problem = isinstance(loaded, PhotoProblem)
        seconds = self._limits.problem_seconds if problem else self._limits.seconds
        size = _PROBLEM_BYTES if isinstance(loaded, PhotoProblem) else loaded.size
        with self._lock:
            self._remove(key)
            self._entries[key] = _Entry(loaded, size, self._clock() + seconds)
            self._bytes += size
            while self._bytes > self._limits.bytes:
                self._remove(next(iter(self._entries)))
            self._wake()

    def forget(self, key: Key) -> None:
        """Hold this one no more."""
        with self._lock:
            self._remove(key)

    def drop(self, request_id: str) -> None:
        """Hold nothing of this request any more."""
        with self._lock:
            for key in [key for key in self._entries if key[0] == request_id]:
                self._remove(key)

    def clear(self) -> None:
        """Hold nothing."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0
            if self._timer:
                self._timer.cancel()

    def _remove(self, key: Key) -> None:
        if entry := self._entries.pop(key, None):
            self._bytes -= entry.size

    def _drop_old(self) -> None:
        now = self._clock()
        for key in [key for key, entry in self._entries.items() if entry.until <= now]:
            self._remove(key)

    def _wake(self) -> None:
        """Look again later, as long as anything is held."""
        if self._timer is None and self._entries:
            self._timer = threading.Timer(self._limits.seconds / 4, self._on_time)
            self._timer.daemon = True
            self._timer.start()

    def _on_time(self) -> None:
        with self._lock:
            self._timer = None
            self._drop_old()
            self._wake()
