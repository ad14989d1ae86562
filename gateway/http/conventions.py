"""
Conventions by their addresses: propose, read, sign, suspend, resume, revoke.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

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
from gateway.http.convention_pages import PRINTED, EntryForm, Form, printed, registered, wanted
from gateway.http.exchanges import Id, IdempotencyKey, attempt_of
from gateway.http.state import services_of
from gateway.records import record_of
from gateway.services import Services
from gateway.store import conventions, idempotency
from gateway.store.database import Transaction
from schemas import Issue

router = APIRouter(tags=["conventions"])

_LIMIT = 100_000
"""A convention between twenty parties has 30 kB; reading 100 kB of YAML takes half a second."""

Writer = Annotated[Caller, Depends(requires(Scopes.CONVENTION_WRITE))]

Version = Annotated[
    int | None, Query(ge=1, le=10_000, description="Par défaut la plus récente. / By default the newest.")
]

_EVENTS = {
    MarkKind.REJECTED: EventType.CONVENTION_REJECTED,
    MarkKind.REVOKED: EventType.CONVENTION_REVOKED,
    MarkKind.SUSPENDED: EventType.CONVENTION_SUSPENDED,
    MarkKind.RESUMED: EventType.CONVENTION_RESUMED,
}
"""The event that each mark leaves in the ledger."""


@router.post("/v1/conventions", status_code=201)
async def propose(request: Request, caller: Writer, key: IdempotencyKey = None) -> Response:
    """Propose a convention, as YAML or JSON, of which one is a party. / Proposer une convention."""
    services = services_of(request)
    raw = await read_body(request, _LIMIT)
    attempt = attempt_of(request, caller, key, raw)
    convention = await to_thread.run_sync(_read, raw)
    if caller.partner not in convention.parties:
        raise Problem(
            "forbidden", "Vous n'êtes pas une partie de cette convention.", "You are not a party of this convention."
        )
    async with services.database.write() as tx:
        await conventions.hold(tx)
        answer = await idempotency.earlier_answer(tx, attempt)
        if answer is None:
            now = services.clock()
            await _may_follow(tx, convention, caller)
            if await conventions.add(tx, convention, caller.partner, now):
                await _record(tx, EventType.CONVENTION_PROPOSED, convention, caller, services, now)
            answer = await _told(tx, convention.id, caller, convention.version, now)
            await idempotency.keep_answer(tx, attempt, answer, now, 201)
    services.wake()
    return JSONResponse(answer, 201)


@router.get("/v1/conventions/{convention_id}", response_model=None, responses={200: {"content": PRINTED}})
async def get_convention(
    convention_id: Id, request: Request, caller: Writer, version: Version = None, form: Form = None
) -> dict[str, Any] | Response:
    """A convention one is a party of: its text, state and signatures; or its page to read, to print. / Lire une convention."""
    services = services_of(request)
    if (chosen := wanted(request, form)) == "json":
        return await _shown(convention_id, caller, services, version)
    return await printed(await _read_by(convention_id, caller, services, version), chosen)


@router.get(
    "/v1/conventions/{convention_id}/register", response_model=None, responses={200: {"content": {"text/html": {}}}}
)
async def get_register_entry(
    convention_id: Id, request: Request, caller: Writer, version: Version = None, form: EntryForm = None
) -> Response:
    """The entry of the register of processing, RGPD art. 30, for the parties. / La fiche du registre des traitements."""
    convention = await _read_by(convention_id, caller, services_of(request), version)
    return await registered(convention, wanted(request, form, pdf=False))


@router.post("/v1/conventions/{convention_id}/sign")
async def sign(convention_id: Id, request: Request, caller: Writer, version: Version = None) -> dict[str, Any]:
    """Sign, with the JWS made by one's own key; in force once every party has. / Signer une convention."""
    services = services_of(request)
    body = await read_json(request, _LIMIT)
    jws = body.get("jws") if isinstance(body, dict) else None
    if not isinstance(jws, str):
        raise Problem("malformed_request", 'Envoyez {"jws": "…"}.', 'Send {"jws": "…"}.')
    async with services.database.write() as tx:
        await conventions.hold(tx)
        now = services.clock()
        convention = (await _mine(tx, convention_id, caller, version))[0].convention
        verified = await _verified(tx, jws, convention, caller)
        if await conventions.sign(tx, convention, caller.partner, verified.kid, jws, now):
            await _record(tx, EventType.CONVENTION_SIGNED, convention, caller, services, now)
    services.wake()
    return await _shown(convention_id, caller, services, version)


@router.post("/v1/conventions/{convention_id}/revoke")
async def revoke(convention_id: Id, request: Request, caller: Writer, version: Version = None) -> dict[str, Any]:
    """End a convention, or refuse to sign it; what waits under it is stopped. / Mettre fin à une convention."""
    services = services_of(request)
    async with services.database.write() as tx:
        await conventions.hold(tx)
        now = services.clock()
        convention = (await _mine(tx, convention_id, caller, version))[0].at(now)
        if convention.state not in ("revoked", "rejected"):
            proposed = convention.state == "proposed"
            kind = MarkKind.REJECTED if proposed else MarkKind.REVOKED
            await conventions.mark(tx, convention, kind, caller.partner, now)
            await _record(tx, _EVENTS[kind], convention, caller, services, now)
    services.wake()
    return await _shown(convention_id, caller, services, version)


@router.post("/v1/conventions/{convention_id}/suspend")
async def suspend(convention_id: Id, request: Request, caller: Writer, version: Version = None) -> dict[str, Any]:
    """Suspend a convention: nothing leaves under it until the same party resumes it. / Suspendre une convention."""
    services = services_of(request)
    async with services.database.write() as tx:
        await conventions.hold(tx)
        now = services.clock()
        running = [record for record in await _mine(tx, convention_id, caller, version) if _running(record, now)]
        if not running:
            raise Problem(
                "conflict",
                "Seule une convention en vigueur peut être suspendue ; une convention proposée se refuse (revoke).",
                "Only a convention in force can be suspended; a proposed one is refused (revoke).",
            )
        for record in running:
            if caller.partner not in record.suspended_by(now):
                await conventions.mark(tx, record.convention, MarkKind.SUSPENDED, caller.partner, now)
                await _record(tx, _EVENTS[MarkKind.SUSPENDED], record.convention, caller, services, now)
    services.wake()
    return await _shown(convention_id, caller, services, running[0].convention.version)


@router.post("/v1/conventions/{convention_id}/resume")
async def resume(convention_id: Id, request: Request, caller: Writer, version: Version = None) -> dict[str, Any]:
    """Lift one's own suspension of a convention; another party's still stands. / Rétablir une convention que l'on a suspendue."""
    services = services_of(request)
    async with services.database.write() as tx:
        await conventions.hold(tx)
        now = services.clock()
        running = [record for record in await _mine(tx, convention_id, caller, version) if _running(record, now)]
        mine = [record for record in running if caller.partner in record.suspended_by(now)]
        if not mine and not any(record.at(now).state == "valid" for record in running):
            raise Problem(
                "conflict",
                "Vous n'avez pas suspendu cette convention : seule la partie qui l'a suspendue peut la rétablir.",
                "You did not suspend this convention: only the party that suspended it can resume it.",
            )
        for record in mine:
            await conventions.mark(tx, record.convention, MarkKind.RESUMED, caller.partner, now)
            await _record(tx, _EVENTS[MarkKind.RESUMED], record.convention, caller, services, now)
    services.wake()
    return await _shown(convention_id, caller, services, running[0].convention.version)


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


async def _may_follow(tx: Transaction, convention: Convention, caller: Caller) -> None:
    """
    Refuse another text under an id and version that are taken, and a version from somebody who is no party of the earlier ones.

    A newer version replaces the older ones: nobody may put theirs in the place of a convention of others.
    """
    earlier = await conventions.versions(tx, convention.id)
    if not earlier:
        return
    if not any(caller.partner in record.convention.parties for record in earlier):
        raise Problem(
            "conflict",
            "Cet identifiant est celui d'une autre convention : choisissez-en un autre.",
            "This id is that of another convention: choose another one.",
        )
    same = [record.convention for record in earlier if record.convention.version == convention.version]
    if same and same[0].hash != convention.hash:
        raise Problem(
            "conflict",
            "Un autre texte porte déjà cet identifiant et cette version : augmentez la version.",
            "Another text already has this id and version: increase the version.",
        )


async def _mine(tx: Transaction, convention_id: str, caller: Caller, version: int | None) -> list[conventions.Record]:
    """The versions of a convention (or the one asked for) of which the caller is a party, newest first; raises not_found."""
    found = [
        record
        for record in await conventions.versions(tx, convention_id, caller.partner)
        if caller.partner in record.convention.parties and version in (None, record.convention.version)
    ]
    if not found:
        raise not_found()
    return found


def _running(record: conventions.Record, now: datetime) -> bool:
    return record.at(now).state in ("valid", "suspended")


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
    tx: Transaction,
    event_type: EventType,
    convention: Convention,
    caller: Caller,
    services: Services,
    now: datetime,
) -> None:
    """Record what was done, at the instant that its own row carries: by this the two are matched when a decision is replayed."""
    body = {
        "convention_id": convention.id,
        "version": convention.version,
        "hash": convention.hash,
        "client_id": caller.client_id,
    }
    await services.ledger.append(tx, [record_of(event_type, now, caller.partner, body, services.vault.own)])


async def _read_by(convention_id: str, caller: Caller, services: Services, version: int | None) -> Convention:
    async with services.database.read() as tx:
        return (await _mine(tx, convention_id, caller, version))[0].convention


async def _shown(convention_id: str, caller: Caller, services: Services, version: int | None) -> dict[str, Any]:
    async with services.database.read() as tx:
        return await _told(tx, convention_id, caller, version, services.clock())


async def _told(
    tx: Transaction, convention_id: str, caller: Caller, version: int | None, now: datetime
) -> dict[str, Any]:
    record = (await _mine(tx, convention_id, caller, version))[0]
    convention = record.at(now)
    signatures = await conventions.signatures_of(tx, convention)
    return {
        "id": convention.id,
        "version": convention.version,
        "hash": convention.hash,
        "state": convention.state.value,
        "suspended_by": sorted(record.suspended_by(now)),
        "signatures": signatures,
        "convention": convention.document,
    }
