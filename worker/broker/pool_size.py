"""How many processes a worker has where `VERIFY_CONCURRENCY` does not say it.

A process waits for photos while another computes, so a worker has more processes than processors:
processors x (1 + waiting / computing), as many as the memory holds. docs/performance.md has the figures.
"""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

WAITING_PER_COMPUTING: Final = 3.0
"""Of one job whose photos take 150 ms: it waits for 155 ms and computes for 67 to 80; rounded up."""
PROCESS_BYTES: Final = 480_000_000
"""For each process: it has 90 MB that it does not share, and 340 while it decodes the largest photos."""
MAIN_BYTES: Final = 300_000_000
"""For the main process, and for the libraries and weights that all share."""
LEAST: Final = 2
"""One may wait for a photo host for 20 s, so there are two in any case."""
MOST: Final = 64
"""Each has a connection to the database; MySQL and MariaDB allow 151 of them unless told otherwise."""
CONTROL_GROUP: Final = Path("/sys/fs/cgroup")
"""A container finds its own limits there."""


def default_processes(group: Path = CONTROL_GROUP) -> int:
    """As many as keep the processors busy, fit into the memory, and may have a connection each."""
    wanted = math.ceil(processors(group) * (1 + WAITING_PER_COMPUTING))
    return max(LEAST, min(wanted, MOST, (memory(group) - MAIN_BYTES) // PROCESS_BYTES))


def processors(group: Path) -> float:
    """Those that this process may use; a container's quota may be a part of one."""
    there = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    with suppress(OSError, ValueError):  # "max" is no number, and means no limit
        quota, period = map(int, (group / "cpu.max").read_text().split())
        return min(there, quota / period)
    return there


def memory(group: Path) -> int:
    """Bytes that a worker may take: all of a container's limit, or half of a machine that others use too."""
    half = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    with suppress(OSError, ValueError):
        return min(2 * half, int((group / "memory.max").read_text()))
    return half
