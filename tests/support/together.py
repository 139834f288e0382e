"""Races: several things at the same moment, from threads with connections of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import sqlalchemy as sa


def together(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """Start all at once; what each returned or raised, in their order."""
    gate = threading.Barrier(len(works))

    def run(work: Callable[[], Any]) -> Any:
        gate.wait()
        try:
            return work()
        except Exception as error:  # noqa: BLE001  # the test looks at what came
            return error

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def while_open(engine: sa.Engine, first: Callable[[sa.Connection], Any], second: Callable[[], Any]) -> Any:
    """What ``second`` returns or raises when it begins after ``first`` has written but not committed.

    The wait gives it the time to go wrong; where it waits for a lock, as it should, it goes on at
    the commit.
    """
    with ThreadPoolExecutor(1) as pool, engine.begin() as connection:
        first(connection)
        future = pool.submit(second)
        wait([future], timeout=0.4)
    return future.exception() or future.result()
