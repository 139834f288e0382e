"""What the trace of a delivery says of it."""

from __future__ import annotations

from worker.telemetry import traces
from worker.verification.measured import Measured


def describe(measured: Measured) -> None:
    """In the span of its task, if there is one."""
    known: dict[str, str | float] = {"queue": measured.queue, "outcome": measured.outcome}
    if measured.request_id is not None:
        known["request"] = measured.request_id
    if verdict := measured.verdict:
        known |= {"status": verdict.status, "reason": verdict.reason, "model": verdict.model_version}
    known |= {f"seconds.{stage}": seconds for stage, seconds in measured.seconds.rounded().items()}
    traces.annotate({f"verification.{name}": value for name, value in known.items()})
