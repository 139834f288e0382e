"""How fast events are delivered, and what waiting ones cost: `pytest -s tests/e2e/bench_events.py`.

A benchmark, so not collected with the tests: MariaDB, a receiver in a process of its own that checks each
signature. The times of `Requests.finish` are in pairs: on a database without waiting events, and on one with
100,000 for a receiver that is dead, and a delivery each second.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Final

import numpy as np
from pydantic import SecretStr

from support.databases import fresh_database
from support.events import an_event, write_events
from support.jobs import LEASE, MOST, PHOTOS, a_job, a_verdict
from support.webhook_receiver import SECRET, WebhookReceiver
from support.workers import open_empty_store
from worker.clock import utc_now
from worker.downloads.signed_post import Receiver, SignedPost
from worker.events.delivery import EventDelivery
from worker.events.webhooks import WebhookEndpoint
from worker.store import Attempt, Store

EVENTS: Final = int(os.environ.get("BENCH_EVENTS", "5000"))
MEMBERS: Final = 1000
WAITING: Final = int(os.environ.get("BENCH_WAITING", "100000"))
PAIRS: Final = int(os.environ.get("BENCH_PAIRS", "200"))


def test_events_a_second_to_one_local_receiver(mariadb_url: str) -> None:
    with fresh_database(mariadb_url) as url, _receiver() as receiver:
        store = open_empty_store(url)
        _write(store, EVENTS, MEMBERS)
        started, done = time.perf_counter(), 0
        while done < EVENTS:
            done += _run(store, receiver)
        seconds = time.perf_counter() - started
        sys.stdout.write(f"\n{EVENTS} events in {seconds:.1f} s: {EVENTS / seconds:.0f} a second\n")
        store.close()


def test_what_waiting_events_cost_a_verification(mariadb_url: str) -> None:
    with fresh_database(mariadb_url) as empty, fresh_database(mariadb_url) as full:
        stores = [open_empty_store(empty), open_empty_store(full)]
        _write(stores[1], WAITING, WAITING // 2)
        with _delivering(stores[1]) as runs:
            times = np.array([[_finish(store, number) for store in stores] for number in range(PAIRS)])
        waiting = stores[1].reports.status(utc_now()).outbox.waiting
    for name, column in zip(("none", f"{waiting:,}"), times.T, strict=True):
        sys.stdout.write(f"\n{name} waiting: finish takes {_spread(column)}")
    sys.stdout.write(f"\ndifference of the pairs: {_spread(times[:, 1] - times[:, 0])}")
    sys.stdout.write(f"\n{len(runs)} runs of the delivery meanwhile, each {_spread(np.array(runs))}\n")


def _spread(seconds: np.ndarray) -> str:
    low, middle, high, late = 1000 * np.quantile(seconds, [0.25, 0.5, 0.75, 0.95])
    return f"median {middle:.1f} ms, quartiles {low:.1f} to {high:.1f}, 95th percentile {late:.1f}"


def _write(store: Store, events: int, members: int) -> None:
    for start in range(1, events + 1, 1000):
        numbers = range(start, min(start + 1000, events + 1))
        write_events(store, *(an_event(n, f"m{n % members}", utc_now()) for n in numbers))


def _run(store: Store, url: str) -> int:
    endpoint = WebhookEndpoint(SignedPost(["127.0.0.1"]), Receiver(url, (SecretStr(SECRET),)))
    return EventDelivery(deliveries=store.deliveries, endpoints={"app": endpoint}, worker="bench").run()


@contextmanager
def _receiver() -> Iterator[str]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    yield ours.recv()
    ours.send(None)
    process.join()


def _serve(end: Connection) -> None:
    with WebhookReceiver() as receiver:
        end.send(receiver.url)
        end.recv()


@contextmanager
def _delivering(store: Store) -> Iterator[list[float]]:
    """A delivery each second to a receiver that is not there; how long each run took."""
    over, took = threading.Event(), list[float]()

    def deliver() -> None:
        while not over.wait(1):
            started = time.perf_counter()
            _run(store, "http://127.0.0.1:1/")
            took.append(time.perf_counter() - started)

    while store.deliveries.dispatch(["app"], utc_now()):
        pass
    thread = threading.Thread(target=deliver)
    thread.start()
    yield took
    over.set()
    thread.join()


def _finish(store: Store, number: int) -> float:
    now = utc_now()
    store.requests.accept(a_job(f"b{number}", f"b{number}", now), "verify", now)
    attempt = store.requests.acquire(f"b{number}", "bench", LEASE, MOST, now)
    assert isinstance(attempt, Attempt)
    verdict = a_verdict(photos=PHOTOS[:2])
    started = time.perf_counter()
    assert store.requests.finish(attempt, verdict, now + timedelta(seconds=1))
    took = time.perf_counter() - started
    time.sleep(0.02)
    return took
