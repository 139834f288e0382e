"""Ed25519 keys, as files."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def key_pair(folder: Path) -> tuple[Path, Path]:
    """A new pair: the public key's file, and the private one's."""
    folder.mkdir(parents=True, exist_ok=True)
    key, public, private = Ed25519PrivateKey.generate(), folder / "head.pub", folder / "head.key"
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return public, private
