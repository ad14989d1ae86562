"""The directory as a partner meets it, on both databases: searched page by page, and named by a referral."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest

from gateway.directory.reading import read
from gateway.directory.store import replace

pytestmark = pytest.mark.anyio

CAF, DEPARTEMENT = "99900001100018", "99900002900010"
_CONVENTION = (files("consent") / "models" / "tznr-caf-departement.yaml").read_bytes()
_DATED = {"source": "valombre", "date_maj": "2026-01-15"}
_STRUCTURES = [_DATED | {"id": "valombre--s1", "nom": "Maison fictive des solidarités", "siret": DEPARTEMENT}]
_SERVICES = [
    _DATED
    | {
        "id": f"valombre--{number}",
        "structure_id": "valombre--s1",
        "nom": f"Service fictif {number}",
        "description": "Un service inventé pour les essais.",
        "thematiques": ["sante--acces-aux-soins"],
        "zone_eligibilite": ["39"],
    }
    for number in range(1, 4)
]


def _referral(service: str) -> dict[str, Any]:
    return {
        "kind": "referral",
        "schema_version": "1.0",
        "id": str(uuid.uuid4()),
        "created_at": "2026-11-23T09:00:00+01:00",
        "sender": {"siret": CAF},
        "recipients": [{"service": service}],
        "purpose": "inform_about_rights",
        "subject": {"birth_name": "Personne", "given_names": ["Camille"], "birth_date": "1980-05-17", "sex": "female"},
        "rights": [{"right": "rsa", "state": "to_request"}],
    }


async def test_a_partner_finds_a_service_and_refers_to_it(in_process: Callable[..., Any]) -> None:
    """Pages follow each other without loss, a wrong criterion is refused, a referral reaches the structure of its service."""
    async with in_process() as started:
        caf = await started.partner(CAF, "CAF de Valombre", "caf-valombre")
        departement = await started.partner(DEPARTEMENT, "Département de Valombre", "departement-valombre")
        await caf.propose(_CONVENTION)
        await caf.sign(_CONVENTION)
        await departement.sign(_CONVENTION)
        async with started.runtime.services.database.write() as tx:
            await replace(tx, read(json.dumps(_STRUCTURES).encode(), json.dumps(_SERVICES).encode()))

        first = (await caf.call("GET", "/v1/services?theme=sante&commune=39300&limit=2")).json()
        second = (await caf.call("GET", f"/v1/services?theme=sante&limit=2&cursor={first['next']}")).json()
        refused = [
            (await caf.call("GET", f"/v1/services?{wrong}", expect=(400,))).json()["code"]
            for wrong in ("theme=inventee", "public=inventes", "commune=valombre", "limit=0")
        ]
        assert ["valombre--1", "valombre--2", "valombre--3"] == [
            each["id"] for page in (first, second) for each in page["services"]
        ]
        assert (None, {"malformed_request"}) == (second["next"], set(refused))
        assert 401 == (await started.http.get("http://127.0.0.1:8080/v1/services")).status_code

        unknown = await caf.call("POST", "/v1/referrals", json=_referral("valombre--404"), expect=(422,))
        assert ("service_unknown", "/recipients/0/service") == (
            unknown.json()["code"],
            unknown.json()["errors"][0]["pointer"],
        )
        taken = (await caf.call("POST", "/v1/referrals", json=_referral("valombre--2"), expect=(202,))).json()
        assert [(DEPARTEMENT, "permitted")] == [
            (each["siret"], each["state"]) for each in taken["exchanges"][0]["recipients"]
        ]
        [delivery] = await departement.pull(1)
        assert {"service": "valombre--2", "siret": DEPARTEMENT} == delivery["document"]["recipients"][0]
