"""The face vectors of a retraining are encrypted in the database (AES-256-GCM).

A stored value is a version byte, the first bytes of the key's SHA-256, a nonce and the ciphertext with its
tag. The row that it belongs to is authenticated with it: a value that is moved to another row cannot be read.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from worker.errors import BadSettings, TrainingFailed
from worker.settings import Settings
from worker.store.training.records import FaceRow

KEY_BYTES: Final = 32
KEY_FILE: Final = "vectors.key"
"""In `VERIFY_HOME`, where everything is embedded and no key is set."""
_VERSION: Final = b"\x01"
_NAME_BYTES: Final = 4
_NONCE_BYTES: Final = 12
_PURPOSE: Final = b"face-verification: vectors of training_face, 1"

_NO_KEY: Final = (
    "the faces' vectors cannot be encrypted: set VERIFY_VECTOR_KEYS or VERIFY_TOMBSTONE_KEY, the same for "
    "all workers"
)
_OTHER_KEY: Final = (
    "the vectors were encrypted with a key that this worker does not have: VERIFY_VECTOR_KEYS (without it, "
    "VERIFY_TOMBSTONE_KEY) must be the same for all workers"
)
_NOT_ENCRYPTED: Final = "the vectors are not encrypted: update all workers, then retrain again"
_DAMAGED: Final = "the vectors were damaged, or moved from another row of training_face"

VectorKeys = Callable[[], Sequence[bytes]]
"""Gives the keys, of 32 bytes each."""


class VectorCipher:
    """Encrypts with the first key, decrypts with each."""

    def __init__(self, keys: VectorKeys) -> None:
        """``keys`` is called when the first vector comes."""
        self._keys = keys

    @cached_property
    def _by_name(self) -> dict[bytes, AESGCM]:
        return {_name_of(key): AESGCM(key) for key in self._keys()}

    @property
    def ready(self) -> bool:
        """Whether there is a key. Raises BadSettings."""
        return bool(self._by_name)

    def check(self) -> None:
        """Raises TrainingFailed where there is no key, and BadSettings."""
        if not self.ready:
            raise TrainingFailed(_NO_KEY)

    def encrypt(self, vectors: bytes, row: FaceRow) -> bytes:
        """For this row. There must be a key."""
        name, key = next(iter(self._by_name.items()))
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + name + nonce + key.encrypt(nonce, vectors, _identity(row))

    def decrypt(self, stored: bytes, row: FaceRow) -> bytes:
        """Raises TrainingFailed: another key, another row, damaged, or never encrypted."""
        self.check()
        version, name, nonce, ciphertext = _parts(stored)
        if version != _VERSION:
            raise TrainingFailed(_NOT_ENCRYPTED)
        if name not in self._by_name:
            raise TrainingFailed(_OTHER_KEY)
        try:
            return self._by_name[name].decrypt(nonce, ciphertext, _identity(row))
        except InvalidTag:
            raise TrainingFailed(_DAMAGED) from None


def _name_of(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()[:_NAME_BYTES]


def _parts(stored: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    start = len(_VERSION)
    nonce = start + _NAME_BYTES
    ciphertext = nonce + _NONCE_BYTES
    return stored[:start], stored[start:nonce], stored[nonce:ciphertext], stored[ciphertext:]


def _identity(row: FaceRow) -> bytes:
    return json.dumps([row.run_id, row.member_id, row.number, row.networks]).encode()


def keys_of(settings: Settings) -> list[bytes]:
    """Those of `VERIFY_VECTOR_KEYS`, else one that follows from `VERIFY_TOMBSTONE_KEY`, else that of a file
    where the database is embedded. Raises BadSettings."""
    if settings.vector_keys:
        return [base64.b64decode(key.get_secret_value()) for key in settings.vector_keys]
    if settings.secret:
        return derived_keys(settings.secret)
    if settings.database_url.get_secret_value().startswith("sqlite"):
        return [_key_in_file(settings.home / KEY_FILE)]
    return []


def derived_key(secret: bytes) -> bytes:
    """A key that tells nothing of the secret (HKDF)."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), KEY_BYTES, salt=None, info=_PURPOSE).derive(secret)


def derived_keys(secret: bytes) -> list[bytes]:
    """One key, or none where there is no secret."""
    return [derived_key(secret)] if secret else []


def _key_in_file(path: Path) -> bytes:
    """Made by the first process that needs it; only its user can read it."""
    try:
        if not path.exists():
            _make_key_file(path)
        key = path.read_bytes()
    except OSError as error:
        raise BadSettings(f"{path} cannot be used ({type(error).__name__}): set VERIFY_VECTOR_KEYS") from None
    if len(key) != KEY_BYTES:
        raise BadSettings(f"{path} holds no key: remove it, or set VERIFY_VECTOR_KEYS")
    return key


def _make_key_file(path: Path) -> None:
    """Whole or not at all; of several processes the first one's stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with open(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - the mode
        file.write(secrets.token_bytes(KEY_BYTES))
    try:
        os.link(own, path)
    except FileExistsError:
        pass
    finally:
        own.unlink()
