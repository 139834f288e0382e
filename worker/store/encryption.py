"""Values that are encrypted in the database (AES-256-GCM), and their keys.

A stored value is a version byte, the first bytes of the key's SHA-256, a nonce and the ciphertext with its
tag. The row that it belongs to is authenticated with it: a value that is moved to another row cannot be read.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from worker.errors import BadSettings, Undecipherable
from worker.settings import Settings

KEY_BYTES: Final = 32
_VERSION: Final = b"\x01"
_NAME_BYTES: Final = 4
_NONCE_BYTES: Final = 12

Keys = Callable[[], Sequence[bytes]]
"""Gives the keys, of 32 bytes each."""


class Cipher:
    """Encrypts with the first key, decrypts with each."""

    def __init__(self, keys: Keys) -> None:
        """``keys`` is called when the first value comes."""
        self._keys = keys

    @cached_property
    def _by_name(self) -> dict[bytes, AESGCM]:
        return {_name_of(key): AESGCM(key) for key in self._keys()}

    @property
    def ready(self) -> bool:
        """Whether there is a key. Raises BadSettings."""
        return bool(self._by_name)

    def encrypt(self, value: bytes, row: bytes) -> bytes:
        """For this row. There must be a key."""
        name, key = next(iter(self._by_name.items()))
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + name + nonce + key.encrypt(nonce, value, row)

    def decrypt(self, stored: bytes, row: bytes) -> bytes:
        """Raises Undecipherable: another key, another row, damaged, or never encrypted."""
        version, name, nonce, ciphertext = _parts(stored)
        if version != _VERSION:
            raise Undecipherable("not_encrypted")
        if name not in self._by_name:
            raise Undecipherable("other_key")
        try:
            return self._by_name[name].decrypt(nonce, ciphertext, row)
        except InvalidTag:
            raise Undecipherable("damaged") from None


def _name_of(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()[:_NAME_BYTES]


def _parts(stored: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    start = len(_VERSION)
    nonce = start + _NAME_BYTES
    ciphertext = nonce + _NONCE_BYTES
    return stored[:start], stored[start:nonce], stored[nonce:ciphertext], stored[ciphertext:]


def derived_or_own(settings: Settings, purpose: bytes, file: str, setting: str) -> list[bytes]:
    """A key that follows from `VERIFY_TOMBSTONE_KEY`, else that of a file where the database is embedded."""
    if settings.secret:
        return derived_keys(settings.secret, purpose)
    if settings.database_url.get_secret_value().startswith("sqlite"):
        return [_key_in_file(settings.home / file, setting)]
    return []


def derived_key(secret: bytes, purpose: bytes) -> bytes:
    """A key that tells nothing of the secret, nor of the key for another purpose (HKDF)."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose).derive(secret)


def derived_keys(secret: bytes, purpose: bytes) -> list[bytes]:
    """One key, or none where there is no secret."""
    return [derived_key(secret, purpose)] if secret else []


def _key_in_file(path: Path, setting: str) -> bytes:
    """Made by the first process that needs it; only its user can read it."""
    try:
        if not path.exists():
            _make_key_file(path)
        key = path.read_bytes()
    except OSError as error:
        raise BadSettings(f"{path} cannot be used ({type(error).__name__}): set {setting}") from None
    if len(key) != KEY_BYTES:
        raise BadSettings(f"{path} holds no key: remove it, or set {setting}")
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
