"""What a process tells other services about its work, where an operator wants that: traces and errors.

Both are extras, and both leave on threads of their own: a receiver that is down or slow costs a job nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Final

from worker.telemetry import errors, traces

_FLUSH_SECONDS: Final = 2.0


def flush() -> None:
    """Send what is left, at the end of a process; wait two seconds for it, and no longer."""
    _in_time(errors.flush)
    _in_time(traces.flush)


def _in_time(call: Callable[[], None]) -> None:
    thread = Thread(target=call, daemon=True)
    thread.start()
    thread.join(_FLUSH_SECONDS)
