"""
Look for a service of the directory: by theme, by public, by commune, by open places, page by page; declare one's own places.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from consent.ledger.event import EventType
from gateway.auth.resource import Caller, requires
from gateway.auth.scopes import Scopes
from gateway.directory import store
from gateway.directory.capacity import Declaration, declare, today, withdraw
from gateway.errors import Problem, not_found
from gateway.http.bodies import read_members
from gateway.http.state import services_of
from gateway.records import record_of
from gateway.services import Services
from gateway.store.database import Transaction
from schemas import code_list

router = APIRouter(tags=["annuaire"])

Theme = Annotated[
    str | None,
    Query(
        max_length=120,
        description="Une thématique data·inclusion, ou sa catégorie. / A data·inclusion theme, or its category.",
        examples=["sante--acces-aux-soins", "sante"],
    ),
]
Public = Annotated[
    str | None,
    Query(max_length=80, description="Un public data·inclusion. / A data·inclusion public.", examples=["familles"]),
]
Commune = Annotated[
    str | None,
    Query(
        pattern=r"^([013-9][0-9]|2[AB1-9])[0-9]{3}$",
        description="Code Insee : ce qui la dessert, ou s'y trouve. / Insee code: what serves it, or stands there.",
        examples=["39300"],
    ),
]
Capacity = Annotated[
    str | None,
    Query(
        pattern=r"^([0-9]{1,5}|unknown)$",
        description="Places déclarées, au moins, et encore valables ; `unknown` : les services qui n'en déclarent pas. "
        "Un nombre laisse ceux-ci de côté. / Places declared at least and still in force; `unknown`: the services that declare "
        "none, which a number leaves out.",
        examples=["1", "unknown"],
    ),
]
ServiceId = Annotated[str, Path(pattern=r"^[!-~]{1,200}$", description="`source--identifiant`")]
Declarer = Annotated[Caller, Depends(requires(Scopes.DIRECTORY_WRITE))]
Cursor = Annotated[str | None, Query(pattern=r"^[!-~]{1,200}$", description="Le `next` de la page d'avant.")]


@router.get("/v1/services")
async def list_services(
    request: Request,
    caller: Annotated[Caller, Depends(requires(Scopes.DIRECTORY_READ))],
    theme: Theme = None,
    public: Public = None,
    commune: Commune = None,
    capacity: Capacity = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    """
    Services to which a person may be referred, in the order of their ids. / Chercher un service de l'annuaire.

    `capacity` dit les places que l'organisation a déclarées (`PUT …/capacity`), null quand rien n'est déclaré ou ne vaut plus : le
    schéma data·inclusion v1 n'en porte pas. / `capacity`: what the organisation declared, null when nothing is or holds any more.
    """
    del caller  # any partner may look: the directory is public data
    themes = code_list("data_inclusion_thematique")
    _known("theme", theme, {*themes, *(each.partition("--")[0] for each in themes)})
    _known("public", public, set(code_list("data_inclusion_public")))
    services = services_of(request)
    criteria = {"theme": theme, "public": public, "commune": commune, "capacity": capacity}
    async with services.database.read() as tx:
        found = await store.search(tx, today=today(services.clock()), after=cursor or "", limit=limit + 1, **criteria)
    return {"services": found[:limit], "next": found[limit - 1]["id"] if len(found) > limit else None}


@router.get("/v1/services/{service_id}")
async def get_service(
    service_id: ServiceId, request: Request, caller: Annotated[Caller, Depends(requires(Scopes.DIRECTORY_READ))]
) -> dict[str, Any]:
    """One service, with its structure and its open places. / Voir un service de l'annuaire."""
    del caller  # as for the list
    services = services_of(request)
    async with services.database.read() as tx:
        found = await store.one(tx, service_id, today(services.clock()))
    if found is None:
        raise not_found()
    return found


@router.put("/v1/services/{service_id}/capacity")
async def put_capacity(service_id: ServiceId, request: Request, caller: Declarer) -> dict[str, Any]:
    """
    Declare the open places of a service of one's own, until a day that is included. / Déclarer ses places libres.

    La déclaration prend fin d'elle-même ; une nouvelle remplace celle d'avant. / It ends by itself; a new one replaces it.
    """
    services = services_of(request)
    body, now = await read_members(request, 1000, frozenset({"places", "until"})), services.clock()
    declared = Declaration.of(body, now)
    async with services.database.write() as tx:
        await _own(tx, service_id, caller)
        await declare(tx, service_id, declared, caller.partner, now)
        await _record(tx, "capacity_declared", service_id, services, caller, declared.told)
        found = await store.one(tx, service_id, today(now))
    services.wake()
    assert found is not None
    return {"service": service_id, **found["capacity"]}


@router.delete("/v1/services/{service_id}/capacity", status_code=204)
async def delete_capacity(service_id: ServiceId, request: Request, caller: Declarer) -> Response:
    """Take back what was declared: its places are unknown again. / Retirer la déclaration de places."""
    services = services_of(request)
    async with services.database.write() as tx:
        await _own(tx, service_id, caller)
        if await withdraw(tx, service_id):
            await _record(tx, "capacity_withdrawn", service_id, services, caller, {})
    services.wake()
    return Response(status_code=204)


async def _own(tx: Transaction, service_id: str, caller: Caller) -> None:
    """Demand that a service is one of the caller's organisation, or that the caller is the operator."""
    structures = await store.structures_of(tx, [service_id])
    if service_id not in structures:
        raise not_found()
    if structures[service_id] != caller.partner and "administrator" not in caller.roles:
        raise Problem(
            "forbidden",
            "Seule l'organisation qui a le SIRET de la structure déclare les places de ce service ; à défaut, l'opérateur le fait.",
            "Only the organisation with the SIRET of the structure declares the places of this service; failing that, the operator does.",
        )


async def _record(
    tx: Transaction, change: str, service_id: str, services: Services, caller: Caller, more: Mapping[str, Any]
) -> None:
    body = {"change": change, "service": service_id, "client_id": caller.client_id, **more, **caller.acting}
    event = record_of(EventType.CONFIGURATION_CHANGED, services.clock(), caller.partner, body, services.vault.own)
    await services.ledger.append(tx, [event])


def _known(name: str, value: str | None, codes: set[str]) -> None:
    if value is not None and value not in codes:
        raise Problem(
            "malformed_request",
            f"Le paramètre « {name} » n'est pas dans la liste de data·inclusion (/schemas/codes/).",
            f"The parameter “{name}” is not in data·inclusion's list (/schemas/codes/).",
        )
