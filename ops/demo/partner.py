"""
A partner of the demonstration: its keys, its registration, and its software talking to the gateway over HTTP.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from joserfc.jwk import ECKey

from consent.conventions.files import read
from consent.conventions.signature import sign
from gateway.auth.client import Token, fetch_token
from gateway.auth.client_dpop import DpopKey
from gateway.auth.profile import TRIAL, Binding, Security
from gateway.auth.registry import add_partner, add_system
from gateway.store.database import Database
from ops.demo.gateway_process import GatewayProcess

KID = "1"

_PATIENCE = 20
"""Seconds that a mailbox may stay empty while something is on its way."""


class PartnerFailed(Exception):
    """The gateway answered something the story does not expect; the message is its problem's detail."""


@dataclass(slots=True)
class Partner:
    """One organisation with one system, registered with the keys it made itself."""

    siret: str
    name: str
    client_id: str
    adapter: str
    pem: bytes = field(repr=False)
    http: httpx.AsyncClient = field(repr=False)
    gateway: GatewayProcess = field(repr=False)
    dpop: DpopKey | None = field(default=None, repr=False)
    """The key its tokens are bound to; None in the sandbox, whose tokens are bearer tokens."""
    token: Token | None = None
    acknowledged: int = 0
    """How many deliveries the gateway recorded as acknowledged by this partner."""

    @classmethod
    async def registered(
        cls,
        gateway: GatewayProcess,
        http: httpx.AsyncClient,
        siret: str,
        name: str,
        client_id: str,
        adapter: str,
        security: Security = TRIAL,
        roles: Sequence[str] = ("partner",),
    ) -> Partner:
        """Make a key pair, and register the organisation and its system as `tdu partner add` does: public key only."""
        key = generate_private_key(SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        jwks = {"keys": [ECKey.import_key(pem, {"kid": KID, "use": "sig"}).as_dict(private=False)]}
        database = Database(gateway.database)
        now = datetime.now(UTC)
        async with database.write() as tx:
            await add_partner(tx, siret=siret, name=name, signing_jwks=jwks, now=now)
            system = f"Logiciel de {name}"
            await add_system(
                tx,
                client_id=client_id,
                partner=siret,
                name=system,
                jwks=jwks,
                adapter=adapter,
                security=security,
                roles=roles,
                now=now,
            )
        await database.close()
        dpop = DpopKey.generate() if security.binding is Binding.DPOP else None
        return cls(siret, name, client_id, adapter, pem, http, gateway, dpop)

    async def call(
        self, method: str, path: str, *, expect: tuple[int, ...] = (200, 201, 202), **options: Any
    ) -> httpx.Response:
        """Send one request with a live token; raises `PartnerFailed` when the status is not one of `expect`."""
        headers = dict(options.pop("headers", {}))
        if method == "POST":
            headers.setdefault("Idempotency-Key", str(uuid.uuid4()))
        response = await self._sent(method, path, headers, options)
        if response.status_code == 401 and response.json().get("code") == "convention_outdated":
            # A convention came into force or changed since the token: take note of it with a new one, and send the same again.
            self.token = await self._new_token()
            response = await self._sent(method, path, headers, options)
        if response.status_code not in expect:
            raise PartnerFailed(
                f"{method} {path.split('?', maxsplit=1)[0]} : {response.status_code} {response.text[:500]}"
            )
        return response

    async def _sent(self, method: str, path: str, headers: dict[str, str], options: dict[str, Any]) -> httpx.Response:
        """Send a request with the token, and its proof when it is bound to a key."""
        token, address = await self.signed_in(), self.gateway.address + path
        if self.dpop is not None:
            proven = self.dpop.with_token(token.access_token)
            return await self.http.request(method, address, headers=headers, auth=proven, timeout=120, **options)
        return await self.http.request(method, address, headers=token.headers | headers, timeout=120, **options)

    async def signed_in(self) -> Token:
        """A token that lives, got by `private_key_jwt` when there is none."""
        if self.token is None or self.token.expires_at < time.time() + 30:
            self.token = await self._new_token()
        return self.token

    async def _new_token(self) -> Token:
        return await fetch_token(
            self.http,
            issuer=self.gateway.address,
            client_id=self.client_id,
            private_key_pem=self.pem,
            kid=KID,
            dpop=self.dpop,
        )

    async def propose(self, convention: bytes) -> str:
        """Propose a convention; returns its id."""
        answer = await self.call(
            "POST", "/v1/conventions", content=convention, headers={"Content-Type": "application/yaml"}
        )
        return str(answer.json()["id"])

    async def sign(self, convention: bytes) -> str:
        """Sign a convention with this partner's own key, on its own side; returns the state of the convention then."""
        read_here = read(convention)
        jws = sign(dict(read_here.document), self.pem, self.siret, KID)
        answer = await self.call("POST", f"/v1/conventions/{read_here.id}/sign", json={"jws": jws})
        self.token = None  # the next token has the scopes that the convention gives
        return str(answer.json()["state"])

    async def pull(self, expected: int) -> list[dict[str, Any]]:
        """
        Take what waits in the mailbox and acknowledge it, lease by lease, until `expected` deliveries came.

        Raises `PartnerFailed` when one is missing for long, or when there is one too many.
        """
        taken: list[dict[str, Any]] = []
        while answer := await self._take(wait=_PATIENCE if len(taken) < expected else 0):
            taken += answer["deliveries"]
            recorded = (await self.call("POST", f"/v1/mailbox/{answer['lease']}/ack")).json()["acknowledged"]
            if set(recorded) != {delivery["id"] for delivery in answer["deliveries"]}:
                raise PartnerFailed("what was acknowledged is not what was taken")
            self.acknowledged += len(recorded)
        if len(taken) != expected:
            raise PartnerFailed(f"{len(taken)} deliveries came, {expected} were permitted")
        return taken

    async def receipt(self, exchange: str) -> str:
        """The receipt of an exchange, waited for until the log holds it; raises `PartnerFailed` when it does not come."""
        for _ in range(10 * _PATIENCE):
            answer = await self.call("GET", f"/v1/exchanges/{exchange}/receipt", expect=(200, 409))
            if answer.status_code == 200:
                return answer.text
            await asyncio.sleep(0.1)
        raise PartnerFailed(f"no receipt in {_PATIENCE} seconds")

    async def _take(self, wait: int) -> dict[str, Any] | None:
        answer = (await self.call("GET", f"/v1/mailbox?limit=200&wait={wait}")).json()
        return dict(answer) if answer["deliveries"] else None


def of_kind(deliveries: list[dict[str, Any]], kind: str) -> Iterator[dict[str, Any]]:
    """The deliveries of one kind."""
    return (delivery for delivery in deliveries if delivery["kind"] == kind)
