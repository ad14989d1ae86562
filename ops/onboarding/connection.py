"""
The connection test of a partner's side: from the name of the gateway to a first call, each step said in French.

It stops at the first step that nothing after it could do without, and says what to correct.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
import httpx

from gateway.auth.client import Token, TokenRefused, client_assertion, fetch_token
from gateway.auth.client_dpop import DpopKey

_SECONDS: Final = 10
_SKEW: Final = 10
"""Seconds that the two clocks may differ by; the gateway refuses more."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was tried: its name, whether it is good, and what was seen or what to correct."""

    name: str
    good: bool
    message: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Who tries: a system, its private key in PEM, and the name under which the public part was registered."""

    client_id: str
    private_key_pem: bytes
    kid: str


async def steps(issuer: str, identity: Identity | None) -> AsyncIterator[Step]:
    """Try each step; without `identity`, those that need none. `issuer` is the gateway's public address."""
    for look in (_name, _port, _certificate):
        step = await look(issuer)
        yield step
        if not step.good:
            return
    async with httpx.AsyncClient(timeout=_SECONDS, trust_env=False) as http:
        answer = await _answer(http, f"{issuer}/.well-known/oauth-authorization-server")
        if isinstance(answer, Step):
            yield answer
            return
        yield (clock := _clock(answer))
        yield (metadata := _metadata(answer, issuer))
        if metadata.good and identity is not None:
            async for step in _signed(http, answer.json(), issuer, identity, clock.good):
                yield step


async def _name(issuer: str) -> Step:
    parts = urlsplit(issuer)
    if parts.scheme not in ("https", "http") or not parts.hostname or issuer.endswith("/"):
        return Step(
            "adresse", False, "écrivez l'adresse comme l'exploitant la donne : https://…, sans barre oblique à la fin"
        )
    try:
        found = await anyio.to_thread.run_sync(socket.getaddrinfo, parts.hostname, _port_of(issuer))
    except OSError:
        return Step(
            "nom",
            False,
            f"{parts.hostname} n'existe pas pour votre serveur de noms (DNS) ; vérifiez l'orthographe et la zone",
        )
    return Step("nom", True, f"{parts.hostname} mène à {found[0][4][0]}")


async def _port(issuer: str) -> Step:
    host, port = str(urlsplit(issuer).hostname), _port_of(issuer)
    try:
        with anyio.fail_after(_SECONDS):
            async with await anyio.connect_tcp(host, port):
                return Step("connexion", True, f"le port {port} répond")
    except (OSError, TimeoutError):
        return Step(
            "connexion", False, f"le port {port} de {host} ne répond pas ; ouvrez-le dans votre pare-feu, en sortie"
        )


async def _certificate(issuer: str) -> Step:
    if urlsplit(issuer).scheme == "http":
        local = urlsplit(issuer).hostname in ("127.0.0.1", "localhost", "::1")
        return Step("TLS", local, "sans TLS, sur cette machine" if local else "l'adresse doit commencer par https://")
    host, port = str(urlsplit(issuer).hostname), _port_of(issuer)
    try:
        ends = await anyio.to_thread.run_sync(_ends, host, port)
    except ssl.SSLCertVerificationError as error:
        return Step(
            "TLS",
            False,
            f"le certificat de la passerelle est refusé ({error.verify_message}) ; si un mandataire de votre réseau ouvre le TLS, "
            "exemptez cette adresse, sinon prévenez l'exploitant",
        )
    except (ssl.SSLError, OSError) as error:
        return Step("TLS", False, f"la connexion chiffrée échoue ({type(error).__name__}) ; il faut TLS 1.2 ou plus")
    days = (ends - datetime.now(UTC)).days
    return Step("TLS", True, f"certificat valable encore {days} jours")


def _ends(host: str, port: int) -> datetime:
    context = ssl.create_default_context()
    with (
        socket.create_connection((host, port), _SECONDS) as raw,
        context.wrap_socket(raw, server_hostname=host) as secured,
    ):
        shown: dict[str, Any] = dict(secured.getpeercert() or {})
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(shown["notAfter"]), UTC)


async def _answer(http: httpx.AsyncClient, url: str) -> httpx.Response | Step:
    try:
        return await http.get(url)
    except httpx.HTTPError as error:
        return Step("description", False, f"pas de réponse HTTP ({type(error).__name__}) à {url}")


def _clock(answer: httpx.Response) -> Step:
    try:
        skew = time.time() - parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (KeyError, ValueError):
        return Step("horloge", True, "la passerelle ne donne pas l'heure : non vérifiée")
    if abs(skew) > _SKEW + 1:
        way = "avance" if skew > 0 else "retarde"
        return Step(
            "horloge",
            False,
            f"votre horloge {way} de {abs(skew):.0f} s : synchronisez-la (NTP), 10 s au plus sont admises",
        )
    return Step("horloge", True, "à l'heure de la passerelle")


def _metadata(answer: httpx.Response, issuer: str) -> Step:
    try:
        found = answer.json()["issuer"] if answer.status_code == 200 else None
    except (ValueError, KeyError, TypeError):
        found = None
    if found is None:
        return Step(
            "description", False, f"cette adresse n'est pas celle d'une passerelle (réponse {answer.status_code})"
        )
    if found != issuer:
        return Step(
            "description", False, f"la passerelle se nomme {found} : employez exactement cette adresse, aussi dans aud"
        )
    return Step("description", True, f"passerelle {issuer}")


async def _signed(
    http: httpx.AsyncClient, metadata: dict[str, Any], issuer: str, identity: Identity, on_time: bool
) -> AsyncIterator[Step]:
    try:
        client_assertion(identity.client_id, issuer, identity.private_key_pem, identity.kid)
    except (ValueError, TypeError):
        yield Step(
            "clé", False, "ce n'est pas une clé privée en PEM sans mot de passe (EC P-256 ou P-384, Ed25519, RSA)"
        )
        return
    yield Step("clé", True, f"lisible, annoncée sous le nom (kid) {identity.kid}")
    bound = DpopKey.generate()
    try:
        token = await _token(http, metadata, issuer, identity, bound)
    except TokenRefused as refused:
        hint = "" if on_time else " L'horloge en est peut-être la cause."
        yield Step("jeton", False, f"{refused}{hint}")
        return
    yield Step("jeton", True, f"reçu ; portées : {' '.join(sorted(token.scopes))}")
    if "exchange:read" not in token.scopes:
        return
    answer = await http.get(f"{issuer}/v1/exchanges?limit=1", auth=bound.with_token(token.access_token))
    if answer.status_code != 200:
        yield Step("appel", False, f"refusé ({answer.status_code}) : {answer.json().get('detail', '')}")
        return
    yield Step("appel", True, "GET /v1/exchanges répond")


async def _token(
    http: httpx.AsyncClient, metadata: dict[str, Any], issuer: str, identity: Identity, bound: DpopKey
) -> Token:
    """Ask as the FAPI profile does, then as SMART does if only the audience was wrong. Raises `TokenRefused`."""
    asked: dict[str, Any] = {
        "issuer": issuer,
        "client_id": identity.client_id,
        "private_key_pem": identity.private_key_pem,
        "kid": identity.kid,
        "dpop": bound,
    }
    try:
        return await fetch_token(http, **asked)
    except TokenRefused as error:
        if metadata["token_endpoint"] not in str(error):
            raise
        return await fetch_token(http, **asked, audience=metadata["token_endpoint"])


def _port_of(issuer: str) -> int:
    parts = urlsplit(issuer)
    return parts.port or (443 if parts.scheme == "https" else 80)
