"""A request ends: with a verdict, or given up."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from pipeline.verdict import Reason, Status, Verdict
from worker.schema import TEXT_LENGTH
from worker.states import Decider, State
from worker.store.attempts import holds
from worker.store.base import AnyRow, Database, is_newer
from worker.store.dead_jobs import dead_job_values
from worker.store.failures import lost_race, translate
from worker.store.records import Attempt, DeadJob
from worker.store.rows import finding_values, member_values, verdict_values

_SURVIVES_ERROR = frozenset({Status.APPROVED, Status.REVIEW, Status.REJECTED})
"""What an error of ours may not wipe: a standing approval, and what a person must see or has said."""


class Results(Database):
    """`finish`, `give_up`."""

    def finish(self, attempt: Attempt, verdict: Verdict, now: datetime) -> bool:
        """Write the verdict: the request, its photos and the member, together or not at all.

        The member's row is left alone where a newer request is known (this one ends `superseded`,
        its numbers are kept) and where an error would wipe a standing verdict. False, and nothing
        written, when the attempt has lost the request or the member was forgotten.
        """
        return self._write(lambda c: self._finish(c, attempt, verdict, now))

    def _finish(self, c: sa.Connection, attempt: Attempt, verdict: Verdict, now: datetime) -> bool:
        both = self._lock_both(c, attempt.request_id)
        if both is None or not holds(both[1], attempt):
            return False
        member, request = both
        late = is_newer(member, request.requested_at, request.request_id)
        state = State.SUPERSEDED if late else State.DONE
        self._end_request(c, request.request_id, state, now, **verdict_values(verdict))
        self._write_findings(c, request.request_id, verdict)
        if not late:
            self._write_result(c, member, member_values(verdict, now), now)
        return True

    def give_up(
        self,
        request_id: str,
        reason: str,
        message: str,
        now: datetime,
        *,
        attempt: Attempt | None = None,
    ) -> bool:
        """End the request `dead`, with a `dead_job` row; the member's verdict becomes `error`.

        With the ``attempt`` only while that one holds the request; without, only while nobody does.
        Where the app's own table does not take the result, the dead job says so: it is written all the same.
        False, and nothing written, otherwise, and when the request has ended or is unknown.
        ``reason`` is a stable code, ``message`` is for operators.
        """
        return self._write(lambda c: self._give_up(c, request_id, reason, message, attempt, now=now))

    def _give_up(
        self,
        c: sa.Connection,
        request_id: str,
        reason: str,
        message: str,
        attempt: Attempt | None,
        *,
        now: datetime,
    ) -> bool:
        both = self._lock_both(c, request_id)
        if both is None or not _may_give_up(both[1], attempt, now):
            return False
        member, request = both
        if not is_newer(member, request.requested_at, request_id):
            message += self._write_error(c, member, now)
        failure = {"status": Status.ERROR, "reason": Reason.INTERNAL_ERROR, "decided_by": Decider.MACHINE}
        self._end_request(c, request_id, State.DEAD, now, problem=message[:TEXT_LENGTH], **failure)
        dead = DeadJob(
            reason=reason,
            error=message,
            body=json.dumps(request.message).encode(),
            queue=request.queue,
            request_id=request_id,
            member_id=request.member_id,
            attempts=request.attempts,
        )
        c.execute(sa.insert(self.t.dead_job).values(**dead_job_values(dead, now)))
        return True

    def _write_error(self, c: sa.Connection, member: AnyRow, now: datetime) -> str:
        """The member's result is an error of ours; what there is to say where the app's table refuses it."""
        result = {"verification_status": Status.ERROR, "reason": Reason.INTERNAL_ERROR, "verified_at": now}
        try:
            with c.begin_nested():
                self._write_result(c, member, result, now)
        except DBAPIError as error:
            if self._mapped is None or lost_race(error) or error.connection_invalidated:
                raise
            self._write_ours(c, member, result, now)
            return f"; the app's table did not take the result ({translate(error)})"
        return ""

    def _end_request(
        self, c: sa.Connection, request_id: str, state: State, now: datetime, **values: Any
    ) -> None:
        self._update_request(
            c,
            request_id,
            state=state,
            open_attempts=0,
            lease_until=None,
            next_attempt_at=None,
            due_at=None,
            finished_at=now,
            **values,
        )

    def _write_findings(self, c: sa.Connection, request_id: str, verdict: Verdict) -> None:
        """One row per photo, in place of those that an earlier end of the request left."""
        vp = self.t.verification_photo
        c.execute(sa.delete(vp).where(vp.c.request_id == request_id))
        findings = (verdict.selfie, *verdict.photos)
        c.execute(sa.insert(vp), [{"request_id": request_id, **finding_values(f)} for f in findings])

    def _write_result(self, c: sa.Connection, member: AnyRow, values: dict[str, Any], now: datetime) -> None:
        """Into our member row and, in mapped mode, the app's."""
        if self._write_ours(c, member, values, now) and self._mapped is not None:
            self._mapped.write(c, member.member_id, values)

    def _write_ours(self, c: sa.Connection, member: AnyRow, values: dict[str, Any], now: datetime) -> bool:
        """Into our member row; False where an error would wipe a standing verdict."""
        if values["verification_status"] is Status.ERROR and member.verification_status in _SURVIVES_ERROR:
            return False
        m = self.t.member
        c.execute(sa.update(m).where(m.c.member_id == member.member_id).values(updated_at=now, **values))
        return True


def _may_give_up(request: AnyRow, attempt: Attempt | None, now: datetime) -> bool:
    if attempt is not None:
        return holds(request, attempt)
    state = State(request.state)
    return not state.ended and not (state is State.RUNNING and request.lease_until > now)
