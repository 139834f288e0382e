"""People of the console in tests: invited, enrolled with a telephone of their own, signed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pyotp
from argon2 import PasswordHasher

from support.jobs import NOW
from worker.store import Store
from worker.store.encryption import Cipher
from worker.store.staff.accounts import Invitation
from worker.store.staff.enrolment import Enrolled
from worker.store.staff.passwords import Passwords
from worker.store.staff.records import Browser, Person
from worker.store.staff.sign_in import Passed, Refused
from worker.store.staff.staff import Staff
from worker.store.tables.states import Role

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""For the many sign-ins of tests: the real parameters take a tenth of a second each."""
PASSWORD = "correct horse battery"
DESK = Browser("10.0.0.5", "Firefox")
ELSEWHERE = Browser("203.0.113.9", "curl")


def with_cheap_hashes(store: Store) -> Store:
    """The store, whose passwords are hashed in no time."""
    cipher = Cipher(lambda: [b"k" * 32])
    store.staff = Staff(store.database, cipher, store.accesses, Passwords(CHEAP))
    return store


@dataclass(frozen=True)
class Employee:
    """Somebody with a password and a telephone."""

    account_id: int
    name: str
    secret: str
    recovery: tuple[str, ...]
    token: str
    """Of the session that enrolment began."""

    def code(self, at: datetime) -> str:
        """What the telephone shows then."""
        return pyotp.TOTP(self.secret).at(at)


def invited(store: Store, name: str = "Kim", *roles: Role, at: datetime = NOW) -> Invitation:
    """An invitation by the command."""
    return store.staff.accounts.add(name, roles, "root", at)


def enrolled(store: Store, name: str = "Kim", *roles: Role, at: datetime = NOW) -> Employee:
    """Somebody who has answered an invitation."""
    return answered(store, invited(store, name, *roles, at=at), at)


def answered(store: Store, invitation: Invitation, at: datetime = NOW) -> Employee:
    """The same of an invitation that is there."""
    begun = store.staff.enrolment.begin(invitation.code, DESK, at)
    assert isinstance(begun, Passed)
    newcomer = store.staff.sessions.newcomer_of(begun.token, at)
    assert newcomer is not None
    secret = store.staff.enrolment.secret(newcomer)
    done = store.staff.enrolment.finish(newcomer, PASSWORD, pyotp.TOTP(secret).at(at), DESK, at)
    assert isinstance(done, Enrolled)
    return Employee(newcomer.account_id, newcomer.name, secret, done.recovery, done.token)


def sign_in(
    store: Store, employee: Employee, at: datetime, browser: Browser = DESK, code: str | None = None
) -> Passed | Refused:
    """Password and code; what the last step said."""
    first = store.staff.sign_in.password(employee.name, PASSWORD, browser, at)
    if isinstance(first, Refused):
        return first
    newcomer = store.staff.sessions.newcomer_of(first.token, at)
    assert newcomer is not None
    return store.staff.sign_in.code(newcomer, code or employee.code(at), browser, at)


def signed_in(store: Store, employee: Employee, at: datetime) -> tuple[str, Person]:
    """The token of a new session, and who it says they are. Wait 90 seconds after the last code."""
    done = sign_in(store, employee, at)
    assert isinstance(done, Passed)
    person = store.staff.sessions.person_of(done.token, at)
    assert person is not None
    return done.token, person


def minutes(number: float) -> datetime:
    """So many minutes after `NOW`."""
    return NOW + timedelta(minutes=number)
