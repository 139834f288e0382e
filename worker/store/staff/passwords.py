"""Passwords: which are accepted, and how they are kept (Argon2id)."""

from __future__ import annotations

import threading
import unicodedata
from functools import cached_property
from typing import TYPE_CHECKING, Final

from worker.errors import WeakPassword

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST: Final = 10
LONGEST: Final = 200
"""Characters; longer ones would only take time."""
_FEWEST_DIFFERENT: Final = 5
_COMMONEST: Final = frozenset(
    {
        *(
            "1234567890",
            "12345678910",
            "0123456789",
            "0987654321",
            "1q2w3e4r5t",
            "1q2w3e4r5t6y",
            "1qaz2wsx3edc",
        ),
        *(
            "q1w2e3r4t5",
            "qwer123456",
            "qwer1234!!",
            "qwerty1234",
            "qwerty12345",
            "qwerty123456",
            "qwertyuiop",
        ),
        *("asdfghjkl1", "asdfghjkl;", "asdf123456", "asdfasdf12", "zxcvbnm123", "qazwsxedc1", "abcdefghij"),
        *(
            "abcd123456",
            "abc1234567",
            "aa12345678",
            "a123456789",
            "password12",
            "password123",
            "password1234",
        ),
        *(
            "passw0rd12",
            "p@ssw0rd12",
            "p@ssword123",
            "iloveyou12",
            "iloveyou123",
            "welcome123",
            "welcome1234",
        ),
        *(
            "admin12345",
            "admin123456",
            "administrator",
            "changeme12",
            "changeme123",
            "letmein123",
            "test123456",
        ),
        *("korea12345", "dlwlals123", "qlalfqjsgh", "qlalfqjsgh1", "rhksflwk12", "tkfkdgo123", "sarang1234"),
        *(
            "football123",
            "baseball123",
            "superman123",
            "sunshine123",
            "princess123",
            "michael123",
            "1111111111",
        ),
    }
)
"""In small letters; on a Korean keyboard `qlalfqjsgh` is 비밀번호. The short ones are too short anyway."""


def normalised(password: str) -> str:
    """The same bytes from every keyboard: Hangul of a Mac is in parts."""
    return unicodedata.normalize("NFKC", password)


def check_password(password: str, name: str) -> None:
    """Raises WeakPassword: `short`, `long`, `name` or `common`. Nobody asks for digits and signs."""
    text = normalised(password)
    if len(text) < SHORTEST:
        raise WeakPassword("short", f"a password has {SHORTEST} characters at least")
    if len(text) > LONGEST:
        raise WeakPassword("long", f"a password has {LONGEST} characters at most")
    if len(name) > 2 and normalised(name).lower() in text.lower():
        raise WeakPassword("name", "a password does not contain the name")
    if text.lower() in _COMMONEST or len(set(text)) < _FEWEST_DIFFERENT:
        raise WeakPassword("common", "this password is one of those that are tried first")


class Passwords:
    """Hashes and compares, two at a time at most: each takes 64 MiB of memory."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._given = hasher
        self._few = threading.BoundedSemaphore(2)

    @cached_property
    def _hasher(self) -> PasswordHasher:
        from argon2 import PasswordHasher  # of the extra `console`: workers do without

        return self._given or PasswordHasher()

    @cached_property
    def _nobodys(self) -> str:
        return self.hash("nobody has this password")

    def hash(self, password: str) -> str:
        """What is kept of a password: parameters, salt and hash."""
        with self._few:
            return self._hasher.hash(normalised(password))

    def is_right(self, stored: str | None, password: str) -> bool:
        """Whether it is this password. Where there is none it takes as long to say no."""
        from argon2.exceptions import InvalidHashError, VerificationError

        against = stored or self._nobodys
        try:
            with self._few:
                self._hasher.verify(against, normalised(password)[:LONGEST])
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Whether it was hashed with other parameters than those of today."""
        return self._hasher.check_needs_rehash(stored)
