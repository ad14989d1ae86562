"""The directory as a partner meets it, on both databases: searched page by page, and named by a referral."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from importlib.resources import files
from typing import Any

import pytest
import sqlalchemy as sa

from consent.tables import ledger_events
from gateway.directory.capacity import today
from gateway.directory.reading import read
from gateway.directory.store import replace
from gateway.leftovers import answers
from gateway.records import place
from gateway.store.tables import directory_capacities

pytestmark = pytest.mark.anyio

CAF, DEPARTEMENT, CCAS = "99900001100018", "99900002900010", "99900004500016"
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


async def test_an_organisation_declares_the_places_of_its_services(
    in_process: Callable[..., Any], events_follow_their_schemas: Any
) -> None:
    """The structure's organisation and the operator declare, nobody else; all see it until its day, and the ledger tells it."""
    async with in_process() as started:
        services = started.runtime.services
        caf = await started.partner(CAF, "CAF de Valombre", "caf-valombre")
        departement = await started.partner(DEPARTEMENT, "Département de Valombre", "departement-valombre")
        operator = await started.partner(CCAS, "Opérateur", "operateur", roles=("administrator",))
        structures = [*_STRUCTURES, _DATED | {"id": "valombre--s2", "nom": "Sans SIRET"}]
        offered = [*_SERVICES[:2], _SERVICES[2] | {"structure_id": "valombre--s2"}]
        async with services.database.write() as tx:
            await replace(tx, read(json.dumps(structures).encode(), json.dumps(offered).encode()))
        until = today(services.clock() + timedelta(days=30))
        path = "/v1/services/valombre--{}/capacity"

        told = await departement.call("PUT", path.format(1), json={"places": 4, "until": until})
        await departement.call("PUT", path.format(2), json={"places": 0, "until": until})
        await operator.call("PUT", path.format(3), json={"places": 1, "until": until})
        assert (4, until, DEPARTEMENT) == tuple(told.json()[name] for name in ("places", "until", "declared_by"))
        for who, number in ((caf, 1), (departement, 3)):
            for method in ("PUT", "DELETE"):
                body = {"json": {"places": 9, "until": until}} if method == "PUT" else {}
                answer = await who.call(method, path.format(number), expect=(403,), **body)
                assert "forbidden" == answer.json()["code"]
        await departement.call("PUT", path.format(404), json={"places": 1, "until": until}, expect=(404,))
        for wrong in ({"places": 1}, {"places": 1, "until": "2020-01-01"}, {"places": 1, "until": until, "délai": 2}):
            await departement.call("PUT", path.format(1), json=wrong, expect=(400,))

        async def found(capacity: str) -> list[str]:
            page = (await caf.call("GET", f"/v1/services?theme=sante&capacity={capacity}")).json()
            return [each["id"].removeprefix("valombre--") for each in page["services"]]

        assert [["1", "3"], ["1"], []] == [await found(each) for each in ("1", "2", "unknown")]
        await caf.call("GET", "/v1/services?capacity=beaucoup", expect=(400,))
        assert 4 == (await caf.call("GET", "/v1/services/valombre--1")).json()["capacity"]["places"]
        await departement.call("DELETE", path.format(1), expect=(204,))
        await departement.call("DELETE", path.format(1), expect=(204,))
        assert (await caf.call("GET", "/v1/services/valombre--1")).json()["capacity"] is None
        await caf.call("GET", "/v1/services/valombre--404", expect=(404,))
        assert ["1"] == await found("unknown")

        async with services.database.read() as tx:
            query = sa.select(ledger_events).where(ledger_events.c.type == "configuration_changed")
            rows = (await tx.execute(query.order_by(ledger_events.c.seq))).all()
        bodies = [json.loads(services.vault.own.open(row.sealed, place(row.id)))["body"] for row in rows]
        assert [
            ("capacity_declared", 4),
            ("capacity_declared", 0),
            ("capacity_declared", 1),
            ("capacity_withdrawn", None),
        ] == [(each["change"], each.get("places")) for each in bodies if each["change"].startswith("capacity")]
        await events_follow_their_schemas(services)

        later = services.clock() + timedelta(days=40)
        await answers(services, later, 100)
        async with services.database.read() as tx:
            assert not (await tx.execute(sa.select(directory_capacities))).all()
