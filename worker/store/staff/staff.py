"""The repositories about people of the console, over one database."""

from __future__ import annotations

from worker.store.access.log import AccessLog
from worker.store.database import Database
from worker.store.encryption import Cipher
from worker.store.staff.accounts import Accounts
from worker.store.staff.attempts import Attempts
from worker.store.staff.enrolment import Enrolment
from worker.store.staff.factors import SecondFactors
from worker.store.staff.passwords import Passwords
from worker.store.staff.profile import Profile
from worker.store.staff.sessions import Sessions
from worker.store.staff.sign_in import SignIn


class Staff:
    """What the console needs of its people."""

    def __init__(self, database: Database, cipher: Cipher, accesses: AccessLog, passwords: Passwords) -> None:
        attempts = Attempts(database)
        factors = SecondFactors(cipher)
        self.sessions = sessions = Sessions(database)
        self.accounts = Accounts(database, sessions)
        self.sign_in = SignIn(
            database, sessions, attempts=attempts, passwords=passwords, factors=factors, accesses=accesses
        )
        self.enrolment = Enrolment(
            database, sessions, attempts=attempts, passwords=passwords, factors=factors, sign_in=self.sign_in
        )
        self.profile = Profile(database, sessions, passwords, factors, self.sign_in)
