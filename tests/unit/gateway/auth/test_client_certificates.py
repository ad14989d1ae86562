"""Certificates (RFC 8705): believed from the proxy only, they authenticate systems and bind tokens."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from joserfc.jwk import ECKey

from gateway.auth.certificates import Certificates, thumbprint
from gateway.auth.errors import RegistrationRefused
from gateway.auth.keys import public_jwks
from gateway.auth.profile import Binding, Method, Security
from gateway.auth.registry import add_system

pytestmark = pytest.mark.anyio

CAF = "99900001100018"
NAME = "rsa.caf-valombre.example"
VERIFIED = {"Client-Verify": "SUCCESS"}


def certified(name: str = NAME, *, days: int = 1, uri: str = "urn:caf:rsa") -> tuple[x509.Certificate, ECKey]:
    """A certificate and its key."""
    key = generate_private_key(SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "CAF"), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.UniformResourceIdentifier(uri)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate, ECKey.import_key(key, {"kid": "cert"})


def sent(certificate: x509.Certificate, *, pem: bool = False) -> str:
    """The header as a proxy writes it: RFC 9440, or nginx's escaped PEM."""
    if pem:
        return quote(certificate.public_bytes(Encoding.PEM).decode())
    return f":{base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()}:"


def with_chain(certificate: x509.Certificate, key: ECKey) -> dict[str, Any]:
    """The JWK of a certificate's key, as RFC 8705 section 2.2.2 registers it."""
    return {**key.as_dict(private=False), "x5c": [base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()]}


OWN, OWN_KEY = certified()
OTHER, OTHER_KEY = certified()


@pytest.fixture(scope="module")
async def desk(desk: Any) -> AsyncIterator[Any]:
    """The gateway with systems known by certificate: three by name, one by the certificate itself, one by key with a certificate."""
    systems = {
        "caf-tls-dns": ({"san_dns": NAME}, None),
        "caf-tls-uri": ({"san_uri": "urn:caf:rsa"}, None),
        "caf-tls-dn": ({"dn": OWN.subject.rfc4514_string()}, None),
        "caf-self-signed": (None, {"keys": [with_chain(OWN, OWN_KEY)]}),
    }
    async with desk.database.write() as tx:
        for client, (subject, jwks) in systems.items():
            method = Method.TLS if subject else Method.SELF_SIGNED_TLS
            security = Security(method=method, binding=Binding.MTLS, tls_subject=subject)
            await add_system(
                tx, client_id=client, partner=CAF, name="Logiciel", jwks=jwks, security=security, now=datetime.now(UTC)
            )
        security = Security(binding=Binding.MTLS)
        await add_system(
            tx,
            client_id="caf-mtls",
            partner=CAF,
            name="Logiciel",
            jwks=desk.keys.public("es256"),
            security=security,
            now=datetime.now(UTC),
        )
    yield desk


async def ask(
    desk: Any, client: str, certificate: str | None = None, headers: dict[str, str] | None = None, peer: str = ""
) -> httpx.Response:
    """Ask for a token with a certificate only."""
    form = {"grant_type": "client_credentials", "client_id": client}
    given = {**({"Client-Cert": certificate} if certificate else {}), **(VERIFIED if headers is None else headers)}
    async with desk.behind_proxy(*([peer] if peer else [])) as http:
        answer: httpx.Response = await http.post("/oauth2/token", data=form, headers=given)
        return answer


async def call(desk: Any, token: str, headers: Any = None, peer: str = "") -> httpx.Response:
    """Call a resource with a bearer token and a certificate."""
    async with desk.behind_proxy(*([peer] if peer else [])) as http:
        authorization = [("Authorization", f"Bearer {token}")]
        answer: httpx.Response = await http.get("/mailbox", headers=[*authorization, *(headers or [])])
        return answer


@pytest.mark.parametrize("client", ["caf-tls-dns", "caf-tls-uri", "caf-tls-dn", "caf-self-signed"])
@pytest.mark.parametrize("pem", [False, True], ids=["RFC 9440", "PEM"])
async def test_a_certificate_gets_a_token_that_only_it_opens(desk: Any, client: str, pem: bool) -> None:
    """By its name or itself; the token carries its thumbprint and needs it again at the resource."""
    answer = await ask(desk, client, sent(OWN, pem=pem))
    assert 200 == answer.status_code, answer.text
    token = answer.json()["access_token"]
    assert "Bearer" == answer.json()["token_type"]
    assert 200 == (await call(desk, token, [("Client-Cert", sent(OWN, pem=pem))])).status_code
    assert {"x5t#S256": thumbprint(OWN)} == desk.auth.tokens.read(token).confirmation


STOLEN: dict[str, tuple[Any, str]] = {
    "no certificate": (None, ""),
    "another certificate": ([("Client-Cert", sent(OTHER))], ""),
    "the certificate, not from the proxy": ([("Client-Cert", sent(OWN))], "192.0.2.8"),
    "two certificates": ([("Client-Cert", sent(OWN)), ("Client-Cert", sent(OWN))], ""),
    "what is no certificate": ([("Client-Cert", ":bm9uZQ==:")], ""),
    "a proof instead": ([("DPoP", "a.b.c")], ""),
}


@pytest.mark.parametrize("case", STOLEN)
async def test_a_stolen_token_opens_nothing_without_its_certificate(desk: Any, case: str) -> None:
    """Whoever holds the token holds nothing without the private key behind the certificate."""
    token = (await ask(desk, "caf-tls-dns", sent(OWN))).json()["access_token"]
    headers, peer = STOLEN[case]
    answer = await call(desk, token, headers, peer)
    assert (401, "invalid_token") == (answer.status_code, answer.json()["code"])


REFUSED: dict[str, tuple[str, str | None, dict[str, str] | None, str]] = {
    "not from the proxy": ("caf-tls-dns", sent(OWN), None, "192.0.2.8"),
    "from IPv6's way to write this machine": ("caf-tls-dns", sent(OWN), None, "::1"),
    "from a peer without address": ("caf-tls-dns", sent(OWN), None, "unix"),
    "no certificate": ("caf-tls-dns", None, None, ""),
    "chain not verified": ("caf-tls-dns", sent(OWN), {}, ""),
    "chain refused": ("caf-tls-dns", sent(OWN), {"Client-Verify": "FAILED:self-signed certificate"}, ""),
    "another DNS name": ("caf-tls-dns", sent(certified("autre.caf-valombre.example")[0]), None, ""),
    "a name that only begins alike": ("caf-tls-dns", sent(certified(NAME + ".autre.example")[0]), None, ""),
    "another URI": ("caf-tls-uri", sent(certified(uri="urn:caf:autre")[0]), None, ""),
    "another DN": ("caf-tls-dn", sent(certified("autre.example")[0]), None, ""),
    "the same name on another certificate, for one known by itself": ("caf-self-signed", sent(OTHER), None, ""),
    "expired": ("caf-tls-dns", sent(certified(days=-1)[0]), None, ""),
    "of a system known by its key": ("caf-mtls", sent(OWN), None, ""),
    "of an unknown system": ("personne", sent(OWN), None, ""),
    "of a disabled system": ("caf-ancien", sent(OWN), None, ""),
    "of nobody": ("", sent(OWN), None, ""),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_certificate_that_proves_nothing_is_refused(desk: Any, case: str) -> None:
    """Not believed, not verified, not the registered one, out of date: `invalid_client`, and no token."""
    client, certificate, headers, peer = REFUSED[case]
    answer = await ask(desk, client, certificate, headers, peer)
    assert (400, "invalid_client") == (answer.status_code, answer.json()["error"]), answer.text


@pytest.mark.parametrize(
    "value", ["garbage", "::", ":!:", "%FF%FE", "-----BEGIN%20CERTIFICATE-----", ":" + "A" * 17_000 + ":"]
)
async def test_a_proxy_that_sends_something_else_is_told(desk: Any, value: str) -> None:
    """A wrong configuration of the proxy is a clear 400 and never an error of ours."""
    answer = await ask(desk, "caf-tls-dns", value)
    assert (400, "invalid_request") == (answer.status_code, answer.json()["error"])


async def test_a_key_may_authenticate_and_a_certificate_bind(desk: Any) -> None:
    """private_key_jwt over mutual TLS: the token is bound to the certificate; without one there is no token."""
    async with desk.behind_proxy() as http:
        bare = await http.post("/oauth2/token", data=desk.form(desk.assertion(client="caf-mtls")))
        bound = await http.post(
            "/oauth2/token", data=desk.form(desk.assertion(client="caf-mtls")), headers={"Client-Cert": sent(OTHER)}
        )
    assert (400, "invalid_request") == (bare.status_code, bare.json()["error"])
    assert {"x5t#S256": thumbprint(OTHER)} == desk.auth.tokens.read(bound.json()["access_token"]).confirmation


async def test_without_a_configured_proxy_no_certificate_is_believed(desk: Any) -> None:
    """The default: a gateway without proxy believes nobody."""
    assert not Certificates().offered and desk.auth.certificates.offered
    certificates, desk.auth.certificates = desk.auth.certificates, Certificates()
    try:
        answer = await ask(desk, "caf-tls-dns", sent(OWN), peer="127.0.0.1")
    finally:
        desk.auth.certificates = certificates
    assert "invalid_client" == answer.json()["error"]


def test_a_registered_certificate_must_be_its_key_s() -> None:
    """`x5c` beside a key that is not the certificate's, or that is no certificate, is refused; what is kept is the thumbprint."""
    [kept] = public_jwks({"keys": [with_chain(OWN, OWN_KEY)]})["keys"]
    assert (thumbprint(OWN), False) == (kept["x5t#S256"], "x5c" in kept)
    wrong = with_chain(OWN, OTHER_KEY)
    for x5c in (wrong["x5c"], [], ["bm9uZQ=="], "texte", [7], None):
        with pytest.raises(RegistrationRefused) as refused:
            public_jwks({"keys": [{**wrong, "x5c": x5c}]})
        assert "key_certificate" == refused.value.code


def test_a_security_registration_is_read_back_as_it_was() -> None:
    """What is kept in the database says everything that was chosen, and only that."""
    chosen = Security(
        method=Method.TLS, binding=Binding.MTLS, tls_subject={"dn": "CN=a"}, limits={"requests": "1/second"}
    )
    assert chosen == Security.read(chosen.as_json())
    assert {} == Security().as_json()
    assert {"binding": "mtls"} == replace(Security(), binding=Binding.MTLS).as_json()
