"""
A whole gateway in this process with conventions in force, and software that asks it for tokens of every kind.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import httpx
import pytest
import yaml

from consent.conventions.files import read
from gateway.auth.client import client_assertion
from ops.demo.partner import KID, Partner

CAF, DEPARTEMENT, ASSOCIATION, CCAS = "99900001100018", "99900002900010", "99900003700013", "99900004500016"
NAMES = {
    "caf": (CAF, "CAF de Valombre"),
    "departement": (DEPARTEMENT, "Département de Valombre"),
    "association": (ASSOCIATION, "Association Le Relais de Valombre"),
    "ccas": (CCAS, "CCAS de Valombre-Ville"),
}
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
CONVENTION_TYPE = "urn:trait-dunion:token-type:convention"
ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"


@dataclass(slots=True)
class Desk:
    """The gateway and its partners, each with one software."""

    http: httpx.AsyncClient
    running: Any
    partners: dict[str, Partner]
    ids: dict[str, str] = field(default_factory=dict)

    async def ask(self, who: str, **form: str) -> httpx.Response:
        """Ask for a token."""
        partner, address = self.partners[who], self.running.gateway.address
        good = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": client_assertion(partner.client_id, address, partner.pem, KID),
        }
        answer: httpx.Response = await self.http.post(f"{address}/oauth2/token", data=good | form)
        return answer

    async def token(self, who: str, **form: str) -> str:
        """Get a token."""
        answer = await self.ask(who, **form)
        assert 200 == answer.status_code, answer.text
        return str(answer.json()["access_token"])

    async def call(self, token: str, method: str, path: str, **options: Any) -> httpx.Response:
        """Call an address with a token."""
        headers = {"Authorization": f"Bearer {token}"} | options.pop("headers", {})
        answer: httpx.Response = await self.http.request(
            method, self.running.gateway.address + path, headers=headers, **options
        )
        return answer

    async def convention(
        self, first: str, second: str, *, third: str = "", acts_for: dict[str, str] | None = None
    ) -> str:
        """
        Put a convention in force between two or three partners, by name, and return its hash.

        `acts_for` says which party acts for which; the third has no flow of its own.
        """
        text = (files("consent") / "models" / "tznr-caf-departement.yaml").read_text(encoding="utf-8")
        text = text.replace(CAF, "FIRST").replace(DEPARTEMENT, "SECOND")
        text = text.replace("FIRST", NAMES[first][0]).replace("SECOND", NAMES[second][0])
        document = yaml.safe_load(text)
        document["id"] = f"tznr-{uuid.uuid4().hex[:12]}"
        if third:
            document["parties"].append(
                document["parties"][1] | {"siret": NAMES[third][0], "name": NAMES[third][1], "nir_entitled": False}
            )
        for party in document["parties"]:
            for actor, principal in (acts_for or {}).items():
                if party["siret"] == NAMES[actor][0]:
                    party["acts_for"] = NAMES[principal][0]
        written = json.dumps(document, default=str).encode()
        await self.partners[first].propose(written)
        for name in filter(None, (first, second, third)):
            state = await self.partners[name].sign(written)
        assert "valid" == state
        found = read(written)
        self.ids[found.hash] = found.id
        return found.hash


def referral(sender: str, recipient: str, **changes: Any) -> dict[str, Any]:
    """A referral from one partner to another; a property given as `...` is left out."""
    document = {
        "kind": "referral",
        "schema_version": "1.0",
        "id": str(uuid.uuid4()),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "sender": {"siret": NAMES[sender][0]},
        "purpose": "inform_about_rights",
        "recipients": [{"siret": NAMES[recipient][0]}],
        "subject": {
            "birth_name": f"Personne{uuid.uuid4().hex[:8]}",
            "given_names": ["Camille"],
            "birth_date": "1980-05-17",
            "sex": "female",
        },
        "rights": [{"right": "rsa", "state": "to_request"}],
    }
    return {name: value for name, value in (document | changes).items() if value is not ...}


@pytest.fixture
async def desk(in_process: Callable[..., AbstractAsyncContextManager[Any]]) -> AsyncIterator[Desk]:
    """A running gateway with four partners, no convention yet."""
    async with in_process() as running:
        partners = {
            name: await running.partner(siret, title, f"{name}-logiciel") for name, (siret, title) in NAMES.items()
        }
        yield Desk(running.http, running, partners)


@pytest.fixture
def new_referral() -> Any:
    """Make referrals: `new_referral(sender, recipient, **changes)`."""
    return referral
