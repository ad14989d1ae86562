"""
Client certificates (RFC 8705) as a reverse proxy passes them: it ends TLS, the gateway never sees the handshake.

A header is only a header: it is believed when the connection comes from an address that the operator configured as the
proxy's, and from nowhere else. The proxy must delete what clients send under the same names. Two forms are read: RFC 9440
(`Client-Cert: :base64 of the DER:`) and the URL-encoded PEM of nginx (`$ssl_client_escaped_cert`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc.util import urlsafe_b64encode
from starlette.requests import Request

MAX_CHARACTERS: Final = 16_384

VERIFIED: Final = "SUCCESS"
"""What the proxy says of a certificate whose chain it verified (nginx `$ssl_client_verify`)."""


class CertificateUnreadable(ValueError):
    """The proxy sent a header that holds no certificate: its configuration is wrong."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate that a client proved the key of; `chained` when the proxy also verified who signed it."""

    parsed: x509.Certificate
    chained: bool

    @property
    def thumbprint(self) -> str:
        """The member `x5t#S256`: base64url of the SHA-256 of the DER form (RFC 8705 section 3.1)."""
        return thumbprint(self.parsed)

    def names(self, kind: str) -> frozenset[str]:
        """The names of one kind of `profile.SUBJECT_KINDS` that the certificate holds."""
        if kind == "dn":
            return frozenset({self.parsed.subject.rfc4514_string()})
        try:
            found = self.parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (x509.ExtensionNotFound, ValueError):
            return frozenset()
        if kind == "san_dns":
            return frozenset(name.lower() for name in found.get_values_for_type(x509.DNSName))
        return frozenset(found.get_values_for_type(x509.UniformResourceIdentifier))

    def valid_at(self, now: datetime) -> bool:
        """Whether `now` is within the certificate's dates."""
        return self.parsed.not_valid_before_utc <= now <= self.parsed.not_valid_after_utc

    def proves(self, subject: Mapping[str, str]) -> bool:
        """Whether this is, by its chain, the certificate of the registered subject."""
        return self.chained and bool(subject) and all(name in self.names(kind) for kind, name in subject.items())


class Certificates:
    """
    Reads the certificate of a request.

    `proxies` are addresses or networks (`10.1.2.0/24`); with none, no certificate is ever believed. Raises `ValueError`.
    """

    def __init__(
        self, proxies: Iterable[str] = (), header: str = "client-cert", verified_header: str = "client-verify"
    ) -> None:
        self._proxies = tuple(map(ip_network, proxies))
        self._header = header
        self._verified_header = verified_header

    @property
    def offered(self) -> bool:
        """Whether clients may present certificates here at all."""
        return bool(self._proxies)

    def of(self, request: Request) -> Certificate | None:
        """
        Give the certificate that came with a request; None when there is none, or when it does not come from a proxy.

        Raises `CertificateUnreadable` when a proxy sends something else than one certificate.
        """
        sent = request.headers.getlist(self._header)
        if not sent or not sent[0] or not self._from_proxy(request):
            return None
        if len(sent) > 1 or len(sent[0]) > MAX_CHARACTERS:
            raise CertificateUnreadable("repeated or too long")
        chained = request.headers.getlist(self._verified_header) == [VERIFIED]
        return Certificate(_parsed(sent[0].strip()), chained)

    def _from_proxy(self, request: Request) -> bool:
        if request.client is None:
            return False
        try:
            peer = ip_address(request.client.host)
        except ValueError:
            return False
        return any(peer in network for network in self._proxies)


def thumbprint(certificate: x509.Certificate) -> str:
    """Compute `x5t#S256`."""
    return urlsafe_b64encode(hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()).decode()


def _parsed(text: str) -> x509.Certificate:
    try:
        if text.startswith(":") and text.endswith(":"):
            return x509.load_der_x509_certificate(base64.b64decode(text[1:-1], validate=True))
        return x509.load_pem_x509_certificate(unquote(text, errors="strict").encode())
    except (ValueError, binascii.Error) as error:
        raise CertificateUnreadable("not a certificate") from error
