"""Retrainings as rows: asked for, held by one worker at a time, ended once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from worker.store.base import AnyRow
from worker.store.tables.people import NAME_LENGTH
from worker.store.tables.states import RunState
from worker.store.tables.training import PROBLEM_LENGTH
from worker.store.training_records import Asked, HeldRun, RunRecord
from worker.store.training_truth import TrainingTruth

REACHED: Final = "reached"
"""Among a run's counts."""
BROKEN_OFF: Final = "broken off {} times; {}"
KILLED: Final = "its worker was killed"
NOT_TAKEN: Final = "for a day no worker took it up: does one serve the queue `retrain`?"
_MOST_WAIT: Final = timedelta(days=1)
"""For the first worker; then the run is over, or it would be sent for ever to a queue without a consumer."""


class TrainingRuns(TrainingTruth):
    """Asking for a run, holding it, going on with it, ending it."""

    def ask_for_run(self, by: str, now: datetime, *, at_least: int = 0) -> Asked | None:
        """Write down that somebody wants a retraining; one that is under way serves as well.

        None where there are fewer than so many new labels of members who consented.
        """
        return self._write(lambda c: self._ask(c, by, now, at_least))

    def _ask(self, c: sa.Connection, by: str, now: datetime, at_least: int) -> Asked | None:
        r = self.t.training_run
        under_way = c.scalar(sa.select(r.c.run_id).where(r.c.unfinished))
        if under_way is not None:
            return Asked(under_way, new=False)
        if at_least and self._training_truth(c).new_labels < at_least:
            return None
        row = {
            "state": RunState.QUEUED,
            "unfinished": True,
            "asked_by": by[:NAME_LENGTH],
            "created_at": now,
            "due_at": now + self._stale_after,
            "attempts": 0,
            "lapses": 0,
            "sends": 0,
            "last_label": c.scalar(sa.select(sa.func.max(self.t.label.c.id))) or 0,
        }
        return Asked(int(c.execute(sa.insert(r).values(**row)).lastrowid), new=True)

    def take_run(
        self, holder: str, lease: timedelta, most_lapses: int, now: datetime
    ) -> HeldRun | RunRecord | None:
        """The lease on the run that is under way; None where there is none or somebody holds it.

        A lease that has ended is taken over, so often; then the run is failed, and returned as such.
        """
        return self._write(lambda c: self._take(c, holder, now + lease, most_lapses, now))

    def _take(
        self, c: sa.Connection, holder: str, until: datetime, most: int, now: datetime
    ) -> HeldRun | RunRecord | None:
        r = self.t.training_run
        row = c.execute(sa.select(r).where(r.c.unfinished).with_for_update()).one_or_none()
        if row is None or (row.lease_until is not None and row.lease_until > now):
            return None
        lapses = row.lapses + (row.holder is not None)
        values: dict[str, Any] = {"attempts": row.attempts + 1, "lapses": lapses}
        if lapses >= most:
            problem = BROKEN_OFF.format(lapses, row.problem or KILLED)[:PROBLEM_LENGTH]
            values |= ended(RunState.FAILED, now) | {"problem": problem}
        else:
            values |= {"holder": holder[:NAME_LENGTH], "lease_until": until, "due_at": until}
            values |= {"started_at": row.started_at or now}
        c.execute(sa.update(r).where(r.c.run_id == row.run_id).values(**values))
        if lapses >= most:
            return run_of(c.execute(sa.select(r).where(r.c.run_id == row.run_id)).one())
        return HeldRun(
            run_id=row.run_id,
            attempt=row.attempts + 1,
            state=RunState(row.state),
            sends=row.sends,
            send_at=row.send_at or now,
            reached=(row.counts or {}).get(REACHED, 0),
        )

    def hold_run(self, held: HeldRun, lease: timedelta, now: datetime, **values: Any) -> bool:
        """Hold it longer, and write something down; False when it belongs to another by now."""
        until = now + lease
        return self._if_run_held(held, lease_until=until, due_at=until, **values)

    def let_run_go(self, held: HeldRun, due: datetime, **values: Any) -> bool:
        """Give the lease back; somebody goes on with the run then."""
        return self._if_run_held(held, holder=None, lease_until=None, due_at=due, **values)

    def end_run(
        self,
        held: HeldRun,
        state: RunState,
        now: datetime,
        *,
        problem: str | None = None,
        report: Mapping[str, Any] | None = None,
    ) -> bool:
        """The run is over without a new model; False when it belongs to another by now."""
        text = None if problem is None else problem[:PROBLEM_LENGTH]
        return self._if_run_held(held, **ended(state, now), problem=text, report=report)

    def _if_run_held(self, held: HeldRun, **values: Any) -> bool:
        return self._write(lambda c: self._update_held(c, held, **values))

    def _update_held(self, c: sa.Connection, held: HeldRun, **values: Any) -> bool:
        """One conditional update: the row itself says whose it is."""
        r = self.t.training_run
        mine = sa.and_(r.c.run_id == held.run_id, r.c.attempts == held.attempt, r.c.unfinished)
        return c.execute(sa.update(r).where(mine).values(**values)).rowcount == 1

    def run_due(self, now: datetime) -> bool:
        """Whether somebody must go on with a run; says so once, and again after a while.

        A run that no worker has taken up in a day is failed.
        """
        return self._write(lambda c: self._run_due(c, now))

    def _run_due(self, c: sa.Connection, now: datetime) -> bool:
        r = self.t.training_run
        not_taken = sa.and_(r.c.unfinished, r.c.attempts == 0, r.c.created_at <= now - _MOST_WAIT)
        c.execute(sa.update(r).where(not_taken).values(**ended(RunState.FAILED, now), problem=NOT_TAKEN))
        due = sa.update(r).where(r.c.unfinished, r.c.due_at <= now)
        return c.execute(due.values(due_at=now + self._stale_after)).rowcount == 1

    def runs(self, limit: int = 10) -> list[RunRecord]:
        """The latest first."""
        r = self.t.training_run
        query = sa.select(r).order_by(r.c.run_id.desc()).limit(limit)
        return [run_of(row) for row in self._read(lambda c: c.execute(query).all())]

    def _latest_run(self, c: sa.Connection) -> RunRecord | None:
        r = self.t.training_run
        row = c.execute(sa.select(r).order_by(r.c.run_id.desc()).limit(1)).one_or_none()
        return None if row is None else replace(run_of(row), report=None)

    def run(self, run_id: int) -> RunRecord | None:
        """One run; None if there is none of that number."""
        r = self.t.training_run
        row = self._read(lambda c: c.execute(sa.select(r).where(r.c.run_id == run_id)).one_or_none())
        return None if row is None else run_of(row)


def ended(state: RunState, now: datetime) -> dict[str, Any]:
    """What every end has in common."""
    return {
        "state": state,
        "unfinished": None,
        "finished_at": now,
        "due_at": None,
        "holder": None,
        "lease_until": None,
    }


def run_of(row: AnyRow) -> RunRecord:
    """The record of a row."""
    return RunRecord(
        run_id=row.run_id,
        state=RunState(row.state),
        asked_by=row.asked_by,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        lapses=row.lapses,
        counts=row.counts or {},
        version=row.version,
        problem=row.problem,
        report=row.report,
    )
