"""Reads the state of other parts (database, broker) when somebody asks for the metrics.

Each source is read in a thread of its own, at most every few seconds, and never for more than a twentieth of
the time. One that fails or hangs is left out of the answer, which says so (`verify_source_up`); the others
are in it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from worker.client.errors import ClientError
from worker.errors import WorkerError
from worker.metrics import families
from worker.metrics.families import Family

logger = logging.getLogger(__name__)

Read = Callable[[], Iterable[Metric]]

GOOD_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 4.0
"""How long an answer waits for its sources; Prometheus itself waits for 10 s by default."""
_SHARE: Final = 20


@dataclass(frozen=True, slots=True)
class _Reading:
    metrics: Sequence[Metric]
    at: float
    seconds: float

    def is_good(self, now: float, seconds: float) -> bool:
        return now - self.at < max(seconds, _SHARE * self.seconds)


class Source:
    """A part of the system, with its last reading."""

    def __init__(
        self,
        name: str,
        read: Read,
        *,
        good_for: float = GOOD_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``read`` may raise what it likes; a reading is ``good_for`` so many seconds, at least."""
        self.name = name
        self._read, self._good_for, self._clock = read, good_for, clock
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._last: _Reading | None = None
        self._running: Future[_Reading] | None = None
        self._failing = False

    def refresh(self) -> Future[_Reading] | None:
        """Begin to read, unless the last reading is good or another one goes on."""
        good = self._last is not None and self._last.is_good(self._clock(), self._good_for)
        if self._running is None and not good:
            self._running = self._pool.submit(self._timed)
        return self._running

    def _timed(self) -> _Reading:
        start = self._clock()
        metrics = list(self._read())
        now = self._clock()
        return _Reading(metrics, now, now - start)

    def reading(self) -> _Reading | None:
        """The last one; None where it failed, or still goes on."""
        if self._running is None:
            return self._last
        if not self._running.done():
            return None
        self._last, self._running = self._result(self._running), None
        return self._last

    def _result(self, done: Future[_Reading]) -> _Reading | None:
        try:
            reading = done.result()
        except Exception as error:  # whatever it is: the other sources are in the answer
            if not self._failing:
                known = isinstance(error, WorkerError | ClientError)
                logger.warning("metrics of the %s cannot be read: %s", self.name, error, exc_info=not known)
            self._failing = True
            return None
        self._failing = False
        return reading


class StateCollector:
    """A collector of prometheus-client over several sources."""

    def __init__(self, sources: Sequence[Source], patience: float = PATIENCE_SECONDS) -> None:
        self._sources, self._patience = sources, patience

    def collect(self) -> Iterable[Metric]:
        """What can be read within the patience; of each source whether it could, and in what time."""
        wait([running for source in self._sources if (running := source.refresh())], self._patience)
        readings = {source.name: source.reading() for source in self._sources}
        for reading in readings.values():
            yield from reading.metrics if reading else ()
        up = {name: float(reading is not None) for name, reading in readings.items()}
        yield gauge(families.SOURCE_UP, up)
        seconds = {name: reading.seconds for name, reading in readings.items() if reading}
        yield gauge(families.SOURCE_SECONDS, seconds)


def gauge(family: Family, values: Mapping[Any, float] | float) -> Metric:
    """The metric with its values: one for each value of its label, or combination of its labels (tuples); or
    the one of a metric without labels."""
    made = GaugeMetricFamily(family.name, family.text, labels=family.labels)
    for key, value in ({(): values} if isinstance(values, int | float) else values).items():
        made.add_metric((key,) if isinstance(key, str) else key, value)
    return made
