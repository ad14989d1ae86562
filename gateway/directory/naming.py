"""
A referral to a service of the directory: the service must be known, and its structure is the organisation it goes to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from gateway.crossing import Crossing
from gateway.directory import store
from gateway.store.database import Transaction
from schemas import Issue

_SERVICE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}--.+")

Named = tuple[str, str, dict[str, Any] | None]
"""A service id, the pointer where it stands, and the recipient to complete, if it is one without SIRET."""


async def name_recipients(tx: Transaction, crossings: Sequence[Crossing]) -> None:
    """
    Check the services that documents name, and give their recipients the SIRET of the structure.

    A gateway without a directory knows of no service, and says nothing: the document is left as it is.
    """
    asked = [(crossing, list(_named(crossing.document))) for crossing in crossings]
    ids = [service for _, named in asked for service, _, _ in named]
    if not ids or not await store.filled(tx):
        return
    known = await store.structures_of(tx, ids)
    for crossing, named in asked:
        for service, pointer, recipient in named:
            siret = known.get(service)
            if service not in known:
                crossing.issues.append(_unknown(pointer, crossing.line))
            elif recipient is not None and siret is None:
                crossing.issues.append(_without_siret(pointer, crossing.line))
            elif recipient is not None:
                recipient["siret"] = siret


def _named(document: dict[str, Any]) -> Iterator[Named]:
    for index, recipient in enumerate(document.get("recipients", ())):
        if "siret" not in recipient:
            yield recipient["service"], f"/recipients/{index}/service", recipient
    service = document.get("target_service", {}).get("service", "")
    if _SERVICE.fullmatch(service):
        yield service, "/target_service/service", None


def _unknown(pointer: str, line: int | None) -> Issue:
    return Issue(
        "service_unknown",
        pointer,
        "Ce service n'est pas dans l'annuaire de cette passerelle : cherchez-le par GET /v1/services, ou nommez l'organisation par son SIRET.",
        "This service is not in the directory of this gateway: look for it with GET /v1/services, or name the organisation by its SIRET.",
        line=line,
    )


def _without_siret(pointer: str, line: int | None) -> Issue:
    return Issue(
        "service_unknown",
        pointer,
        "L'annuaire ne connaît pas le SIRET de la structure de ce service : nommez l'organisation par son SIRET.",
        "The directory does not know the SIRET of the structure of this service: name the organisation by its SIRET.",
        line=line,
    )
