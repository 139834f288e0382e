"""Imported before the product: with CHAOS_CLOCK its machine's clock is moved by the seconds in that file."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from worker import clock

VARIABLE: Final = "CHAOS_CLOCK"


def _moved(file: Path) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=float(file.read_text()))


if _file := os.environ.get(VARIABLE):
    clock.machine_time = partial(_moved, Path(_file))
