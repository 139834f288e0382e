"""The second factor: codes of a telephone (TOTP, RFC 6238), and recovery codes for who has lost it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime
from typing import Final

from worker.errors import NotPossible
from worker.store.encryption import Cipher

PURPOSE: Final = b"face-verification: second factors of staff_account, 1"
KEY_FILE: Final = "staff.key"
"""In `VERIFY_HOME`, where everything is embedded and no key is set."""
STEP_SECONDS: Final = 30
RECOVERY_CODES: Final = 10
_DRIFT: Final = 1
"""Steps that the telephone's clock may be off."""
_LETTERS: Final = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""Without those that look alike."""
_GROUPS, _IN_GROUP = 4, 4
_NO_KEY: Final = "second factors cannot be encrypted: set VERIFY_TOMBSTONE_KEY, the same for all consoles"


class SecondFactors:
    """Secrets of telephones, encrypted for the account that they belong to."""

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher

    def new(self, account_id: int) -> bytes:
        """A secret as it is kept. Raises NotPossible where there is no key to encrypt it with."""
        import pyotp  # of the extra `console`: workers do without

        self._check()
        return self._cipher.encrypt(pyotp.random_base32().encode(), _row(account_id))

    def _check(self) -> None:
        """Raises NotPossible where there is no key, and BadSettings."""
        if not self._cipher.ready:
            raise NotPossible(_NO_KEY)

    def secret(self, stored: bytes, account_id: int) -> str:
        """For the person's telephone. Raises Undecipherable."""
        self._check()
        return self._cipher.decrypt(stored, _row(account_id)).decode()

    def step_of(
        self, stored: bytes, account_id: int, code: str, now: datetime, after: int | None = None
    ) -> int | None:
        """The step whose code this is; None for a wrong one, for one that was used, and where there is no
        secret.

        ``after``: the step of the newest code that was accepted.
        """
        import pyotp

        if not stored:
            return None
        totp = pyotp.TOTP(self.secret(stored, account_id), interval=STEP_SECONDS)
        current = int(now.timestamp()) // STEP_SECONDS
        steps = range(current - _DRIFT, current + _DRIFT + 1)
        given = "".join(code.split()).encode()
        right = [step for step in steps if hmac.compare_digest(totp.at(step * STEP_SECONDS).encode(), given)]
        return next((step for step in right if after is None or step > after), None)


def address_of(secret: str, name: str, issuer: str) -> str:
    """What the QR code says: `otpauth://totp/…`."""
    import pyotp

    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=issuer)


def new_recovery_codes() -> tuple[str, ...]:
    """Ten codes of 79 bits each."""
    return tuple(_code() for _ in range(RECOVERY_CODES))


def _code() -> str:
    groups = ("".join(secrets.choice(_LETTERS) for _ in range(_IN_GROUP)) for _ in range(_GROUPS))
    return "-".join(groups)


def recovery_hash(code: str) -> str:
    """What is kept of a code, however it was typed."""
    plain = "".join(letter for letter in code.upper() if letter.isalnum())
    return hashlib.sha256(plain.encode()).hexdigest()


def _row(account_id: int) -> bytes:
    return f"staff_account {account_id}".encode()
