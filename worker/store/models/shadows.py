"""Verdicts of heads in shadow."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from pipeline.verdict import Status, Verdict
from worker.store.database import Database
from worker.store.models.records import Flip, ShadowReport
from worker.store.requests.rows import finite


class Shadows:
    """What challengers in shadow would have said, beside what was decided."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._t = database.t

    def note(self, request_id: str, decided: Verdict, shadow: Verdict, now: datetime) -> bool:
        """Write down what a shadow says of a request that was decided; in place of what it said before.

        False, and nothing written, where the member was forgotten meanwhile.
        """
        return self._db.write(lambda c: self._note(c, request_id, decided, shadow, now))

    def _note(
        self, c: sa.Connection, request_id: str, decided: Verdict, shadow: Verdict, now: datetime
    ) -> bool:
        if self._db.lock_both(c, request_id) is None:
            return False
        s = self._t.shadow_verdict
        same = sa.and_(s.c.request_id == request_id, s.c.version == shadow.model_version)
        c.execute(sa.delete(s).where(same))
        c.execute(
            sa.insert(s).values(
                request_id=request_id,
                version=shadow.model_version,
                status=shadow.status,
                reason=shadow.reason,
                similarity=finite(shadow.similarity),
                decided_status=decided.status,
                decided_reason=decided.reason,
                decided_version=decided.model_version,
                judged_at=now,
            )
        )
        return True

    def report(self, version: str, examples: int = 5) -> ShadowReport:
        """How often a version agrees with what was decided, and where it does not."""
        return self._db.read(lambda c: self._report(c, version, examples))

    def _report(self, c: sa.Connection, version: str, examples: int) -> ShadowReport:
        s = self._t.shadow_verdict
        span = (sa.func.min(s.c.judged_at), sa.func.max(s.c.judged_at))
        first, last = c.execute(sa.select(*span).where(s.c.version == version)).one()
        kind = (s.c.decided_status, s.c.status)
        counted = sa.select(*kind, sa.func.count()).where(s.c.version == version).group_by(*kind)
        rows = sorted(c.execute(counted).all(), key=lambda row: (-row[2], row[0], row[1]))
        return ShadowReport(
            version=version,
            verdicts=sum(count for _, _, count in rows),
            agreed=sum(count for decided, shadow, count in rows if decided == shadow),
            first_at=first,
            last_at=last,
            flips=tuple(
                Flip(
                    Status(decided),
                    Status(shadow),
                    count,
                    self._examples(c, version, (decided, shadow), examples),
                )
                for decided, shadow, count in rows
                if decided != shadow
            ),
        )

    def _examples(self, c: sa.Connection, version: str, kind: Sequence[str], limit: int) -> tuple[str, ...]:
        s = self._t.shadow_verdict
        query: sa.Select[Any] = (
            sa.select(s.c.request_id)
            .where(s.c.version == version, s.c.decided_status == kind[0], s.c.status == kind[1])
            .order_by(s.c.judged_at.desc(), s.c.request_id)
            .limit(limit)
        )
        return tuple(c.scalars(query))
