"""Races: several things at the same moment, from threads with connections of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any


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
