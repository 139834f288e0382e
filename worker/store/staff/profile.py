"""What people change of their own account: password, second factor, recovery codes, language.

Each change of how one signs in ends the account's other sessions and gives this browser a new token.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial

import sqlalchemy as sa

from worker.errors import NotPossible
from worker.store.database import Database
from worker.store.staff.account_rows import change, existing
from worker.store.staff.enrolment import Enrolled
from worker.store.staff.factors import SecondFactors, new_recovery_codes, recovery_hash
from worker.store.staff.passwords import Passwords, check_password
from worker.store.staff.records import Browser, Person
from worker.store.staff.sessions import Sessions
from worker.store.staff.sign_in import Passed, Refused, SignIn
from worker.store.tables.states import Stage


class Profile:
    """Changes of somebody who is signed in."""

    def __init__(
        self,
        database: Database,
        sessions: Sessions,
        passwords: Passwords,
        factors: SecondFactors,
        sign_in: SignIn,
    ) -> None:
        self._db = database
        self._t = database.t.staff
        self._sessions = sessions
        self._passwords = passwords
        self._factors = factors
        self._sign_in = sign_in

    def set_language(self, person: Person, language: str) -> None:
        """`ko` or `en`."""
        self._db.write(lambda c: change(c, self._t, person.account_id, language=language))

    def has_password(self, person: Person) -> bool:
        """Not where a company's own sign-on has always said who this is."""
        a = self._t.account
        query = sa.select(a.c.password.is_not(None)).where(a.c.id == person.account_id)
        return bool(self._db.read(lambda c: c.scalar(query)))

    def recovery_left(self, person: Person) -> int:
        """How many recovery codes were not used."""
        a = self._t.account
        query = sa.select(a.c.recovery).where(a.c.id == person.account_id)
        return len(self._db.read(lambda c: c.scalar(query)) or [])

    def change_password(
        self, person: Person, old: str, new: str, browser: Browser, now: datetime
    ) -> Passed | Refused:
        """Raises WeakPassword. Refused: the old one is wrong."""
        check_password(new, person.name)
        if refused := self._sign_in.prove(person.account_id, old, browser, now):
            return refused
        values = {"password": self._passwords.hash(new), "password_at": now}
        return Passed(self._db.write(lambda c: self._change(c, person, browser, now, values)))

    def _change(
        self, c: sa.Connection, person: Person, browser: Browser, now: datetime, values: dict[str, object]
    ) -> str:
        row = existing(c, self._t, person.account_id)
        if not self._sessions.end(c, self._t.session.c.id == person.session_id):
            raise NotPossible("the session was ended meanwhile: sign in again")
        change(c, self._t, row.id, **values)
        self._sessions.end(c, self._t.session.c.account_id == row.id)
        return self._sessions.start(c, row.id, Stage.COMPLETE, browser, now)

    def new_factor(self, person: Person, password: str, browser: Browser, now: datetime) -> Refused | None:
        """A secret for another telephone; the old one counts until this one is proved."""
        if refused := self._sign_in.prove(person.account_id, password, browser, now):
            return refused
        secret = self._factors.new(person.account_id)
        self._db.write(lambda c: self._sessions.set_new_factor(c, person.session_id, secret))
        return None

    def secret(self, person: Person) -> str | None:
        """What the new telephone must know; None where nobody has asked for one in this session."""
        stored = self._db.read(lambda c: self._sessions.new_factor(c, person.session_id))
        return self._factors.secret(stored, person.account_id) if stored else None

    def prove_factor(self, person: Person, code: str, browser: Browser, now: datetime) -> Passed | Refused:
        """A code of the new telephone puts it in the place of the old one."""
        token = self._db.write(lambda c: self._prove_factor(c, person, code, browser, now))
        return Refused() if token is None else Passed(token)

    def _prove_factor(
        self, c: sa.Connection, person: Person, code: str, browser: Browser, now: datetime
    ) -> str | None:
        stored = self._sessions.new_factor(c, person.session_id)
        step = self._factors.step_of(stored, person.account_id, code, now)
        if step is None:
            return None
        return self._change(c, person, browser, now, {"totp": stored, "totp_step": step})

    def new_recovery(
        self, person: Person, password: str, browser: Browser, now: datetime
    ) -> Enrolled | Refused:
        """Ten new recovery codes in place of the old ones."""
        if refused := self._sign_in.prove(person.account_id, password, browser, now):
            return refused
        codes = new_recovery_codes()
        values: dict[str, object] = {"recovery": [recovery_hash(code) for code in codes]}
        work = partial(self._change, person=person, browser=browser, now=now, values=values)
        return Enrolled(self._db.write(work), codes)
