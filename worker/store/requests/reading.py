"""Requests with their photos and decisions, read within the transactions of others."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from pipeline.verdict import PhotoFinding
from worker.store.members.records import DecisionRecord
from worker.store.requests.records import RequestRecord
from worker.store.requests.rows import decision_of, finding_of, request_of
from worker.store.tables.schema import Tables


def read_requests(c: sa.Connection, t: Tables, query: sa.Select[Any]) -> list[RequestRecord]:
    """The requests that a query of `verification` finds, in its order."""
    return [
        request_of(row, _findings(c, t, row.request_id), _decisions(c, t, row.request_id))
        for row in c.execute(query).all()
    ]


def _findings(c: sa.Connection, t: Tables, request_id: str) -> list[PhotoFinding]:
    vp = t.verification_photo
    query = sa.select(vp).where(vp.c.request_id == request_id).order_by(vp.c.position)
    return [finding_of(row) for row in c.execute(query)]


def _decisions(c: sa.Connection, t: Tables, request_id: str) -> list[DecisionRecord]:
    d = t.decision
    query = sa.select(d).where(d.c.request_id == request_id).order_by(d.c.id)
    return [decision_of(row) for row in c.execute(query)]
