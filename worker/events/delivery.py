"""One run of the delivery: new events are dispatched, then every endpoint gets what is due.

Each endpoint has a thread of its own and a lease, so a receiver that hangs delays no other one. Nothing is
sent inside of a transaction. An event is recorded as delivered after it was taken: a process that is killed
in between leaves a lease that lapses, and the event is sent again, under the same ID.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from worker.clock import utc_now
from worker.store.outbox.deliveries import PAUSE_AFTER
from worker.store.outbox.records import EndpointLease, Tried, WaitingEvent
from worker.telemetry import traces

logger = logging.getLogger(__name__)

LEASE: Final = timedelta(seconds=30)
"""Longer than a batch takes, its last post included."""
_BATCH: Final = 100
_BATCH_SECONDS: Final = 5.0
"""After so long no further event of a batch is begun."""
_PARALLEL: Final = 8
"""Events that are sent to one endpoint at the same time, each of another member."""
_POLL_SECONDS: Final = 1.0
"""How often a run looks for new events while an endpoint is being served."""


class Endpoint(Protocol):
    """Where events are sent to. Threads share it."""

    def send(self, event_id: str, body: bytes) -> tuple[str | None, timedelta | None]:
        """Why the event was not taken, None where it was; and how long to leave the receiver alone."""


class Deliveries(Protocol):
    """The deliveries of the store. All may raise StoreUnavailable."""

    def dispatch(self, endpoints: Collection[str], now: datetime) -> int: ...

    def acquire(
        self, endpoint: str, worker: str, lease: timedelta, now: datetime
    ) -> EndpointLease | None: ...

    def due(self, endpoint: str, now: datetime, limit: int) -> Sequence[WaitingEvent]:
        """The first one of each member at most."""

    def record(
        self, lease: EndpointLease, tried: Sequence[Tried], extended: timedelta, now: datetime
    ) -> EndpointLease | None:
        """None when another process has the endpoint by now."""

    def release(self, lease: EndpointLease) -> bool: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class EventDelivery:
    """Delivers what is due; one per process."""

    deliveries: Deliveries
    endpoints: Mapping[str, Endpoint]
    worker: str
    busy: Callable[[], bool] = lambda: False
    """Whether other work waits for this process: the run ends then, and a later one goes on."""
    seconds: float = 20.0
    """After which no further batch is begun."""
    clock: Callable[[], datetime] = utc_now

    def run(self) -> int:
        """Deliver until nothing is due; how many events arrived. Raises StoreUnavailable."""
        deadline, stop = time.monotonic() + self.seconds, threading.Event()
        served: dict[str, Future[int]] = {}
        delivered = 0
        with ThreadPoolExecutor(max(1, len(self.endpoints)), "endpoint") as pool:
            try:
                while self._begin(pool, served, stop):
                    wait(served.values(), timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
                    done = [name for name, future in served.items() if future.done()]
                    delivered += sum(served.pop(name).result() for name in done)
                    if time.monotonic() > deadline or self.busy():
                        stop.set()
            finally:
                stop.set()
        return delivered

    def _begin(self, pool: ThreadPoolExecutor, served: dict[str, Future[int]], stop: threading.Event) -> bool:
        """Serve the endpoints for which something is due; whether any is served now."""
        if not stop.is_set():
            self.deliveries.dispatch(self.endpoints, self.clock())
            for name in self.endpoints.keys() - served.keys():
                lease = self.deliveries.acquire(name, self.worker, LEASE, self.clock())
                if lease is not None:
                    served[name] = pool.submit(self._serve, lease, stop)
        return bool(served)

    def _serve(self, lease: EndpointLease, stop: threading.Event) -> int:
        """Batch by batch; how many events arrived."""
        delivered = 0
        with ThreadPoolExecutor(_PARALLEL, "event") as pool:
            while not stop.is_set():
                size = 1 if lease.paused else _BATCH
                events = self.deliveries.due(lease.endpoint, self.clock(), size)
                if not events:
                    break
                tried = self._send(pool, lease, events)
                held = self.deliveries.record(lease, tried, LEASE, self.clock())
                if held is None:
                    logger.warning("endpoint %s: another process has it by now", lease.endpoint)
                    return delivered
                lease, delivered = held, delivered + sum(one.problem is None for one in tried)
                if lease.paused:
                    _log_pause(lease, tried)
                    break
        self.deliveries.release(lease)
        logger.info("endpoint %s: %d events delivered", lease.endpoint, delivered)
        return delivered

    def _send(
        self, pool: ThreadPoolExecutor, lease: EndpointLease, events: Sequence[WaitingEvent]
    ) -> list[Tried]:
        failures = 0 if lease.paused else lease.failures
        batch = _Batch(self.endpoints[lease.endpoint], failures, time.monotonic() + _BATCH_SECONDS)
        for _ in pool.map(batch.send, events):
            pass
        return batch.tried


class _Batch:
    """Events that are sent at the same time; ends early where too many fail in a row or its time is over."""

    def __init__(self, endpoint: Endpoint, failures: int, deadline: float) -> None:
        self._endpoint, self._failures, self._deadline = endpoint, failures, deadline
        self._lock = threading.Lock()
        self.tried: list[Tried] = []
        """In the order in which the tries ended."""

    def send(self, event: WaitingEvent) -> None:
        with self._lock:
            if self._failures >= PAUSE_AFTER or time.monotonic() > self._deadline:
                return
        tried = self._try(event)
        with self._lock:
            self.tried.append(tried)
            self._failures = 0 if tried.problem is None else self._failures + 1

    def _try(self, event: WaitingEvent) -> Tried:
        body = json.dumps(event.payload, ensure_ascii=False, separators=(",", ":")).encode()
        try:
            with traces.continued(event.traceparent, "deliver event"):
                return Tried(event.id, *self._endpoint.send(event.event_id, body))
        except Exception as error:  # one event must not stop all others of its endpoint for ever
            logger.exception("event %s could not be sent", event.event_id)
            return Tried(event.id, f"an error of the worker: {type(error).__name__}")


def _log_pause(lease: EndpointLease, tried: Sequence[Tried]) -> None:
    problem = tried[-1].problem if tried else None
    text = "endpoint %s: %d failures in a row (%s); it is left alone for a while"
    logger.warning(text, lease.endpoint, lease.failures, problem)
