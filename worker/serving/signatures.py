"""Heads are signed by whoever publishes them, and checked before they are used (Ed25519).

A head's hashes tell a damaged row from a whole one; they do not tell who wrote it. With a public key in
the settings a worker uses no head of the database that the private key has not signed, so that whoever may
write rows cannot lower the thresholds for everybody.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.bundles.bundle import open_manifest, seal_of
from pipeline.errors import WeightsCorrupt
from worker.errors import BadSettings, NotPossible
from worker.store.models.records import PublishedHead

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class HeadSignatures:
    """The keys of one process; without a public key every head counts as signed."""

    public: Ed25519PublicKey | None = None
    private: Ed25519PrivateKey | None = None

    @classmethod
    def of(cls, public: Path | None, private: Path | None) -> HeadSignatures:
        """From PEM files, as `openssl genpkey -algorithm ed25519` makes them. Raises BadSettings."""
        return cls(_public(public) if public else None, _private(private) if private else None)

    def sign(self, head: PublishedHead) -> PublishedHead:
        """The head with its signature, where there is a key to sign with.

        Raises ModelError, and NotPossible where hosts would refuse the head that comes out.
        """
        if self.private is None and self.public is None:
            return head
        if self.private is None:
            raise NotPossible("VERIFY_HEAD_SIGNING_KEY is not set: every host would refuse the head")
        signed = replace(head, signature=self.private.sign(_content(head)))
        self.check(signed)
        return signed

    def check(self, head: PublishedHead) -> None:
        """Raises WeightsCorrupt where a public key is set and the head is not signed by its counterpart."""
        if self.public is None:
            return
        from cryptography.exceptions import InvalidSignature

        if head.signature is None:
            raise WeightsCorrupt("it is not signed, and VERIFY_HEAD_PUBLIC_KEY is set: see `models sign`")
        try:
            self.public.verify(head.signature, _content(head))
        except InvalidSignature:
            raise WeightsCorrupt("its signature is not that of the key in VERIFY_HEAD_PUBLIC_KEY") from None


UNSIGNED: Final = HeadSignatures()
"""No keys: nothing is signed, and nothing has to be."""


def _content(head: PublishedHead) -> bytes:
    """What is signed: the version and the manifest's seal, which covers the sha256 of the head's arrays.

    Databases write JSON in ways of their own, so that the manifest's text could not be signed itself.
    """
    manifest = open_manifest(head.manifest)
    return f"face-verification head 1\n{manifest.version}\n{seal_of(head.manifest)}\n".encode()


def _public(path: Path) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadSettings(f"VERIFY_HEAD_PUBLIC_KEY cannot be read ({type(error).__name__})") from None
    if not isinstance(key, Ed25519PublicKey):
        raise BadSettings("VERIFY_HEAD_PUBLIC_KEY is no Ed25519 key")
    return key


def _private(path: Path) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise BadSettings(f"VERIFY_HEAD_SIGNING_KEY cannot be read ({type(error).__name__})") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadSettings("VERIFY_HEAD_SIGNING_KEY is no Ed25519 key")
    return key
