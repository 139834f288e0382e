"""What one member may be told of the decisions, read at one moment (`worker.results.explained`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from pipeline.verdict import Gender, Reason, Status
from worker.client.identifiers import is_identifier
from worker.results.explained import (
    AgreedTo,
    AskedForPerson,
    Calibrated,
    ComparedPhoto,
    ExplainedRequest,
    Explanation,
    Progress,
    Step,
    Terms,
    step_of_person,
    step_of_program,
    used_photo,
)
from worker.store.database import AnyRow, Database
from worker.store.members.consents import FLAGS
from worker.store.members.objections import Objections
from worker.store.models.models import Models
from worker.store.requests.reading import read_requests
from worker.store.requests.records import RequestRecord
from worker.store.reviews.cases import has_open_case
from worker.store.tables.states import State

_BY_COMPARISON: Final = frozenset({Status.APPROVED, Status.REJECTED})
_NO_CONSENT: Final = "no_consent"
_PROGRESS: Final[Mapping[State, Progress]] = {
    State.DONE: Progress.ENDED,
    State.DEAD: Progress.FAILED,
    State.SUPERSEDED: Progress.SUPERSEDED,
}


class Explanations:
    """Reads the facts of an explanation."""

    def __init__(self, database: Database, models: Models, objections: Objections) -> None:
        self._db = database
        self._t = database.t
        self._models = models
        self._objections = objections

    def of_member(self, member_id: str, terms: Terms, now: datetime) -> Explanation | None:
        """The facts about one member; None if there is none of that ID."""
        if not is_identifier(member_id):
            return None
        return self._db.read(lambda c: self._of_member(c, member_id, terms, now))

    def _of_member(self, c: sa.Connection, member_id: str, terms: Terms, now: datetime) -> Explanation | None:
        m = self._t.member
        member = c.execute(sa.select(m).where(m.c.member_id == member_id)).one_or_none()
        if member is None:
            return None
        requests = self._requests(c, member)
        judged_by = next((one.model_version for one in requests if one.model_version), None)
        return Explanation(
            member_id=member_id,
            sandbox=bool(member.sandbox),
            written_at=now,
            gender_declared=member.declared_gender not in (None, Gender.UNKNOWN),
            requests=tuple(requests),
            consents=self._consents(c, member_id),
            suspended=not member.verification_consent and not _is_newest_manual(requests),
            agrees={purpose: bool(getattr(member, flag)) for purpose, flag in FLAGS.items()},
            objections=tuple(
                AskedForPerson(one.received_at, one.due_at, one.answered_at)
                for one in self._objections.of_member_on(c, member_id)
            ),
            calibrated=self._calibrated(c, judged_by),
            terms=terms,
        )

    def _requests(self, c: sa.Connection, member: AnyRow) -> list[ExplainedRequest]:
        """The standing one first, then the newest."""
        v = self._t.verification
        query = sa.select(v).where(v.c.member_id == member.member_id)
        query = query.order_by(v.c.requested_at.desc(), v.c.request_id.desc())
        rows = {row.request_id: row for row in c.execute(query)}
        told = self._told(c, member.member_id)
        records = read_requests(c, self._t, query, reuses=False)
        stands = _Standing.of(member, records, open_case=has_open_case(c, self._t, member.member_id))
        found = [_explained(one, rows[one.request_id], told.get(one.request_id), stands) for one in records]
        found += [_not_accepted(row) for request_id, row in told.items() if request_id not in rows]
        found.sort(key=lambda one: one.requested_at, reverse=True)
        return sorted(found, key=lambda one: not one.standing)

    def _told(self, c: sa.Connection, member_id: str) -> dict[str, AnyRow]:
        """What the app was told, by request; nothing of requests of before there were results."""
        r = self._t.result
        columns = (r.c.request_id, r.c.status, r.c.problem, r.c.accepted_at)
        rows = c.execute(sa.select(*columns).where(r.c.member_id == member_id))
        return {row.request_id: row for row in rows}

    def _consents(self, c: sa.Connection, member_id: str) -> tuple[AgreedTo, ...]:
        t = self._t.consent
        columns = (t.c.purpose, t.c.version, t.c.given_at, t.c.withdrawn_at)
        rows = c.execute(sa.select(*columns).where(t.c.member_id == member_id).order_by(t.c.id))
        return tuple(AgreedTo(*row) for row in rows)

    def _calibrated(self, c: sa.Connection, version: str | None) -> Calibrated | None:
        """What the model's threshold was set by; None of a head that is in no row, or was not calibrated."""
        facts = self._models.calibrated_on(c, version) if version else {}
        people, rate = facts.get("people"), facts.get("fmr")
        return Calibrated(int(people), float(rate)) if people and rate else None


@dataclass(frozen=True, slots=True)
class _Standing:
    """How the member stands, for all of the requests."""

    request_id: str | None = None
    """The request that the member's verdict is from."""
    review_since: datetime | None = None
    """A person is to decide, about the requests from then on."""
    open_case: bool = False
    """The same, whatever stands until then: no number may influence the person."""

    @classmethod
    def of(cls, member: AnyRow, records: Sequence[RequestRecord], *, open_case: bool) -> _Standing:
        request = _standing(member, records)
        if request is None:
            return cls(open_case=open_case)
        waits = member.verification_status == Status.REVIEW
        return cls(request.request_id, request.requested_at if waits else None, open_case)


def _is_newest_manual(requests: Sequence[ExplainedRequest]) -> bool:
    newest = max(requests, key=lambda one: one.requested_at, default=None)
    return newest is not None and newest.manual


def _standing(member: AnyRow, records: Sequence[RequestRecord]) -> RequestRecord | None:
    if member.verified_request_id is not None:
        return next((one for one in records if one.request_id == member.verified_request_id), None)
    verdict = (member.verification_status, member.reason)  # of a time when nobody wrote the request down
    return next((one for one in records if one.status and (one.status, one.reason) == verdict), None)


def _explained(
    request: RequestRecord, row: AnyRow, told: AnyRow | None, stands: _Standing
) -> ExplainedRequest:
    steps = _steps(request, row, told)
    left_to_people = bool(steps) and steps[-1].outcome is Status.REVIEW
    since = stands.review_since
    return ExplainedRequest(
        request_id=request.request_id,
        requested_at=request.requested_at,
        why=request.why,
        standing=request.request_id == stands.request_id,
        progress=_progress(request, told),
        manual=row.reason == Reason.MANUAL,
        steps=tuple(steps),
        waits=left_to_people and since is not None and request.requested_at >= since,
        looked_at=request.finished_at if request.findings else None,
        photos=tuple(used_photo(finding) for finding in request.findings),
        compared=None if stands.open_case else _compared(steps, row),
        model_version=request.model_version,
        policy_version=request.policy_version,
    )


def _progress(request: RequestRecord, told: AnyRow | None) -> Progress:
    if request.state is State.DEAD and told is not None and told.problem == _NO_CONSENT:
        return Progress.NO_CONSENT
    return _PROGRESS.get(request.state, Progress.WAITING)


def _compared(steps: Sequence[Step], row: AnyRow) -> ComparedPhoto | None:
    """Only what the program alone has decided was decided by it."""
    alone = len(steps) == 1 and steps[0].outcome in _BY_COMPARISON and row.state == State.DONE
    if not alone or row.photo is None or row.similarity is None:
        return None
    return ComparedPhoto(row.photo, round(row.similarity, 2))


def _steps(request: RequestRecord, row: AnyRow, told: AnyRow | None) -> list[Step]:
    steps: list[Step] = []
    if request.state is State.DONE and row.status is not None and request.finished_at is not None:
        about = next((one for one in request.findings if one.position == row.photo), None)
        outcome = _of_program(request, Status(row.status), told)
        reason = Reason(row.reason) if row.reason else None
        steps.append(step_of_program(outcome, reason, about, request.finished_at))
    decided = [one for one in request.decisions if not one.undone]
    return steps + [step_of_person(one.status, one.code, one.photo, one.decided_at) for one in decided]


def _of_program(request: RequestRecord, said: Status, told: AnyRow | None) -> Status:
    """What the program's word came to: where a review was open for an earlier request, that one goes on."""
    if said is Status.ERROR:
        return said
    before = request.decisions[0].previous_status if request.decisions else told and told.status
    return Status.REVIEW if before == Status.REVIEW else said


def _not_accepted(row: AnyRow) -> ExplainedRequest:
    """A message that became no request."""
    progress = Progress.NO_CONSENT if row.problem == _NO_CONSENT else Progress.NOT_ACCEPTED
    return ExplainedRequest(request_id=row.request_id, requested_at=row.accepted_at, progress=progress)
