"""Keys that are none, and values in `training_face` that do not belong there."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from worker.errors import BadSettings, TrainingFailed
from worker.settings import load_settings
from worker.store.training.encryption import VectorCipher, derived_key
from worker.store.training.records import FaceRow

_KEY: Final = derived_key(b"a key")
_ROW: Final = FaceRow(7, "m-1024", 0, "facenet:0")
_KEYS: Final[Mapping[str, str]] = {
    "`VERIFY_VECTOR_KEYS` with a key of 16 bytes": base64.b64encode(bytes(16)).decode(),
    "`VERIFY_VECTOR_KEYS` with a password": "correct horse battery staple",
    "`VERIFY_VECTOR_KEYS` whose second key is cut off": f"{base64.b64encode(_KEY).decode()},c2hvcnQ=",
}


def wrong_keys() -> Iterator[tuple[str, str]]:
    """The worker does not start."""
    for name, value in _KEYS.items():
        try:
            load_settings({"vector_keys": value}, ours=False)
        except BadSettings as bad:
            yield name, f"`{bad}`"


def wrong_vectors() -> Iterator[tuple[str, str]]:
    """The run ends as failed with the reason; its labels count as new for the next one."""
    stored = VectorCipher(lambda: [_KEY]).encrypt(bytes(4608), _ROW)
    for name, value, row, keys in (
        ("a value that was moved to another member", stored, replace(_ROW, member_id="m-1025"), [_KEY]),
        ("a value that was kept from an earlier run", stored, replace(_ROW, run_id=8), [_KEY]),
        ("a value whose last byte was changed", stored[:-1] + bytes([stored[-1] ^ 1]), _ROW, [_KEY]),
        ("a value that was cut off", stored[:40], _ROW, [_KEY]),
        ("vectors that are not encrypted", bytes(4608), _ROW, [_KEY]),
        ("a key that no other worker has", stored, _ROW, [derived_key(b"another")]),
        ("no key on a worker whose database is a server's", stored, _ROW, []),
    ):
        try:
            VectorCipher(lambda keys=keys: keys).decrypt(value, row)  # type: ignore[misc]
        except TrainingFailed as failed:
            yield name, f"`{failed}`"
