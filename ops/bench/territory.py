"""
A small territory for the benches: a CAF and an association under a signed convention, and people who agreed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey
from joserfc.util import urlsafe_b64encode

from adapters.cnaf_rsa.fictitious import FictitiousPerson, fictitious_people
from gateway.auth.client import Token, fetch_token
from gateway.auth.client_dpop import DpopKey
from ops.bench.load import Answered, load
from ops.demo.documents import consent
from ops.demo.gateway_process import GatewayProcess
from ops.demo.partner import KID, Partner

CAF: Final = "99900001100018"
ASSOCIATION: Final = "99900003700013"
PEOPLE: Final = 200
_SIGNERS: Final = 8
_FILLER: Final = "La personne préfère être appelée le matin et demande un interprète. "
_BYTES: Final = 2_000

UNLIMITED: Final = {"TDU_LIMIT_REQUESTS": "", "TDU_LIMIT_SUBJECTS": ""}
"""Settings of a gateway to which one system sends what a territory would."""


@dataclass(slots=True)
class Sender:
    """The CAF's software: signs each request with its own proof of possession."""

    partner: Partner
    people: list[FictitiousPerson]
    key: ECKey
    token: Token
    recipient: Partner
    """The association, to which everything goes."""
    nonce: str = ""

    @property
    def port(self) -> int:
        """Where its gateway listens."""
        return urlsplit(self.partner.gateway.address).port or 80

    async def requests(self, count: int) -> list[bytes]:
        """
        Whole HTTP requests, ready to be sent within the minute: each a new referral of 2 kB about one of the people.
        """
        await self._refresh()
        address = f"{self.partner.gateway.address}/v1/referrals"
        ath = urlsafe_b64encode(hashlib.sha256(self.token.access_token.encode()).digest()).decode()
        header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self.key.as_dict(private=False)}
        claims = {"htm": "POST", "htu": address, "ath": ath, "nonce": self.nonce, "iat": int(time.time())}
        written = []
        for rank in range(count):
            proof = jwt.encode(header, claims | {"jti": str(uuid.uuid4())}, self.key, algorithms=["ES256"])
            body = json.dumps(referral(self.people[rank % len(self.people)], rank), ensure_ascii=False).encode()
            said = [
                f"Authorization: DPoP {self.token.access_token}",
                f"DPoP: {proof}",
                f"Idempotency-Key: {uuid.uuid4()}",
            ]
            written.append(request(self.port, body, said))
        return written

    async def _refresh(self) -> None:
        """Take a fresh token bound to the key, and the nonce that the gateway wants in proofs now."""
        gateway, http = self.partner.gateway, self.partner.http
        signing = DpopKey(self.key)
        self.token = await fetch_token(
            http,
            issuer=gateway.address,
            client_id=self.partner.client_id,
            private_key_pem=self.partner.pem,
            kid=KID,
            dpop=signing,
        )
        self.nonce = signing.nonce_of(gateway.address)


async def sent(sender: Sender, count: int, connections: int, rate: float | None = None) -> Answered:
    """Sign the proofs, which are good for a minute, then send at once; another thread, so that the tokens stay fresh."""
    requests = await sender.requests(count)
    return await asyncio.to_thread(load, sender.port, requests, connections=connections, rate=rate)


def referral(person: FictitiousPerson, rank: int) -> dict[str, Any]:
    """A referral of 2 kB about a fictitious person, in the shared format."""
    document = {
        "kind": "referral",
        "schema_version": "1.0",
        "id": str(uuid.uuid4()),
        "created_at": "2026-11-23T09:00:00+01:00",
        "sender": {"siret": CAF},
        "recipients": [{"siret": ASSOCIATION}],
        "purpose": "inform_about_rights",
        "subject": {
            "birth_name": person.birth_name,
            "given_names": list(person.given_names),
            "birth_date": person.birth_date,
            "sex": person.sex,
            "phones": ["+33199000030"],
            "address": {"postcode": "39999"},
        },
        "rights": [{"right": "rsa", "state": "to_request"}],
        "urgency": ("normal", "urgent")[rank % 2],
        "notes": "",
    }
    room = _BYTES - len(json.dumps(document, ensure_ascii=False).encode())
    document["notes"] = (_FILLER * (room // len(_FILLER) + 1))[:room]
    return document


def request(port: int, body: bytes, headers: list[str]) -> bytes:
    """One POST /v1/referrals as it goes over the wire."""
    lines = ["POST /v1/referrals HTTP/1.1", f"Host: 127.0.0.1:{port}", "Content-Type: application/json"]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", *headers, "", ""]).encode() + body


@asynccontextmanager
async def territory(gateway: GatewayProcess) -> AsyncIterator[Sender]:
    """Register both partners on a running gateway, sign their convention, record the agreements, and give the sender."""
    async with httpx.AsyncClient(timeout=60) as http:
        caf = await Partner.registered(gateway, http, CAF, "CAF de Valombre", "bench-caf", "shared-json")
        association = await Partner.registered(gateway, http, ASSOCIATION, "Le Relais", "bench-relais", "shared-json")
        model = (files("consent") / "models" / "tznr-caf-association.yaml").read_text(encoding="utf-8")
        # What the bench sends in a minute, a territory sends in a month.
        convention = re.sub(r"(?m)^limits:.*$", "", model).encode()
        await caf.propose(convention)
        for party in (caf, association):
            await party.sign(convention)
        people = [person for person in fictitious_people(PEOPLE, seed=7) if "-00" not in person.birth_date][:PEOPLE]
        at_once = asyncio.Semaphore(_SIGNERS)

        async def agree(person: FictitiousPerson) -> None:
            async with at_once:
                await association.call("POST", "/v1/consents", json=consent(person, association, CAF))

        await asyncio.gather(*map(agree, people))
        key = ECKey.generate_key("P-256")
        yield Sender(caf, people, key, Token("", frozenset(), 0), association)
