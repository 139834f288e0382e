"""Retrainings as rows: asked for, held by one worker at a time, ended once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from worker.errors import NotPossible
from worker.store.database import AnyRow, Database, fields_of
from worker.store.leases import is_leased, update_leased
from worker.store.models.models import Models, row_of_model
from worker.store.tables.states import ModelState, RunState
from worker.store.training.labels import Labels
from worker.store.training.records import Asked, Ending, RunLease, RunRecord

REACHED: Final = "reached"
"""Among a run's counts."""
BROKEN_OFF: Final = "broken off {} times; {}"
KILLED: Final = "its worker was killed"
NOT_TAKEN: Final = "for a day no worker took it up: does one serve the queue `retrain`?"
_MOST_WAIT: Final = timedelta(days=1)
"""For the first worker; then the run fails, lest its message be sent without end to nobody."""


class TrainingRuns:
    """Retrainings, of which one is under way at most."""

    def __init__(self, database: Database, labels: Labels, models: Models, stale_after: timedelta) -> None:
        self._db = database
        self._t = database.t
        self._labels = labels
        self._models = models
        self._stale_after = stale_after

    def ask(self, by: str, now: datetime, *, at_least: int = 0) -> Asked | None:
        """Write down that somebody wants a retraining; one that is under way serves as well.

        None where there are fewer than so many new labels of members who consented.
        """
        return self._db.write(lambda c: self._ask(c, by, now, at_least))

    def _ask(self, c: sa.Connection, by: str, now: datetime, at_least: int) -> Asked | None:
        r = self._t.training_run
        under_way = c.scalar(sa.select(r.c.run_id).where(r.c.unfinished))
        if under_way is not None:
            return Asked(under_way, new=False)
        if at_least and self._labels.new_labels_on(c, at_least) < at_least:
            return None
        row = {
            "state": RunState.QUEUED,
            "unfinished": True,
            "asked_by": by,
            "created_at": now,
            "due_at": now + self._stale_after,
            "attempts": 0,
            "lapses": 0,
            "sends": 0,
            "last_label": c.scalar(sa.select(sa.func.max(self._t.label.c.id))) or 0,
        }
        return Asked(int(c.execute(sa.insert(r).values(**row)).lastrowid), new=True)

    def acquire(
        self, holder: str, lease: timedelta, most_lapses: int, now: datetime
    ) -> RunLease | RunRecord | None:
        """The lease on the run that is under way; None where there is none or another worker has the lease.

        A lease that has ended can be acquired ``most_lapses`` times; then the run fails, and is returned.
        """
        return self._db.write(lambda c: self._acquire(c, holder, now + lease, most_lapses, now))

    def _acquire(
        self, c: sa.Connection, holder: str, until: datetime, most: int, now: datetime
    ) -> RunLease | RunRecord | None:
        r = self._t.training_run
        row = c.execute(sa.select(r).where(r.c.unfinished).with_for_update()).one_or_none()
        if row is None or is_leased(row, now):
            return None
        lapses = row.lapses + (row.holder is not None)
        values: dict[str, Any] = {"attempts": row.attempts + 1, "lapses": lapses}
        if lapses >= most:
            problem = BROKEN_OFF.format(lapses, row.problem or KILLED)
            values |= _ended(RunState.FAILED, now) | {"problem": problem}
        else:
            values |= {"holder": holder, "lease_until": until, "due_at": until}
            values |= {"started_at": row.started_at or now}
        c.execute(sa.update(r).where(r.c.run_id == row.run_id).values(**values))
        if lapses >= most:
            return _run_of(c.execute(sa.select(r).where(r.c.run_id == row.run_id)).one())
        return RunLease(
            run_id=row.run_id,
            attempt=row.attempts + 1,
            state=RunState(row.state),
            sends=row.sends,
            send_at=row.send_at or now,
            reached=(row.counts or {}).get(REACHED, 0),
        )

    def extend(self, held: RunLease, lease: timedelta, now: datetime, **values: Any) -> bool:
        """Extend the lease, and write these columns; False when it belongs to another by now."""
        until = now + lease
        return self._update(held, lease_until=until, due_at=until, **values)

    def release(self, held: RunLease, due: datetime, **values: Any) -> bool:
        """Give the lease back; any worker may go on with the run at ``due``."""
        return self._update(held, holder=None, lease_until=None, due_at=due, **values)

    def end(
        self,
        held: RunLease,
        state: RunState,
        now: datetime,
        *,
        problem: str | None = None,
        report: Mapping[str, Any] | None = None,
    ) -> bool:
        """The run is over without a new model; False when it belongs to another by now."""
        return self._update(held, **_ended(state, now), problem=problem, report=report)

    def _update(self, held: RunLease, **values: Any) -> bool:
        return self._db.write(lambda c: self._update_on(c, held, **values))

    def _update_on(self, c: sa.Connection, held: RunLease, **values: Any) -> bool:
        r = self._t.training_run
        return update_leased(c, r, held.attempt, r.c.run_id == held.run_id, r.c.unfinished, **values)

    def due(self, now: datetime) -> bool:
        """Whether somebody must go on with a run; says so once, and again after a while.

        A run that no worker has taken up in a day is failed.
        """
        return self._db.write(lambda c: self._due(c, now))

    def _due(self, c: sa.Connection, now: datetime) -> bool:
        r = self._t.training_run
        not_taken = sa.and_(r.c.unfinished, r.c.attempts == 0, r.c.created_at <= now - _MOST_WAIT)
        c.execute(sa.update(r).where(not_taken).values(**_ended(RunState.FAILED, now), problem=NOT_TAKEN))
        due = sa.update(r).where(r.c.unfinished, r.c.due_at <= now)
        return c.execute(due.values(due_at=now + self._stale_after)).rowcount == 1

    def latest(self, limit: int = 10) -> list[RunRecord]:
        """The latest first."""
        r = self._t.training_run
        query = sa.select(r).order_by(r.c.run_id.desc()).limit(limit)
        return [_run_of(row) for row in self._db.read(lambda c: c.execute(query).all())]

    def latest_on(self, c: sa.Connection) -> RunRecord | None:
        """The latest, without its report, within the transaction of another."""
        r = self._t.training_run
        row = c.execute(sa.select(r).order_by(r.c.run_id.desc()).limit(1)).one_or_none()
        return None if row is None else replace(_run_of(row), report=None)

    def find(self, run_id: int) -> RunRecord | None:
        """One run; None if there is none of that number."""
        r = self._t.training_run
        row = self._db.read(lambda c: c.execute(sa.select(r).where(r.c.run_id == run_id)).one_or_none())
        return None if row is None else _run_of(row)

    def publish(
        self, held: RunLease, ending: Ending, report: Mapping[str, Any], now: datetime
    ) -> RunState | None:
        """Write the head down and end the run; how it ended. None, and nothing written, when it was lost.

        What failed the gate is kept as rejected. What passed becomes champion, unless ``ending`` says no, or
        another one became champion meanwhile.
        """
        return self._db.write(lambda c: self._publish(c, held, ending, report, now))

    def _publish(
        self, c: sa.Connection, held: RunLease, ending: Ending, report: Mapping[str, Any], now: datetime
    ) -> RunState | None:
        version, state = ending.head.version, RunState.REJECTED
        problem = _told(ending.reasons)
        if not self._update_on(c, held, version=version, report=report):
            return None
        stands = ModelState.CHALLENGER if ending.passed else ModelState.REJECTED
        self._models.add_row(c, row_of_model(ending.head, now, report.get("gate"), stands))
        if ending.passed:
            state, problem = self._promoted(c, ending, now)
        self._update_on(c, held, **_ended(state, now), problem=problem)
        return state

    def _promoted(self, c: sa.Connection, ending: Ending, now: datetime) -> tuple[RunState, str | None]:
        if not ending.promote:
            return RunState.DONE, None
        try:
            self._models.promote_on(c, ending.head.version, ending.over, now)
        except NotPossible as error:
            return RunState.DONE, f"not promoted: {error}"
        return RunState.PROMOTED, None


def _ended(state: RunState, now: datetime) -> dict[str, Any]:
    """What every end has in common."""
    return {
        "state": state,
        "unfinished": None,
        "finished_at": now,
        "due_at": None,
        "holder": None,
        "lease_until": None,
    }


def _run_of(row: AnyRow) -> RunRecord:
    """The record of a row."""
    state, counts = RunState(row.state), row.counts or {}
    return RunRecord(**fields_of(row, RunRecord) | {"state": state, "counts": counts})


def _told(reasons: Sequence[str]) -> str | None:
    """The first reason, and how many there are; the report has all."""
    more = f" ({len(reasons)} reasons)" if len(reasons) > 1 else ""
    return f"{reasons[0]}{more}" if reasons else None
