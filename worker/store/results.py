"""A request ends: with a verdict, or given up."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from pipeline.verdict import FetchProblem, Reason, Status, Verdict
from worker.store.attempts import holds
from worker.store.base import AnyRow, is_newer
from worker.store.contents import Contents, urls_of
from worker.store.dead_jobs import dead_job_values
from worker.store.failures import lost_race, translate
from worker.store.records import Attempt, DeadJob
from worker.store.rows import finding_values, member_values, verdict_values
from worker.store.tables.schema import TEXT_LENGTH
from worker.store.tables.states import Decider, State

_SURVIVES_ERROR = frozenset({Status.APPROVED, Status.REVIEW, Status.REJECTED})
"""What an error of ours may not wipe: a standing approval, and what a person must see or has said."""
_DOUBT: Final = frozenset({Reason.PRIMARY_UNSURE, Reason.NO_SOLO_PHOTO})
"""Reviews that better photos end; all others stay open until a person has decided."""
_REFETCH_AFTER: Final = (timedelta(hours=1), timedelta(hours=4), timedelta(hours=12))
"""When photos that could not be had for a passing reason are tried again: after the first verdict without
them, the second and the third of a day."""
_DAY: Final = timedelta(hours=24)


class Results(Contents):
    """`finish`, `give_up`."""

    def finish(self, attempt: Attempt, verdict: Verdict, now: datetime) -> bool:
        """Write the verdict: the request, its photos and the member, together or not at all.

        The member's row is left alone where a newer request is known (this one ends `superseded`,
        its numbers are kept), where an error would wipe a standing verdict, and while a review is open
        for another reason than doubt. False, and nothing written, when the attempt has lost the request
        or the member was forgotten.
        """
        return self._write(lambda c: self._finish(c, attempt, verdict, now))

    def _finish(self, c: sa.Connection, attempt: Attempt, verdict: Verdict, now: datetime) -> bool:
        both = self._lock_both(c, attempt.request_id)
        if both is None or not holds(both[1], attempt):
            return False
        member, request = both
        late = is_newer(member, request.requested_at, request.request_id)
        state = State.SUPERSEDED if late else State.DONE
        more = {} if late else self._noticed(c, member, request, verdict, now)
        self._end_request(c, request.request_id, state, now, **verdict_values(verdict), **more)
        self._write_findings(c, request.request_id, verdict)
        if not late:
            self._write_result(c, member, member_values(verdict, request.request_id, now), now)
        return True

    def _noticed(
        self, c: sa.Connection, member: AnyRow, request: AnyRow, verdict: Verdict, now: datetime
    ) -> dict[str, Any]:
        """Photos that are others than the standing verdict saw, and when to try again those not to be had."""
        findings = (verdict.selfie, *verdict.photos)
        urls = urls_of(request.message)
        seen = {urls[f.position]: f.sha256 for f in findings if f.sha256 and f.position < len(urls)}
        swapped = self._swapped(c, member, seen)
        positions = [f.position for f in findings if f.position < len(urls) and urls[f.position] in swapped]
        return {"swapped": positions or None, "refetch_at": self._refetch_at(c, request, verdict, now)}

    def _refetch_at(
        self, c: sa.Connection, request: AnyRow, verdict: Verdict, now: datetime
    ) -> datetime | None:
        """None where nothing is missing, where a person is asked, and after so many tries within a day."""
        problems = [f.fetch_problem for f in (verdict.selfie, *verdict.photos) if f.fetch_problem]
        if verdict.status in (Status.REVIEW, Status.REJECTED) or not any(p.passing for p in problems):
            return None
        v, vp = self.t.verification, self.t.verification_photo
        passing = [problem for problem in FetchProblem if problem.passing]
        missing = sa.exists().where(vp.c.request_id == v.c.request_id, vp.c.fetch_problem.in_(passing))
        of_today = (v.c.member_id == request.member_id, v.c.finished_at > now - _DAY)
        others = v.c.request_id != request.request_id
        tried = c.scalar(sa.select(sa.func.count()).select_from(v).where(*of_today, others, missing)) or 0
        return now + _REFETCH_AFTER[tried] if tried < len(_REFETCH_AFTER) else None

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
            message += self._write_error(c, member, request_id, now)
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

    def _write_error(self, c: sa.Connection, member: AnyRow, request_id: str, now: datetime) -> str:
        """The member's result is an error of ours; what there is to say where the app's table refuses it."""
        result = {
            "verification_status": Status.ERROR,
            "reason": Reason.INTERNAL_ERROR,
            "verified_at": now,
            "verified_request_id": request_id,
        }
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
        """One row per photo; over those that an earlier end of the request left, which has as many."""
        vp = self.t.verification_photo
        rows = [finding_values(finding) for finding in (verdict.selfie, *verdict.photos)]
        known = set(c.scalars(sa.select(vp.c.position).where(vp.c.request_id == request_id)))
        new = [{"request_id": request_id, **row} for row in rows if row["position"] not in known]
        for row in rows:
            if row["position"] in known:
                its = (vp.c.request_id == request_id, vp.c.position == row["position"])
                c.execute(sa.update(vp).where(*its).values(**row))
        if new:
            c.execute(sa.insert(vp), new)

    def _write_result(self, c: sa.Connection, member: AnyRow, values: dict[str, Any], now: datetime) -> None:
        """Into our member row and, in mapped mode, the app's."""
        if self._write_ours(c, member, values, now) and self._mapped is not None:
            self._mapped.write(c, member.member_id, values)

    def _write_ours(self, c: sa.Connection, member: AnyRow, values: dict[str, Any], now: datetime) -> bool:
        """Into our member row; False where that would wipe what must stand."""
        if _stands(member, values["verification_status"]):
            return False
        m = self.t.member
        c.execute(sa.update(m).where(m.c.member_id == member.member_id).values(updated_at=now, **values))
        return True


def _stands(member: AnyRow, status: Status) -> bool:
    """Whether the member's verdict outlives this one of the machine's."""
    if status is Status.ERROR:
        return member.verification_status in _SURVIVES_ERROR
    return member.verification_status == Status.REVIEW and member.reason not in _DOUBT


def _may_give_up(request: AnyRow, attempt: Attempt | None, now: datetime) -> bool:
    if attempt is not None:
        return holds(request, attempt)
    state = State(request.state)
    return not state.ended and not (state is State.RUNNING and request.lease_until > now)
