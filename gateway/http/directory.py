"""
Look for a service of the directory: by theme, by public, by commune, page by page.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from gateway.auth.resource import Caller, requires
from gateway.auth.scopes import Scopes
from gateway.directory import store
from gateway.errors import Problem
from gateway.http.exchanges import services_of
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
Cursor = Annotated[str | None, Query(pattern=r"^[!-~]{1,200}$", description="Le `next` de la page d'avant.")]


@router.get("/v1/services")
async def list_services(
    request: Request,
    caller: Annotated[Caller, Depends(requires(Scopes.DIRECTORY_READ))],
    theme: Theme = None,
    public: Public = None,
    commune: Commune = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    """
    Services to which a person may be referred, in the order of their ids. / Chercher un service de l'annuaire.

    Ni places disponibles ni délai : le schéma public data·inclusion v1 n'en porte pas. / No capacity: the schema v1 has none.
    """
    del caller  # any partner may look: the directory is public data
    themes = code_list("data_inclusion_thematique")
    _known("theme", theme, {*themes, *(each.partition("--")[0] for each in themes)})
    _known("public", public, set(code_list("data_inclusion_public")))
    async with services_of(request).database.read() as tx:
        found = await store.search(tx, theme=theme, public=public, commune=commune, after=cursor or "", limit=limit + 1)
    return {"services": found[:limit], "next": found[limit - 1]["id"] if len(found) > limit else None}


def _known(name: str, value: str | None, codes: set[str]) -> None:
    if value is not None and value not in codes:
        raise Problem(
            "malformed_request",
            f"Le paramètre « {name} » n'est pas dans la liste de data·inclusion (/schemas/codes/).",
            f"The parameter “{name}” is not in data·inclusion's list (/schemas/codes/).",
        )
