"""
A certificate authority of the tests: servers on this machine that a client can check as it checks any other.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.x509.oid import NameOID

_NAME = "Autorité de test"


class Authority:
    """
    One authority, known to whoever trusts the certificate in `file` (PEM).
    """

    def __init__(self, folder: Path) -> None:
        """Make the authority; `folder` keeps its certificate and those of the servers."""
        self.folder, self.file = folder, folder / "authority.pem"
        self._key = generate_private_key(SECP256R1())
        self.file.write_bytes(self._sign(_NAME, self._key).public_bytes(serialization.Encoding.PEM))

    def server(self, name: str) -> Path:
        """Make the key and the certificate of a server, valid for a day: a host name or an IP address; returns their file."""
        key = generate_private_key(SECP256R1())
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = self.folder / f"{name}.pem"
        file.write_bytes(secret + self._sign(name, key).public_bytes(serialization.Encoding.PEM))
        return file

    def context(self, name: str) -> ssl.SSLContext:
        """What a server of this process presents."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.server(name))
        return context

    def _sign(self, name: str, key: EllipticCurvePrivateKey) -> x509.Certificate:
        now, own = datetime.now(UTC), key is self._key
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _NAME)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=own, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(True, False, False, False, False, own, own, False, False), critical=True)
        )
        if not own:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(name)]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
