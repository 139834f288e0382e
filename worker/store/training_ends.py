"""A retraining ends with a new head: published, judged, perhaps promoted, all at once or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from worker.errors import NotPossible
from worker.store.models import Models, row_of_model
from worker.store.tables.states import ModelState, RunState
from worker.store.tables.training import PROBLEM_LENGTH
from worker.store.training_members import TrainingMembers
from worker.store.training_records import Ending, HeldRun
from worker.store.training_runs import ended


class TrainingEnds(Models, TrainingMembers):
    """`publish_run`."""

    def publish_run(
        self, held: HeldRun, ending: Ending, report: Mapping[str, Any], now: datetime
    ) -> RunState | None:
        """Write the head down and end the run; how it ended. None, and nothing written, when it was lost.

        What the gate refused is kept as rejected. What it let pass becomes champion, unless it is not
        to, or another one became champion meanwhile.
        """
        return self._write(lambda c: self._publish(c, held, ending, report, now))

    def _publish(
        self, c: sa.Connection, held: HeldRun, ending: Ending, report: Mapping[str, Any], now: datetime
    ) -> RunState | None:
        version, state = ending.head.version, RunState.REJECTED
        problem = _told(ending.reasons)
        if not self._update_held(c, held, version=version, report=report):
            return None
        stands = ModelState.CHALLENGER if ending.passed else ModelState.REJECTED
        self._add(c, row_of_model(ending.head, now, report.get("gate"), stands))
        if ending.passed:
            state, problem = self._promoted(c, ending, now)
        self._update_held(c, held, **ended(state, now), problem=problem)
        return state

    def _promoted(self, c: sa.Connection, ending: Ending, now: datetime) -> tuple[RunState, str | None]:
        if not ending.promote:
            return RunState.DONE, None
        try:
            self._promote(c, ending.head.version, ending.over, now, force=False)
        except NotPossible as error:
            return RunState.DONE, f"not promoted: {error}"
        return RunState.PROMOTED, None


def _told(reasons: Sequence[str]) -> str | None:
    """The first reason, and how many there are; the report has all."""
    more = f" ({len(reasons)} reasons)" if len(reasons) > 1 else ""
    return f"{reasons[0]}{more}"[:PROBLEM_LENGTH] if reasons else None
