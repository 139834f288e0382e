"""How a request ends: with a verdict, or given up."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from pipeline.decide import unjudged
from pipeline.verdict import FetchProblem, Reason, Status, Verdict
from worker.jobs.links import Name, name_of, urls_of
from worker.results.document import EventType
from worker.store.database import AnyRow, Database
from worker.store.failures import lost_race, translate
from worker.store.leases import is_leased
from worker.store.mapped import MappedMember
from worker.store.members.refused_consent import RefusedConsent
from worker.store.outbox.outcomes import Outcomes
from worker.store.requests.dead_letters import dead_job_values
from worker.store.requests.records import Attempt, DeadJob
from worker.store.requests.rows import (
    finding_values,
    is_manual,
    is_newer,
    machine_values,
    member_values,
    verdict_values,
)
from worker.store.requests.second_looks import SecondLooks
from worker.store.reviews.cases import Cases
from worker.store.tables.schema import Tables
from worker.store.tables.states import Decider, State

logger = logging.getLogger(__name__)

_SURVIVES_ERROR = frozenset({Status.APPROVED, Status.REVIEW, Status.REJECTED})
"""What an error of ours may not wipe: a standing approval, and what a person must see or has said."""
_DOUBT: Final = frozenset({Reason.PRIMARY_UNSURE, Reason.NO_SOLO_PHOTO})
"""Reviews that better photos end, whatever comes of those; one for many retries ends with an approval. All
others stay open until a person has decided."""
_REFETCH_AFTER: Final = (timedelta(hours=1), timedelta(hours=4), timedelta(hours=12))
"""When photos that could not be fetched for a passing reason are tried again: after the first verdict
without them, the second and the third of a day."""
_DAY: Final = timedelta(hours=24)


class Results:
    """Ends requests within the transactions of others."""

    def __init__(
        self,
        database: Database,
        mapped: MappedMember | None,
        outcomes: Outcomes,
        *,
        looks: SecondLooks,
        cases: Cases,
        refused_consent: RefusedConsent,
    ) -> None:
        self.refused_consent = refused_consent
        self._db = database
        self._t = database.t
        self._mapped = mapped
        self._outcomes = outcomes
        self._looks = looks
        self._cases = cases

    def finish(self, c: sa.Connection, attempt: Attempt, machine: Verdict, now: datetime) -> Verdict | None:
        """See `Requests.finish`."""
        both = self._db.lock_both(c, attempt.request_id, attempt.member_id)
        if both is None or not _holds(both[1], attempt):
            return None
        member, request = both
        manual = is_manual(member, request.message)
        if not member.verification_consent and not manual:  # withdrawn by SQL while it ran
            self.refused_consent.end(c, request, now)
            return None
        if manual:  # perhaps by SQL while it ran: what was found is dropped
            machine = unjudged((machine.selfie, *machine.photos))
        late = is_newer(member, request.requested_at, request.request_id)
        state = State.SUPERSEDED if late else State.DONE
        near = set() if late else self._looks.near(c, request, machine)
        self._write_findings(c, request, machine)
        verdict = machine if late else self._looks.recorded(c, both, machine, near, now, manual=manual)
        more = {} if late else self._noticed(c, member, request, verdict, now)
        more |= machine_values(machine, verdict)
        self._end_request(c, request.request_id, state, now, **verdict_values(verdict), **more)
        if not late:
            values = member_values(verdict, request.request_id, now)
            self._write_result(c, member, values, State.DONE, now)
            self._cases.follow(c, member.member_id, now)
        event = EventType.SUPERSEDED if late else EventType.COMPLETED
        findings = (verdict.selfie, *verdict.photos)
        self._outcomes.changed(c, request.request_id, now, event, findings=findings)
        return verdict

    def _noticed(
        self, c: sa.Connection, member: AnyRow, request: AnyRow, verdict: Verdict, now: datetime
    ) -> dict[str, Any]:
        """Which photos are others than the standing verdict saw; when to fetch again those that failed."""
        findings = (verdict.selfie, *verdict.photos)
        urls = urls_of(request.message)
        seen = {urls[f.position]: f.sha256 for f in findings if f.sha256 and f.position < len(urls)}
        swapped = swapped_photos(c, self._t, member, seen)
        positions = [f.position for f in findings if f.position < len(urls) and urls[f.position] in swapped]
        return {"swapped": positions or None, "refetch_at": self._refetch_at(c, request, verdict, now)}

    def _refetch_at(
        self, c: sa.Connection, request: AnyRow, verdict: Verdict, now: datetime
    ) -> datetime | None:
        """None where nothing is missing, where a person is asked, and after so many tries within a day."""
        problems = [f.fetch_problem for f in (verdict.selfie, *verdict.photos) if f.fetch_problem]
        if verdict.status in (Status.REVIEW, Status.REJECTED) or not any(p.passing for p in problems):
            return None
        v, vp = self._t.verification, self._t.verification_photo
        passing = [problem for problem in FetchProblem if problem.passing]
        missing = sa.exists().where(vp.c.request_id == v.c.request_id, vp.c.fetch_problem.in_(passing))
        of_today = (v.c.member_id == request.member_id, v.c.finished_at > now - _DAY)
        others = v.c.request_id != request.request_id
        tried = c.scalar(sa.select(sa.func.count()).select_from(v).where(*of_today, others, missing)) or 0
        return now + _REFETCH_AFTER[tried] if tried < len(_REFETCH_AFTER) else None

    def give_up(
        self,
        c: sa.Connection,
        request_id: str,
        reason: str,
        message: str,
        attempt: Attempt | None,
        *,
        now: datetime,
    ) -> bool:
        """See `Requests.give_up`."""
        both = self._db.lock_both(c, request_id)
        if both is None or not _may_give_up(both[1], attempt, now):
            return False
        member, request = both
        if not is_newer(member, request.requested_at, request_id):
            message += self._write_error(c, member, request_id, now)
            self._cases.follow(c, member.member_id, now)
        failure = {"status": Status.ERROR, "reason": Reason.INTERNAL_ERROR, "decided_by": Decider.MACHINE}
        self._end_request(c, request_id, State.DEAD, now, problem=message, **failure)
        dead = DeadJob(
            reason=reason,
            error=message,
            body=json.dumps(request.message).encode(),
            queue=request.queue,
            request_id=request_id,
            member_id=request.member_id,
            attempts=request.attempts,
        )
        c.execute(sa.insert(self._t.dead_job).values(**dead_job_values(dead, now)))
        self._outcomes.changed(c, request_id, now, EventType.FAILED)
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
                self._write_result(c, member, result, State.DEAD, now)
        except DBAPIError as error:
            if self._mapped is None or lost_race(error) or error.connection_invalidated:
                raise
            self._write_ours(c, member, result, State.DEAD, now)
            return f"; the app's table did not take the result ({translate(error)})"
        return ""

    def _end_request(
        self, c: sa.Connection, request_id: str, state: State, now: datetime, **values: Any
    ) -> None:
        self._db.update_request(
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

    def _write_findings(self, c: sa.Connection, request: AnyRow, verdict: Verdict) -> None:
        """One row per photo; over those that an earlier end of the request left, which has as many."""
        vp, request_id = self._t.verification_photo, request.request_id
        rows = [finding_values(finding) for finding in (verdict.selfie, *verdict.photos)]
        there = sa.select(vp.c.position).where(vp.c.request_id == request_id)
        known = set(c.scalars(there)) if request.status is not None else set()
        new = [{"request_id": request_id, **row} for row in rows if row["position"] not in known]
        for row in rows:
            if row["position"] in known:
                its = (vp.c.request_id == request_id, vp.c.position == row["position"])
                c.execute(sa.update(vp).where(*its).values(**row))
        if new:
            c.execute(sa.insert(vp), new)

    def _write_result(
        self, c: sa.Connection, member: AnyRow, values: dict[str, Any], state: State, now: datetime
    ) -> None:
        """Into our member row and, in mapped mode, the app's."""
        if self._write_ours(c, member, values, state, now) and self._mapped is not None:
            self._mapped.write(c, member.member_id, values)

    def _write_ours(
        self, c: sa.Connection, member: AnyRow, values: dict[str, Any], state: State, now: datetime
    ) -> bool:
        """Into our member row, with the state of the request; False where that would wipe what must stand."""
        if _stands(member, values["verification_status"]):
            return False
        stands = {"requested_state": state, "failed_at": None, "updated_at": now}
        self._db.update_member(c, member.member_id, **stands, **values)
        return True


def _stands(member: AnyRow, status: Status) -> bool:
    """Whether the member's verdict outlives this one of the machine's."""
    if status is Status.ERROR:
        return member.verification_status in _SURVIVES_ERROR
    if member.verification_status == Status.REVIEW and member.reason == Reason.MANY_RETRIES:
        return status not in (Status.APPROVED, Status.REVIEW)
    return member.verification_status == Status.REVIEW and member.reason not in _DOUBT


def _holds(request: AnyRow, attempt: Attempt) -> bool:
    """Whether the attempt is still the one that may finish the request.

    A lease that has ended but was not taken over does no harm: the work is done, nobody else began.
    """
    return bool(request.state == State.RUNNING and request.attempts == attempt.number)


def _may_give_up(request: AnyRow, attempt: Attempt | None, now: datetime) -> bool:
    if attempt is not None:
        return _holds(request, attempt)
    state = State(request.state)
    return not state.ended and not (state is State.RUNNING and is_leased(request, now))


def note_contents(c: sa.Connection, database: Database, member_id: str, seen: Mapping[str, str]) -> bool:
    """See `Requests.note_contents`."""
    member = database.lock_member(c, member_id)
    if member is None or not swapped_photos(c, database.t, member, seen, member.request_id):
        return False  # what the newest request has seen is judged already
    database.update_member(c, member_id, pending=True)
    return True


def swapped_photos(
    c: sa.Connection, t: Tables, member: AnyRow, seen: Mapping[str, str], newest: str | None = None
) -> set[str]:
    """Those of the URLs where the standing verdict, or a newest request since, saw another picture."""
    before = {**_seen_by(c, t, member.verified_request_id), **_seen_by(c, t, newest)}
    swapped = {url for url, digest in seen.items() if before.get(name_of(url), digest) != digest}
    if swapped:
        text = "member %s: at the links of %d photos lie others than were judged"
        logger.warning(text, member.member_id, len(swapped))
    return swapped


def _seen_by(c: sa.Connection, t: Tables, request_id: str | None) -> dict[Name, str]:
    """What a request saw, by what names the photo."""
    v = t.verification
    query = sa.select(v.c.message).where(v.c.request_id == request_id)
    message = c.scalar(query) if request_id is not None else None
    if message is None or request_id is None:
        return {}
    contents = known_contents(c, t, request_id)
    return {name_of(url): contents[n] for n, url in enumerate(urls_of(message)) if n in contents}


def known_contents(c: sa.Connection, t: Tables, request_id: str) -> dict[int, str]:
    """SHA-256 of the photos that a request saw, by position."""
    vp = t.verification_photo
    query = sa.select(vp.c.position, vp.c.sha256)
    rows = c.execute(query.where(vp.c.request_id == request_id, vp.c.sha256.is_not(None)))
    return {row.position: row.sha256 for row in rows}
