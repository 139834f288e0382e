"""The blind audit: what people found among the approvals that were sampled for it."""

from __future__ import annotations

from collections import Counter
from typing import Final

import sqlalchemy as sa

from pipeline.verdict import PhotoVerdict, Reason, Status
from worker.store.tables.people import is_undone, is_waiting
from worker.store.tables.schema import Tables
from worker.store.tables.states import PairLabel, Phase
from worker.store.training.records import Audit

_SETTLED: Final = (Status.APPROVED, Status.REJECTED)
_SAYS: Final = {PairLabel.IMPOSTOR: 1, PairLabel.GENUINE: -1}


def audit_on(c: sa.Connection, t: Tables) -> Audit:
    """Of all approvals ever sampled for the blind audit: how many a person found wrong.

    Wrong is one that a person rejected, and one with a photo that the machine verified and that most of those
    who answered blind took for another person's, whatever they decided once they saw the machine's word.
    Labels of before there were cases count where nobody decided.
    """
    v = t.verification
    sampled = c.scalar(sa.select(sa.func.count()).select_from(v).where(blind_audited(t))) or 0
    decided, told = _decided(c, t), _told_of_old(c, t)
    blind = _answered_blind(c, t)
    rejected = {r for r, status in decided.items() if status == Status.REJECTED}
    strange = {r for (r, _), word in told.items() if word == PairLabel.IMPOSTOR} - decided.keys()
    mistaken = {r for (r, _, verified), votes in blind.items() if verified and votes > 0}
    settled = {r for r, status in decided.items() if status in _SETTLED}
    judged = settled | {r for r, _ in told} | {r for r, _, _ in blind}
    return Audit(sampled, len(judged), len(rejected | strange | mistaken))


def blind_audited(t: Tables) -> sa.ColumnElement[bool]:
    """Whether a request's approval was sampled for the blind audit, decided since or not. None of the
    sandbox is."""
    v = t.verification
    return sa.and_(v.c.reason == Reason.BLIND_AUDIT, sa.not_(v.c.sandbox))


def open_audits(t: Tables) -> sa.Select[int]:
    """How many of them wait for a person."""
    case, v = t.review_case, t.verification
    query = sa.select(sa.func.count()).select_from(case).join(v, v.c.request_id == case.c.request_id)
    return query.where(is_waiting(case), blind_audited(t))


def _decided(c: sa.Connection, t: Tables) -> dict[str, str]:
    """The decision that stands, by request."""
    v, d = t.verification, t.decision
    query = sa.select(d.c.request_id, d.c.status).join(v, v.c.request_id == d.c.request_id)
    rows = c.execute(query.where(blind_audited(t), ~is_undone(t.decision)).order_by(d.c.id))
    return {row.request_id: row.status for row in rows}


def _told_of_old(c: sa.Connection, t: Tables) -> dict[tuple[str, int], str]:
    """Labels of before there were cases, by request and position; the latest counts."""
    v, label = t.verification, t.label
    query = sa.select(label.c.request_id, label.c.position, label.c.label)
    query = query.join(v, v.c.request_id == label.c.request_id)
    rows = c.execute(query.where(blind_audited(t), label.c.case_id.is_(None)).order_by(label.c.id))
    return {(row.request_id, row.position): row.label for row in rows}


def _answered_blind(c: sa.Connection, t: Tables) -> Counter[tuple[str, int, bool]]:
    """How many more took the photo for another person's than for the member's; by request, position, and
    whether the machine verified the photo. Who could not tell says nothing."""
    v, label, vp = t.verification, t.label, t.verification_photo
    same = sa.and_(vp.c.request_id == label.c.request_id, vp.c.position == label.c.position)
    verified = vp.c.verdict == PhotoVerdict.VERIFIED
    query = (
        sa.select(label.c.request_id, label.c.position, verified.label("verified"), label.c.label)
        .join(v, v.c.request_id == label.c.request_id)
        .join(vp, same)
        .where(blind_audited(t), label.c.phase == Phase.BLIND, label.c.label.in_(list(_SAYS)))
    )
    found: Counter[tuple[str, int, bool]] = Counter()
    for request_id, position, was_verified, word in c.execute(query):
        found[request_id, position, bool(was_verified)] += _SAYS[PairLabel(word)]
    return found
