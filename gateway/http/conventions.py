"""
Conventions by their addresses: propose, read, sign, revoke.
"""

from __future__ import annotations

from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Request

from consent.conventions.checks import ConventionRefused
from consent.conventions.convention import Convention
from consent.conventions.files import ConventionUnreadable, read
from consent.conventions.lifecycle import MarkKind
from consent.conventions.signature import SignatureInvalid, Verified, verify_signature
from consent.ledger.event import EventType
from gateway.auth.registry import get_partner
from gateway.auth.resource import Caller, requires
from gateway.auth.scopes import Scopes
from gateway.errors import Problem, not_found
from gateway.http.bodies import read_body, read_json
from gateway.http.exchanges import Id, services_of
from gateway.records import record_of
from gateway.services import Services
from gateway.store import conventions
from gateway.store.database import Transaction
from schemas import Issue

router = APIRouter(tags=["conventions"])

_LIMIT = 100_000
"""A convention between twenty parties has 30 kB; reading 100 kB of YAML takes half a second."""

Writer = Annotated[Caller, Depends(requires(Scopes.CONVENTION_WRITE))]


@router.post("/v1/conventions", status_code=201)
async def propose(request: Request, caller: Writer) -> dict[str, Any]:
    """Propose a convention, as YAML or JSON, of which one is a party. / Proposer une convention."""
    services = services_of(request)
    convention = await to_thread.run_sync(_read, await read_body(request, _LIMIT))
    if caller.partner not in convention.parties:
        raise Problem(
            "forbidden", "Vous n'êtes pas une partie de cette convention.", "You are not a party of this convention."
        )
    now = services.clock()
    async with services.database.write() as tx:
        if await conventions.add(tx, convention, caller.partner, now):
            await _record(tx, EventType.CONVENTION_PROPOSED, convention, caller, services)
        else:
            same = await conventions.one(tx, convention.id, now, convention.version)
            if same is None or same[0].hash != convention.hash:
                raise Problem(
                    "conflict",
                    "Un autre texte porte déjà cet identifiant et cette version : augmentez la version.",
                    "Another text already has this id and version: increase the version.",
                )
    services.wake()
    return await _shown(convention.id, caller, services)


@router.get("/v1/conventions/{convention_id}")
async def get_convention(convention_id: Id, request: Request, caller: Writer) -> dict[str, Any]:
    """A convention one is a party of: its text, state and signatures. / Lire une convention."""
    return await _shown(convention_id, caller, services_of(request))


@router.post("/v1/conventions/{convention_id}/sign")
async def sign(convention_id: Id, request: Request, caller: Writer) -> dict[str, Any]:
    """Sign, with the JWS made by one's own key; in force once every party has. / Signer une convention."""
    services = services_of(request)
    body = await read_json(request, _LIMIT)
    jws = body.get("jws") if isinstance(body, dict) else None
    if not isinstance(jws, str):
        raise Problem("malformed_request", 'Envoyez {"jws": "…"}.', 'Send {"jws": "…"}.')
    now = services.clock()
    async with services.database.write() as tx:
        convention = await _mine(tx, convention_id, caller, services)
        verified = await _verified(tx, jws, convention, caller)
        if await conventions.sign(tx, convention, caller.partner, verified.kid, jws, now):
            await _record(tx, EventType.CONVENTION_SIGNED, convention, caller, services)
    services.wake()
    return await _shown(convention_id, caller, services)


@router.post("/v1/conventions/{convention_id}/revoke")
async def revoke(convention_id: Id, request: Request, caller: Writer) -> dict[str, Any]:
    """End a convention, or refuse to sign it; what waits under it is stopped. / Mettre fin à une convention."""
    services = services_of(request)
    now = services.clock()
    async with services.database.write() as tx:
        convention = await _mine(tx, convention_id, caller, services)
        proposed = convention.state == "proposed"
        if convention.state not in ("revoked", "rejected"):
            kind = MarkKind.REJECTED if proposed else MarkKind.REVOKED
            await conventions.mark(tx, convention, kind, caller.partner, now)
            event_type = EventType.CONVENTION_REJECTED if proposed else EventType.CONVENTION_REVOKED
            await _record(tx, event_type, convention, caller, services)
    services.wake()
    return await _shown(convention_id, caller, services)


def _read(raw: bytes) -> Convention:
    try:
        return read(raw)
    except ConventionUnreadable as error:
        issue = Issue(error.code, "", error.message_fr, error.message_en, line=error.line, column=error.column)
        raise Problem("convention_invalid", error.message_fr, error.message_en, issues=[issue]) from error
    except ConventionRefused as error:
        raise Problem(
            "convention_invalid",
            "Corrigez les points listés, puis proposez de nouveau la convention.",
            "Correct the points listed, then propose the convention again.",
            issues=error.issues,
        ) from error


async def _mine(tx: Transaction, convention_id: str, caller: Caller, services: Services) -> Convention:
    found = await conventions.one(tx, convention_id, services.clock())
    if found is None or caller.partner not in found[0].parties:
        raise not_found()
    return found[0]


async def _verified(tx: Transaction, jws: str, convention: Convention, caller: Caller) -> Verified:
    partner = await get_partner(tx, caller.partner)
    try:
        verified = verify_signature(jws, dict(convention.document), dict(partner.signing_jwks) if partner else {})
    except SignatureInvalid as error:
        raise Problem("signature_invalid", error.message_fr, error.message_en) from error
    if verified.siret != caller.partner:
        raise Problem(
            "signature_invalid", "Cette signature est celle d'une autre partie.", "This signature is another party's."
        )
    return verified


async def _record(
    tx: Transaction, event_type: EventType, convention: Convention, caller: Caller, services: Services
) -> None:
    body = {
        "convention_id": convention.id,
        "version": convention.version,
        "hash": convention.hash,
        "client_id": caller.client_id,
    }
    await services.ledger.append(
        tx, [record_of(event_type, services.clock(), caller.partner, body, services.vault.own)]
    )


async def _shown(convention_id: str, caller: Caller, services: Services) -> dict[str, Any]:
    async with services.database.read() as tx:
        convention = await _mine(tx, convention_id, caller, services)
        signatures = await conventions.signatures_of(tx, convention)
    return {
        "id": convention.id,
        "version": convention.version,
        "hash": convention.hash,
        "state": convention.state.value,
        "signatures": signatures,
        "convention": convention.document,
    }
