"""Signing in: a password, then a code; or, where a company has a sign-on of its own, the name that it gives.

Whatever is wrong, the answer is the same and takes as long; only that one must wait is said, and that to
unknown names as well. Every try is in the access log, under the account's name if there is such an account.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from worker.store.access.log import AccessLog
from worker.store.database import AnyRow, Database
from worker.store.members.records import Access
from worker.store.staff.account_rows import change, find_open, folded_name, locked
from worker.store.staff.attempts import Attempts, Tried
from worker.store.staff.factors import SecondFactors, recovery_hash
from worker.store.staff.passwords import Passwords
from worker.store.staff.records import Browser, Newcomer
from worker.store.staff.sessions import Sessions
from worker.store.tables.states import Stage

_ACTION: Final = "sign_in"
_UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Passed:
    """The step was right; the browser gets this token, in place of the one that it had."""

    token: str


@dataclass(frozen=True, slots=True)
class Refused:
    """It was not, or was not looked at: it must ``wait`` so long first."""

    wait: timedelta | None = None


class SignIn:
    """The way from a name to a session."""

    def __init__(
        self,
        database: Database,
        sessions: Sessions,
        *,
        attempts: Attempts,
        passwords: Passwords,
        factors: SecondFactors,
        accesses: AccessLog,
    ) -> None:
        self._db = database
        self._t = database.t.staff
        self._sessions = sessions
        self._attempts = attempts
        self._passwords = passwords
        self._factors = factors
        self._accesses = accesses

    def password(self, name: str, password: str, browser: Browser, now: datetime) -> Passed | Refused:
        """The first step. The token is good for the second one and nothing else."""
        tried = Tried(folded_name(name), browser.address)
        if wait := self._attempts.begin(tried, now):
            return Refused(wait)
        row = self._db.read(lambda c: find_open(c, self._t, name))
        if not self._passwords.is_right(row.password if row else None, password) or row is None:
            self.record(row.name if row else _UNKNOWN, "refused", browser, now)
            return Refused()
        self._attempts.half_way(tried, now)
        new = self._passwords.hash(password) if self._passwords.is_outdated(row.password) else None
        return Passed(self._db.write(lambda c: self._half_way(c, row, new, browser, now)))

    def _half_way(
        self, c: sa.Connection, row: AnyRow, new_hash: str | None, browser: Browser, now: datetime
    ) -> str:
        if new_hash is not None:
            change(c, self._t, row.id, password=new_hash)
        return self._sessions.start(c, row.id, Stage.PASSWORD, browser, now)

    def code(self, newcomer: Newcomer, code: str, browser: Browser, now: datetime) -> Passed | Refused:
        """The second step: a code of the telephone, or a recovery code, each of which is accepted once."""
        tried = Tried(folded_name(newcomer.name), browser.address)
        if wait := self._attempts.begin(tried, now):
            return Refused(wait)
        found = self._db.write(lambda c: self._check_code(c, newcomer, code, now))
        self.record(newcomer.name, found or "refused", browser, now)
        if found is None:
            return Refused()
        self._attempts.succeeded(tried, now)
        token = self._db.write(lambda c: self._complete(c, newcomer, browser, now))
        return Refused() if token is None else Passed(token)

    def _check_code(self, c: sa.Connection, newcomer: Newcomer, code: str, now: datetime) -> str | None:
        """How it was proved, in a word for the record."""
        row = locked(c, self._t, newcomer.account_id)
        if row is None or row.totp is None or newcomer.stage is not Stage.PASSWORD:
            return None
        step = self._factors.step_of(row.totp, row.id, code, now, row.totp_step)
        if step is not None:
            change(c, self._t, row.id, totp_step=step)
            return "code"
        left, given = list(row.recovery or []), recovery_hash(code)
        if given not in left:
            return None
        left.remove(given)
        change(c, self._t, row.id, recovery=left)
        return "recovery"

    def _complete(self, c: sa.Connection, newcomer: Newcomer, browser: Browser, now: datetime) -> str | None:
        """A whole session in place of the one that was half way; None where that was ended meanwhile."""
        row = locked(c, self._t, newcomer.account_id)
        if row is None or not self._sessions.end(c, self._t.session.c.id == newcomer.session_id):
            return None
        return self.let_in(c, row.id, browser, now)

    def let_in(self, c: sa.Connection, account_id: int, browser: Browser, now: datetime) -> str:
        """A session of somebody who has proved who they are; its token."""
        change(c, self._t, account_id, signed_in_at=now)
        return self._sessions.start(c, account_id, Stage.COMPLETE, browser, now)

    def trusted(self, name: str, browser: Browser, now: datetime) -> Passed | Refused:
        """For a company's own sign-on, which has checked who this is. Accounts and roles are ours."""
        row = self._db.read(lambda c: find_open(c, self._t, name))
        self.record(row.name if row else _UNKNOWN, "sign_on" if row else "refused", browser, now)
        if row is None:
            return Refused()
        return Passed(self._db.write(lambda c: self.let_in(c, row.id, browser, now)))

    def prove(self, account_id: int, password: str, browser: Browser, now: datetime) -> Refused | None:
        """Whether somebody who is signed in knows the password, before they change how one signs in."""
        row = self._db.read(lambda c: _by_id(c, self._t.account, account_id))
        tried = Tried(row.folded, browser.address)
        if wait := self._attempts.begin(tried, now):
            return Refused(wait)
        if not self._passwords.is_right(row.password, password):
            self.record(row.name, "refused", browser, now)
            return Refused()
        self._attempts.succeeded(tried, now)
        return None

    def record(self, name: str, way: str, browser: Browser, now: datetime) -> None:
        """Write down who signs in how and from where, or that it failed."""
        host = socket.gethostname()
        self._accesses.note_list(Access(name, _ACTION, way, host, browser.address, "console"), now)


def _by_id(c: sa.Connection, account: sa.Table, account_id: int) -> AnyRow:
    return c.execute(sa.select(account).where(account.c.id == account_id)).one()
