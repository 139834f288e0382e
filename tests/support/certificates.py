"""Certificates that are good, past their date, or of a chain that is not sent whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """Signs certificates; ``file`` is its own. Without an ``issuer`` it signs itself."""

    def __init__(self, folder: Path, name: str = "root", issuer: Authority | None = None) -> None:
        self._folder, self._name, self._issuer = folder, name, issuer
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / f"{name}.crt"
        self.file.write_bytes(_pem(self._certificate))

    @cached_property
    def _certificate(self) -> x509.Certificate:
        signer = self._issuer or self
        extension = x509.BasicConstraints(ca=True, path_length=None)
        return signer._sign(self._name, self._key.public_key(), extension, days=30)

    def intermediate(self) -> Authority:
        """One that this one vouches for."""
        return Authority(self._folder, "intermediate", self)

    def issue(self, host: str, *, days: int = 2, chain: bool = False) -> Path:
        """A file with key and certificate of a host; negative ``days``: it ended so long ago.

        With ``chain`` the authority's own certificate is in it, too.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        certificate = self._sign(host, key.public_key(), names, days=days)
        file = self._folder / f"{host}-{self._name}-{days}-{chain}.pem"
        text = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        file.write_bytes(text + _pem(certificate) + (_pem(self._certificate) if chain else b""))
        return file

    def _sign(
        self, name: str, key: ec.EllipticCurvePublicKey, extension: x509.ExtensionType, *, days: int
    ) -> x509.Certificate:
        ends = datetime.now(UTC) + timedelta(days=days)
        build = x509.CertificateBuilder(
            issuer_name=_named(self._name),
            subject_name=_named(name),
            public_key=key,
            serial_number=x509.random_serial_number(),
            not_valid_before=ends - timedelta(days=60),
            not_valid_after=ends,
        )
        return build.add_extension(extension, critical=False).sign(self._key, hashes.SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
