"""Requests with their photos and decisions, read within the transactions of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from pipeline.verdict import PhotoFinding, Status
from worker.store.database import AnyRow
from worker.store.requests.records import PhotoReuse, RequestRecord
from worker.store.requests.rows import decision_of, finding_of, request_of
from worker.store.tables.people import is_undone
from worker.store.tables.schema import Tables
from worker.store.tables.states import PairLabel


def read_requests(
    c: sa.Connection,
    t: Tables,
    query: sa.Select[Any],
    *,
    reuses: bool = True,
    findings: Sequence[PhotoFinding] | None = None,
) -> list[RequestRecord]:
    """The requests that a query of `verification` finds, in its order; with their ``reuses`` if wanted.

    ``findings`` are those of the one request, where they are known.
    """
    decided = sa.exists().where(t.decision.c.request_id == t.verification.c.request_id).label("is_decided")
    rows = c.execute(query.add_columns(decided)).all()
    return [_request(c, t, row, findings, reuses=reuses) for row in rows]


def _request(
    c: sa.Connection, t: Tables, row: AnyRow, findings: Sequence[PhotoFinding] | None, *, reuses: bool
) -> RequestRecord:
    decisions = _decisions(c, t, row.request_id) if row.is_decided else ()
    return request_of(
        row,
        _findings(c, t, row.request_id) if findings is None else findings,
        list(map(decision_of, decisions)),
        read_reuses(c, t, [row.request_id]) if reuses else [],
        _answers(c, t, decisions),
    )


def _findings(c: sa.Connection, t: Tables, request_id: str) -> list[PhotoFinding]:
    vp = t.verification_photo
    query = sa.select(vp).where(vp.c.request_id == request_id).order_by(vp.c.position)
    return [finding_of(row) for row in c.execute(query)]


def _decisions(c: sa.Connection, t: Tables, request_id: str) -> Sequence[AnyRow]:
    d = t.decision
    undone = is_undone(t.decision).label("undone")
    query = sa.select(d, undone).where(d.c.request_id == request_id).order_by(d.c.id)
    return c.execute(query).all()


def _answers(c: sa.Connection, t: Tables, decisions: Sequence[AnyRow]) -> dict[int, PairLabel]:
    """What the person whose approval stands has said last of these very files, by position."""
    standing = next((row for row in reversed(decisions) if not row.undone), None)
    if standing is None or standing.case_id is None or standing.status != Status.APPROVED:
        return {}
    label, vp = t.label, t.verification_photo
    same_file = sa.and_(
        vp.c.request_id == label.c.request_id,
        vp.c.position == label.c.position,
        vp.c.sha256 == label.c.sha256,
    )
    query = sa.select(label.c.position, label.c.label).join(vp, same_file).order_by(label.c.id)
    its = (label.c.request_id == standing.request_id, label.c.case_id == standing.case_id)
    said = query.where(*its, sa.func.lower(label.c.labelled_by) == standing.decided_by.lower())
    return {row.position: PairLabel(row.label) for row in c.execute(said)}


def read_reuses(c: sa.Connection, t: Tables, request_ids: Sequence[str]) -> list[PhotoReuse]:
    """Photos of these requests that other members had used, by their positions, the first user first."""
    r, v = t.photo_reuse, t.verification
    query = (
        sa.select(r.c.position, v.c.member_id, r.c.of_request_id, r.c.of_position)
        .add_columns(v.c.finished_at, r.c.same_file)
        .join(v, v.c.request_id == r.c.of_request_id)
        .where(r.c.request_id.in_(request_ids))
        .order_by(r.c.position, v.c.finished_at, r.c.of_request_id)
    )
    return [
        PhotoReuse(
            position=row.position,
            of_member_id=row.member_id,
            of_request_id=row.of_request_id,
            of_position=row.of_position,
            of_since=row.finished_at,
            same_file=bool(row.same_file),
        )
        for row in c.execute(query)
    ]
