"""The face vectors of a retraining are encrypted in the database, each for its row."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from functools import partial
from typing import Final

from worker.errors import TrainingFailed, Undecipherable
from worker.settings import Settings
from worker.store import encryption
from worker.store.encryption import Cipher, Keys
from worker.store.training.records import FaceRow

KEY_FILE: Final = "vectors.key"
"""In `VERIFY_HOME`, where everything is embedded and no key is set."""
_PURPOSE: Final = b"face-verification: vectors of training_face, 1"

_NO_KEY: Final = (
    "the faces' vectors cannot be encrypted: set VERIFY_VECTOR_KEYS or VERIFY_TOMBSTONE_KEY, the same for "
    "all workers"
)
_UNDECIPHERABLE: Final[Mapping[str, str]] = {
    "other_key": "the vectors were encrypted with a key that this worker does not have: VERIFY_VECTOR_KEYS "
    "(without it, VERIFY_TOMBSTONE_KEY) must be the same for all workers",
    "not_encrypted": "the vectors are not encrypted: update all workers, then retrain again",
    "damaged": "the vectors were damaged, or moved from another row of training_face",
}


class VectorCipher:
    """Encrypts with the first key, decrypts with each."""

    def __init__(self, keys: Keys) -> None:
        """``keys`` is called when the first vector comes."""
        self._cipher = Cipher(keys)

    @property
    def ready(self) -> bool:
        """Whether there is a key. Raises BadSettings."""
        return self._cipher.ready

    def check(self) -> None:
        """Raises TrainingFailed where there is no key, and BadSettings."""
        if not self.ready:
            raise TrainingFailed(_NO_KEY)

    def encrypt(self, vectors: bytes, row: FaceRow) -> bytes:
        """For this row. There must be a key."""
        return self._cipher.encrypt(vectors, _identity(row))

    def decrypt(self, stored: bytes, row: FaceRow) -> bytes:
        """Raises TrainingFailed: another key, another row, damaged, or never encrypted."""
        self.check()
        try:
            return self._cipher.decrypt(stored, _identity(row))
        except Undecipherable as error:
            raise TrainingFailed(_UNDECIPHERABLE[error.code]) from None


def _identity(row: FaceRow) -> bytes:
    return json.dumps([row.run_id, row.member_id, row.number, row.networks]).encode()


def keys_of(settings: Settings) -> list[bytes]:
    """Those of `VERIFY_VECTOR_KEYS`, else one that follows from `VERIFY_TOMBSTONE_KEY`, else that of a file
    where the database is embedded. Raises BadSettings."""
    if settings.vector_keys:
        return [base64.b64decode(key.get_secret_value()) for key in settings.vector_keys]
    return encryption.derived_or_own(settings, _PURPOSE, KEY_FILE, "VERIFY_VECTOR_KEYS")


derived_key = partial(encryption.derived_key, purpose=_PURPOSE)
derived_keys = partial(encryption.derived_keys, purpose=_PURPOSE)
