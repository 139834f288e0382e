"""Races: several things at the same moment, from threads with connections of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def together(works: Sequence[Callable[[], T]]) -> list[T | Exception]:
    """Start all at once; what each returned or raised, in their order."""
    gate = threading.Barrier(len(works))

    def run(work: Callable[[], T]) -> T | Exception:
        gate.wait()
        try:
            return work()
        except Exception as error:  # noqa: BLE001  # the test looks at what came
            return error

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))
