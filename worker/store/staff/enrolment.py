"""An invitation is answered: the person chooses a password and a second factor, and nobody else sees them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from worker.store.database import AnyRow, Database
from worker.store.staff.account_rows import change, locked
from worker.store.staff.attempts import Attempts, Tried
from worker.store.staff.factors import SecondFactors, new_recovery_codes, recovery_hash
from worker.store.staff.passwords import Passwords, check_password
from worker.store.staff.records import Browser, Newcomer
from worker.store.staff.sessions import Sessions, hashed
from worker.store.staff.sign_in import Passed, Refused, SignIn
from worker.store.tables.states import Stage


@dataclass(frozen=True, slots=True)
class Enrolled:
    """Signed in; the recovery codes are shown once."""

    token: str
    recovery: tuple[str, ...]


class Enrolment:
    """From an invitation to a session."""

    def __init__(
        self,
        database: Database,
        sessions: Sessions,
        *,
        attempts: Attempts,
        passwords: Passwords,
        factors: SecondFactors,
        sign_in: SignIn,
    ) -> None:
        self._db = database
        self._t = database.t.staff
        self._sessions = sessions
        self._attempts = attempts
        self._passwords = passwords
        self._factors = factors
        self._sign_in = sign_in

    def begin(self, code: str, browser: Browser, now: datetime) -> Passed | Refused:
        """The token is good for the choice and nothing else. Raises NotPossible where no key is set."""
        if wait := self._attempts.begin(Tried(None, browser.address), now):
            return Refused(wait)
        token = self._db.write(lambda c: self._begin(c, code.strip(), browser, now))
        if token is None:
            self._sign_in.record("unknown", "refused", browser, now)
            return Refused()
        self._attempts.succeeded(Tried(None, browser.address), now)
        return Passed(token)

    def _begin(self, c: sa.Connection, code: str, browser: Browser, now: datetime) -> str | None:
        a = self._t.account
        its = (a.c.invite_hash == hashed(code), a.c.invite_until > now, a.c.closed_at.is_(None))
        account_id = c.scalar(sa.select(a.c.id).where(*its))
        if account_id is None:
            return None
        secret = self._factors.new(account_id)
        return self._sessions.start(c, account_id, Stage.ENROLMENT, browser, now, totp=secret)

    def secret(self, newcomer: Newcomer) -> str:
        """What the telephone must know; it stays the same until it is proved."""
        stored = self._db.read(lambda c: self._sessions.new_factor(c, newcomer.session_id))
        return self._factors.secret(stored, newcomer.account_id)

    def finish(
        self, newcomer: Newcomer, password: str, code: str, browser: Browser, now: datetime
    ) -> Enrolled | Refused:
        """Raises WeakPassword. Refused: the code is wrong, or the invitation was answered meanwhile."""
        check_password(password, newcomer.name)
        kept, recovery = self._passwords.hash(password), new_recovery_codes()
        hashes = [recovery_hash(one) for one in recovery]
        chosen = {"password": kept, "password_at": now, "recovery": hashes}
        token = self._db.write(lambda c: self._finish(c, newcomer, code, chosen, browser=browser, now=now))
        self._sign_in.record(newcomer.name, "refused" if token is None else "enrolled", browser, now)
        return Refused() if token is None else Enrolled(token, recovery)

    def _finish(
        self,
        c: sa.Connection,
        newcomer: Newcomer,
        code: str,
        chosen: dict[str, object],
        *,
        browser: Browser,
        now: datetime,
    ) -> str | None:
        row = locked(c, self._t, newcomer.account_id)
        if row is None or not _is_invited(row, newcomer, now):
            return None
        stored = self._sessions.new_factor(c, newcomer.session_id)
        step = self._factors.step_of(stored, row.id, code, now)
        if step is None:
            return None
        nothing = {"invite_hash": None, "invite_until": None}
        change(c, self._t, row.id, totp=stored, totp_step=step, **chosen, **nothing)
        self._sessions.end(c, self._t.session.c.account_id == row.id)
        return self._sign_in.let_in(c, row.id, browser, now)


def _is_invited(row: AnyRow, newcomer: Newcomer, now: datetime) -> bool:
    invited = row.invite_until is not None and row.invite_until > now
    return invited and newcomer.stage is Stage.ENROLMENT
