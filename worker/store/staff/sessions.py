"""Sessions: who is signed in, in which browser, and until when.

A session ends 15 minutes after the last page, and 12 hours after its begin whatever happens. The browser has
a token; the database has its SHA-256 alone, so whoever reads the table can use none.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from worker.store.database import AnyRow, Database
from worker.store.staff.records import Browser, Newcomer, Person, SessionRecord
from worker.store.staff.roles import folded
from worker.store.tables.states import Stage

IDLE: Final = timedelta(minutes=15)
LONGEST: Final = timedelta(hours=12)
HALF_WAY: Final = timedelta(minutes=15)
"""For choosing a password and a second factor, or for typing the code."""
_NOTED_EVERY: Final = timedelta(seconds=20)
"""Views of so short a time are one: not each of them writes."""


class Sessions:
    """The rows of `staff_session`."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._t = database.t.staff

    def person_of(self, token: str, now: datetime) -> Person | None:
        """Whose session it is; it goes on for 15 minutes from now. None where there is none that is open."""
        rows = self._db.read(lambda c: self._with_grants(c, token, now))
        if not rows:
            return None
        row, roles = rows[0], folded(one for one in rows if one.role is not None)
        if now - row.seen_at >= _NOTED_EVERY:
            self._db.write(lambda c: self._seen(c, row.id, now))
        return Person(row.account_id, row.name, roles, row.language, row.id, csrf_of(token))

    def _with_grants(self, c: sa.Connection, token: str, now: datetime) -> Sequence[AnyRow]:
        """The session in a row for each role that was given or taken: every page asks for it."""
        a, g = self._t.account, self._t.grant
        its = sa.and_(g.c.account_id == a.c.id, g.c.role.is_not(None))
        query = self._open_sessions(token, now, Stage.COMPLETE).outerjoin(g, its).order_by(g.c.id)
        return c.execute(query.add_columns(a.c.language, g.c.role, g.c.action)).all()

    def newcomer_of(self, token: str, now: datetime) -> Newcomer | None:
        """Who has come half way in this browser."""
        query = self._open_sessions(token, now, Stage.ENROLMENT, Stage.PASSWORD)
        row = self._db.read(lambda c: c.execute(query).one_or_none())
        if row is None:
            return None
        return Newcomer(row.account_id, row.name, Stage(row.stage), row.id, csrf_of(token))

    def _open_sessions(self, token: str, now: datetime, *stages: Stage) -> sa.Select[Any]:
        """The one with this token, and its account."""
        s, a = self._t.session, self._t.account
        query = sa.select(s.c.id, s.c.account_id, s.c.stage, s.c.seen_at, a.c.name)
        its = (s.c.token_hash == hashed(token), s.c.stage.in_(stages), a.c.closed_at.is_(None))
        return query.join(a, a.c.id == s.c.account_id).where(*its, *self._open(now))

    def _open(self, now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
        s = self._t.session
        return s.c.ends_at > now, s.c.seen_at > now - IDLE

    def _seen(self, c: sa.Connection, session_id: int, now: datetime) -> None:
        s = self._t.session
        c.execute(sa.update(s).where(s.c.id == session_id).values(seen_at=now))

    def sign_out(self, account_id: int, session_id: int) -> bool:
        """End one session if it is this account's; whether it was."""
        s = self._t.session
        its = sa.and_(s.c.id == session_id, s.c.account_id == account_id)
        return self._db.write(lambda c: self.end(c, its)) > 0

    def end_all(self, account_id: int) -> int:
        """End every session of an account; how many there were."""
        return self._db.write(lambda c: self.end(c, self._t.session.c.account_id == account_id))

    def end(self, c: sa.Connection, which: sa.ColumnElement[bool]) -> int:
        """End these, in the transaction of another."""
        return c.execute(sa.delete(self._t.session).where(which)).rowcount

    def start(
        self, c: sa.Connection, account_id: int, stage: Stage, browser: Browser, now: datetime, **more: Any
    ) -> str:
        """A session with a new token, in the transaction of another; old ones of anybody are swept out."""
        s, token = self._t.session, secrets.token_urlsafe(32)
        self.end(c, sa.or_(s.c.ends_at <= now, s.c.seen_at <= now - IDLE))
        lasts = LONGEST if stage is Stage.COMPLETE else HALF_WAY
        row = {
            "account_id": account_id,
            "token_hash": hashed(token),
            "stage": stage,
            "started_at": now,
            "seen_at": now,
            "ends_at": now + lasts,
            "address": browser.address,
            "agent": browser.agent,
            **more,
        }
        c.execute(sa.insert(s).values(**row))
        return token

    def count(self, c: sa.Connection, now: datetime) -> dict[int, int]:
        """How many open sessions each account has."""
        s = self._t.session
        query = sa.select(s.c.account_id, sa.func.count()).where(
            s.c.stage == Stage.COMPLETE, *self._open(now)
        )
        return {row[0]: row[1] for row in c.execute(query.group_by(s.c.account_id))}

    def new_factor(self, c: sa.Connection, session_id: int) -> bytes:
        """The second factor that a session is about to prove, encrypted; empty where there is none."""
        s = self._t.session
        return c.scalar(sa.select(s.c.totp).where(s.c.id == session_id)) or b""

    def set_new_factor(self, c: sa.Connection, session_id: int, stored: bytes) -> None:
        """Keep one for a session."""
        s = self._t.session
        c.execute(sa.update(s).where(s.c.id == session_id).values(totp=stored))

    def of(self, account_id: int, now: datetime) -> list[SessionRecord]:
        """The open sessions of an account, the latest first."""
        s = self._t.session
        query = sa.select(s.c.id, s.c.started_at, s.c.seen_at, s.c.address, s.c.agent)
        its = (s.c.account_id == account_id, s.c.stage == Stage.COMPLETE, *self._open(now))
        rows = self._db.read(lambda c: c.execute(query.where(*its).order_by(s.c.id.desc())).all())
        return [SessionRecord(*row) for row in rows]


def hashed(token: str) -> str:
    """What is kept of a token, which is random: it needs no salt."""
    return hashlib.sha256(token.encode()).hexdigest()


def csrf_of(token: str) -> str:
    """What the forms of a session carry; it tells nothing of the token."""
    return hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest()
