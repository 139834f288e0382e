"""What members agreed to: verification and training apart, each with its text's version, time and source.

Rows are added, and closed once, by a withdrawal. The flags in the member's row say what holds now, and take
effect whoever sets them; where the app has set one by SQL, the sweep writes it down.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from worker.client.identifiers import is_identifier
from worker.errors import NotPossible
from worker.store.database import AnyRow, Database
from worker.store.members.records import Agreement, ConsentRecord
from worker.store.members.refused_consent import RefusedConsent
from worker.store.tables.states import ConsentSource, Purpose
from worker.store.tables.views import open_consents

_COMPARED: Final = 1000
"""Members whose flags are compared with their rows at a time."""
FLAGS: Final[Mapping[Purpose, str]] = {
    Purpose.VERIFICATION: "verification_consent",
    Purpose.TRAINING: "training_consent",
}
"""The column of `member` that says what holds now."""


class Consents:
    """The rows of `consent`, and the members' flags."""

    def __init__(self, database: Database, refused: RefusedConsent) -> None:
        self._db = database
        self._t = database.t
        self._refused = refused
        self._compared_up_to = ""

    def record(
        self, member_id: str, purpose: Purpose, now: datetime, *, given: bool, version: str = ""
    ) -> bool:
        """What an operator notes for a member; False if it was so before. Raises NotPossible."""
        about = Agreement(purpose, ConsentSource.OPERATOR, version)
        return self._db.write(lambda c: self._record(c, member_id, about, now, given=given))

    def _record(
        self, c: sa.Connection, member_id: str, about: Agreement, now: datetime, *, given: bool
    ) -> bool:
        if not is_identifier(member_id) or self._db.lock_member(c, member_id) is None:
            raise NotPossible(f"no member {member_id}")
        return bool(self.note(c, {member_id: given}, about, now))

    def note(self, c: sa.Connection, wanted: Mapping[str, bool], about: Agreement, now: datetime) -> set[str]:
        """Write down what these members, who are locked, agree to, and let it take effect.

        Returns those whose flag has changed.
        """
        latest = self._latest(c, wanted, about.purpose)
        given = [i for i, yes in wanted.items() if yes and not _gives(latest.get(i), about.version)]
        self._add(c, given, about, given_at=now, source=about.source)
        withdrawn = [i for i, yes in wanted.items() if not yes]
        self._close(c, withdrawn, about, now)
        if about.purpose is Purpose.VERIFICATION:  # of somebody who never said yes, the no is on record
            never = [i for i in withdrawn if i not in latest]
            self._add(c, never, about, withdrawn_at=now, withdrawn_source=about.source)
        changed = self._set_flags(c, wanted, about.purpose, now)
        self._take_effect(c, withdrawn, about.purpose, now)
        return changed

    def _latest(self, c: sa.Connection, member_ids: Collection[str], purpose: Purpose) -> dict[str, AnyRow]:
        t = self._t.consent
        query = sa.select(t).where(t.c.member_id.in_(list(member_ids)), t.c.purpose == purpose)
        return {row.member_id: row for row in c.execute(query.order_by(t.c.id))}

    def _add(self, c: sa.Connection, member_ids: Sequence[str], about: Agreement, **values: Any) -> None:
        if member_ids:
            same = {"purpose": about.purpose, "version": about.version, **values}
            c.execute(sa.insert(self._t.consent), [{"member_id": i, **same} for i in member_ids])

    def _close(self, c: sa.Connection, member_ids: Sequence[str], about: Agreement, now: datetime) -> None:
        if member_ids:
            t = open_consents(c, self._t.consent)
            which = (t.c.member_id.in_(member_ids), t.c.purpose == about.purpose, t.c.withdrawn_at.is_(None))
            c.execute(sa.update(t).where(*which).values(withdrawn_at=now, withdrawn_source=about.source))

    def _set_flags(
        self, c: sa.Connection, wanted: Mapping[str, bool], purpose: Purpose, now: datetime
    ) -> set[str]:
        m, changed = self._t.member, set[str]()
        flag = m.c[FLAGS[purpose]]
        for yes in (True, False):
            ids = [i for i, given in wanted.items() if given is yes]
            query = sa.select(m.c.member_id).where(m.c.member_id.in_(ids), flag != yes)
            others = c.scalars(query).all() if ids else []
            changed |= set(others)
            if others:
                update = sa.update(m).where(m.c.member_id.in_(others))
                c.execute(update.values({flag: yes, m.c.updated_at: now}))
        return changed

    def _take_effect(
        self, c: sa.Connection, member_ids: Sequence[str], purpose: Purpose, now: datetime
    ) -> None:
        """A withdrawal: vectors of a retraining go, open requests end."""
        if purpose is Purpose.TRAINING and member_ids:
            mine = self._t.training_member
            c.execute(sa.delete(mine).where(mine.c.member_id.in_(member_ids)))
        if purpose is Purpose.VERIFICATION and member_ids:
            self._refused.end_open(c, member_ids, now)

    def of_member(self, member_id: str) -> list[ConsentRecord]:
        """All rows about a member, the oldest first."""
        t = self._t.consent
        names = ("purpose", "version", "given_at", "source", "withdrawn_at", "withdrawn_source")
        query = sa.select(*(t.c[name] for name in names)).where(t.c.member_id == member_id)
        rows = self._db.read(lambda c: c.execute(query.order_by(t.c.id)).all())
        return [ConsentRecord(*row) for row in rows]

    def notice(self, now: datetime) -> int:
        """Write down what the app has set in `member` by SQL; of how many members.

        Some members at each call, in the order of their IDs; after the last one the first ones again. What
        was set holds since it was set: `given_at` is when it was seen.
        """
        others, self._compared_up_to = self._db.read(partial(self._others, self._compared_up_to))
        for purpose, ids in others.items():
            if ids:
                self._db.write(partial(self._notice, purpose, ids, now))
        return sum(map(len, others.values()))

    def _others(self, after: str, c: sa.Connection) -> tuple[dict[Purpose, list[str]], str]:
        """Members whose flags say something else than their rows; how far they were compared ("": all)."""
        m, t = self._t.member, self._t.consent
        columns = (m.c.member_id, *(m.c[flag] for flag in FLAGS.values()))
        some = sa.select(*columns).where(m.c.member_id > after).order_by(m.c.member_id).limit(_COMPARED)
        rows = c.execute(some).all()
        last = rows[-1].member_id if rows else ""
        query = sa.select(t.c.member_id, t.c.purpose, t.c.version, t.c.withdrawn_at).order_by(t.c.id)
        within = c.execute(query.where(t.c.member_id > after, t.c.member_id <= last))
        latest = {(row.member_id, row.purpose): row for row in within}
        found = {
            purpose: [r.member_id for r in rows if _differs(r, purpose, latest.get((r.member_id, purpose)))]
            for purpose in FLAGS
        }
        return found, last if len(rows) == _COMPARED else ""

    def _notice(self, purpose: Purpose, member_ids: Iterable[str], now: datetime, c: sa.Connection) -> None:
        m = self._t.member
        query = sa.select(m.c.member_id, m.c[FLAGS[purpose]]).where(m.c.member_id.in_(list(member_ids)))
        rows = c.execute(query.order_by(m.c.member_id).with_for_update()).all()
        about = Agreement(purpose, ConsentSource.APP)
        self.note(c, {row[0]: bool(row[1]) for row in rows}, about, now)


def _gives(row: AnyRow | None, version: str) -> bool:
    """Whether a member's latest row says yes, to this text if one is named."""
    return row is not None and row.withdrawn_at is None and version in ("", row.version)


def _differs(member: AnyRow, purpose: Purpose, latest: AnyRow | None) -> bool:
    """Whether the member's flag says something else than the latest row. Without a row the member is taken to
    agree to the verification, which the app asked for, and not to the training."""
    flag = bool(getattr(member, FLAGS[purpose]))
    if latest is None:
        return flag != (purpose is Purpose.VERIFICATION)
    return flag != (latest.withdrawn_at is None)
