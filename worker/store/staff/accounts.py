"""Accounts and roles, as an admin keeps them; what was done, to whom, when and by whom is in the history.

Nobody but the person ever knows the password: an admin gives a code that is good once, within 24 hours.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from worker.errors import LastAdmin, NotPossible
from worker.store.database import AnyRow, Database
from worker.store.reviews.claims import check_name
from worker.store.staff.account_rows import change, existing, folded_name, normal_name
from worker.store.staff.records import GrantRecord, StaffRecord
from worker.store.staff.roles import all_roles, roles_of
from worker.store.staff.sessions import Sessions, hashed
from worker.store.tables.columns import NOTE_LENGTH
from worker.store.tables.states import Role, StaffAction

INVITED_FOR: Final = timedelta(hours=24)
_NOTHING: Final = dict.fromkeys(
    (
        *("password", "password_at", "totp", "totp_step", "recovery", "invite_hash", "invite_until"),
        *("language", "signed_in_at"),
    )
)
"""What goes with an account that is closed."""
_VOID: Final = {name: None for name in _NOTHING if name not in ("language", "signed_in_at")}


@dataclass(frozen=True, slots=True)
class Invitation:
    """With the code the person chooses a password and a second factor, once."""

    name: str
    code: str
    until: datetime


class Accounts:
    """The rows of `staff_account` and `staff_grant`."""

    def __init__(self, database: Database, sessions: Sessions) -> None:
        self._db = database
        self._t = database.t.staff
        self._sessions = sessions

    def add(
        self, name: str, roles: Iterable[Role], by: str, now: datetime, note: str | None = None
    ) -> Invitation:
        """A new account. Raises NotPossible: the name cannot be kept, or somebody has or had it."""
        name, note = normal_name(name), _note(note)
        check_name(name)
        check_name(by)
        return self._db.write(lambda c: self._add(c, name, frozenset(roles), by=by, now=now, note=note))

    def _add(
        self, c: sa.Connection, name: str, roles: frozenset[Role], *, by: str, now: datetime, note: str | None
    ) -> Invitation:
        a = self._t.account
        taken = c.execute(sa.select(a).where(a.c.folded == folded_name(name))).one_or_none()
        if taken is not None:
            raise NotPossible(_why_taken(taken))
        code = secrets.token_urlsafe(24)
        row = {
            "name": name,
            "folded": folded_name(name),
            "created_at": now,
            "invite_hash": hashed(code),
            "invite_until": now + INVITED_FOR,
        }
        account_id = int(c.execute(sa.insert(a).values(**row)).lastrowid)
        self._note(c, account_id, name, StaffAction.INVITED, by=by, now=now, note=note)
        for role in sorted(roles):
            self._note(c, account_id, name, StaffAction.GIVEN, role, by=by, now=now, note=note)
        return Invitation(name, code, now + INVITED_FOR)

    def set_roles(
        self, account_id: int, roles: Iterable[Role], by: str, now: datetime, note: str | None = None
    ) -> bool:
        """Give and take roles until these are left; whether anything changed. It ends the account's sessions.

        Raises NotPossible, and LastAdmin where nobody else could give roles.
        """
        check_name(by)
        wanted, note = frozenset(roles), _note(note)
        return self._db.write(lambda c: self._set_roles(c, account_id, wanted, by=by, now=now, note=note))

    def _set_roles(
        self,
        c: sa.Connection,
        account_id: int,
        wanted: frozenset[Role],
        *,
        by: str,
        now: datetime,
        note: str | None,
    ) -> bool:
        everybody = self._lock_all(c)
        row = existing(c, self._t, account_id)
        has = roles_of(c, self._t, account_id)
        if Role.ADMIN in has - wanted:
            self._check_admin_left(c, everybody, row)
        for action, roles in ((StaffAction.GIVEN, wanted - has), (StaffAction.TAKEN, has - wanted)):
            for role in sorted(roles):
                self._note(c, row.id, row.name, action, role, by=by, now=now, note=note)
        if wanted != has:
            self._sessions.end(c, self._t.session.c.account_id == account_id)
        return wanted != has

    def reset(self, account_id: int, by: str, now: datetime, note: str | None = None) -> Invitation:
        """Make password and second factor void, end the sessions, and invite anew. Raises NotPossible."""
        check_name(by)
        code, note = secrets.token_urlsafe(24), _note(note)
        return self._db.write(lambda c: self._reset(c, account_id, code, by=by, now=now, note=note))

    def _reset(
        self, c: sa.Connection, account_id: int, code: str, *, by: str, now: datetime, note: str | None
    ) -> Invitation:
        row, until = existing(c, self._t, account_id), now + INVITED_FOR
        change(c, self._t, row.id, **(_VOID | {"invite_hash": hashed(code), "invite_until": until}))
        self._sessions.end(c, self._t.session.c.account_id == row.id)
        self._note(c, row.id, row.name, StaffAction.RESET, by=by, now=now, note=note)
        return Invitation(row.name, code, until)

    def close(self, account_id: int, by: str, now: datetime, note: str | None = None) -> None:
        """Take all roles, end the sessions, and forget password and telephone. The history stays.

        Raises NotPossible, and LastAdmin where nobody else could give roles.
        """
        check_name(by)
        text = _note(note)
        self._db.write(lambda c: self._close(c, account_id, by=by, now=now, note=text))

    def _close(self, c: sa.Connection, account_id: int, *, by: str, now: datetime, note: str | None) -> None:
        self._set_roles(c, account_id, frozenset(), by=by, now=now, note=note)
        row = existing(c, self._t, account_id)
        self._sessions.end(c, self._t.session.c.account_id == row.id)
        change(c, self._t, row.id, **(_NOTHING | {"closed_at": now}))
        self._note(c, row.id, row.name, StaffAction.CLOSED, by=by, now=now, note=note)

    def _lock_all(self, c: sa.Connection) -> list[AnyRow]:
        """Two admins must not take each other's role at the same moment."""
        a = self._t.account
        query = sa.select(a.c.id, a.c.signed_in_at).where(a.c.closed_at.is_(None)).order_by(a.c.id)
        return list(c.execute(query.with_for_update()))

    def _check_admin_left(self, c: sa.Connection, everybody: Iterable[AnyRow], row: AnyRow) -> None:
        """Somebody else is an admin; and has signed in, where this one has: invitations may get lost."""
        roles = all_roles(c, self._t)
        others = [one for one in everybody if one.id != row.id and Role.ADMIN in roles.get(one.id, ())]
        if row.signed_in_at is not None:
            others = [one for one in others if one.signed_in_at is not None]
        if not others:
            raise LastAdmin(f"{row.name} is the last admin: nobody could give roles any more")

    def _note(
        self,
        c: sa.Connection,
        account_id: int,
        name: str,
        action: StaffAction,
        role: Role | None = None,
        *,
        by: str,
        now: datetime,
        note: str | None,
    ) -> None:
        row = {
            "account_id": account_id,
            "name": name,
            "action": action,
            "role": role,
            "changed_at": now,
            "changed_by": by,
            "note": note,
        }
        c.execute(sa.insert(self._t.grant).values(**row))

    def find(self, name: str) -> int | None:
        """The number of the open account of this name."""
        a = self._t.account
        query = sa.select(a.c.id).where(a.c.folded == folded_name(name), a.c.closed_at.is_(None))
        return self._db.read(lambda c: c.scalar(query))

    def all(self, now: datetime) -> list[StaffRecord]:
        """All accounts, the closed ones last, by name."""
        return self._db.read(lambda c: self._list(c, now))

    def _list(self, c: sa.Connection, now: datetime) -> list[StaffRecord]:
        a, roles, sessions = self._t.account, all_roles(c, self._t), self._sessions.count(c, now)
        rows = c.execute(sa.select(a).order_by(a.c.closed_at.is_not(None), a.c.folded))
        return [
            StaffRecord(
                row.id,
                row.name,
                roles.get(row.id, frozenset()),
                row.created_at,
                row.signed_in_at,
                row.invite_until,
                row.closed_at,
                sessions.get(row.id, 0),
            )
            for row in rows
        ]

    def history(self, account_id: int | None = None, limit: int = 200) -> list[GrantRecord]:
        """What was done to one account, or to any; the latest first."""
        g = self._t.grant
        names = ("name", "action", "role", "changed_at", "changed_by", "note")
        query = sa.select(*(g.c[name] for name in names)).order_by(g.c.id.desc()).limit(limit)
        if account_id is not None:
            query = query.where(g.c.account_id == account_id)
        rows = self._db.read(lambda c: c.execute(query).all())
        return [
            GrantRecord(row.name, StaffAction(row.action), row.role and Role(row.role), *row[3:])
            for row in rows
        ]


def _why_taken(row: AnyRow) -> str:
    if row.closed_at is None:
        return f"there is an account {row.name} already"
    return f"the name {row.name} was another account's, and records name people by it: choose another one"


def _note(note: str | None) -> str | None:
    text = (note or "").strip()
    if len(text) > NOTE_LENGTH:
        raise NotPossible(f"a note has {NOTE_LENGTH} characters at most")
    return text or None
