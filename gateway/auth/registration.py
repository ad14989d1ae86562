"""
Dynamic registration (RFC 7591) and its management (RFC 7592): an invited partner registers its systems by itself.

A registration, its event in the ledger and the use of the invitation are one transaction. What a system may do still comes
from the conventions of its partner; the operator's part is the invitation, which says whose systems these are and under
which profile. authlib's own endpoints for this are synchronous and leave every step to be written: these are the steps.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from adapters.registry import ADAPTERS
from gateway.auth import client_metadata
from gateway.auth.authority import Auth
from gateway.auth.client_metadata import Described
from gateway.auth.errors import RegistrationRefused
from gateway.auth.invitations import take_up
from gateway.auth.metadata import REGISTER
from gateway.auth.profile import Method
from gateway.auth.refusal import Refusal
from gateway.auth.registry import System, add_system, change_system, digest, disable_system, get_system
from gateway.errors import Problem
from gateway.http.bodies import read_json
from gateway.store.database import Transaction
from gateway.store.tables import systems
from schemas import MalformedJson

_MAX_BYTES = 65_536
_NOT_THEIRS = frozenset(
    {"registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"}
)
"""What an update must not hold (RFC 7592 section 2.2)."""

_Answer = tuple[int, dict[str, Any] | None]


def add_routes(router: APIRouter, auth: Auth) -> None:
    """Add the addresses of registration to the authorization server's."""
    registrar = Registrar(auth)

    @router.post(REGISTER, status_code=201, summary="Enregistrer un logiciel, sur invitation (RFC 7591)")
    async def register(request: Request) -> Response:
        return await _answered(registrar.register(request))

    @router.get(REGISTER + "/{client_id}", summary="Relire l'enregistrement de son logiciel (RFC 7592)")
    async def read(client_id: str, request: Request) -> Response:
        return await _answered(registrar.read(request, client_id))

    @router.put(REGISTER + "/{client_id}", summary="Changer l'enregistrement de son logiciel (RFC 7592)")
    async def update(client_id: str, request: Request) -> Response:
        return await _answered(registrar.update(request, client_id))

    @router.delete(REGISTER + "/{client_id}", status_code=204, summary="Retirer son logiciel (RFC 7592)")
    async def remove(client_id: str, request: Request) -> Response:
        return await _answered(registrar.remove(request, client_id))


class Registrar:
    """The four operations; each raises `Refusal`, `RegistrationRefused` or `Problem`."""

    def __init__(self, auth: Auth) -> None:
        self._auth = auth

    async def register(self, request: Request) -> _Answer:
        """Register a system of the partner that was invited."""
        invitation, metadata = _bearer(request), await _metadata(request)
        now = self._auth.clock()
        token, client_id = secrets.token_urlsafe(32), f"sys-{secrets.token_hex(8)}"
        async with self._auth.database.write(beyond="it is registered before it has a token") as tx:
            invited = await take_up(tx, invitation, now)
            if invited is None:
                raise _unknown_token()
            described = _known_format(client_metadata.read(metadata, invited.security))
            secret = secrets.token_urlsafe(32) if described.security.method is Method.SECRET else None
            system = await add_system(
                tx,
                client_id=client_id,
                partner=invited.partner,
                name=described.name,
                jwks=described.jwks,
                adapter=described.adapter,
                security=described.security,
                secret=secret,
                registration_token=token,
                now=now,
            )
            await self._tell(tx, system, "system_registered")
        extra = {"client_id_issued_at": int(time.time()), "registration_access_token": token}
        if secret:
            extra |= {"client_secret": secret, "client_secret_expires_at": 0}
        return 201, self._shown(system) | extra

    async def read(self, request: Request, client_id: str) -> _Answer:
        """Give back what is registered."""
        async with self._auth.database.read() as tx:
            return 200, self._shown(await self._own(tx, request, client_id))

    async def update(self, request: Request, client_id: str) -> _Answer:
        """Replace the registration by another one, whole; the system stays its partner's, under the same rules."""
        metadata = await _metadata(request)
        async with self._auth.database.write(beyond="it is registered before it has a token") as tx:
            system = await self._own(tx, request, client_id)
            if metadata.get("client_id") != client_id or _NOT_THEIRS & metadata.keys() or "client_secret" in metadata:
                raise Refusal(
                    "invalid_request",
                    "La mise à jour porte le client_id et ce qui change, sans ce que seul le serveur donne.",
                    "The update holds the client_id and what changes, without what only the server gives.",
                )
            described = _known_format(client_metadata.read(metadata, system.security))
            if (described.security.method is Method.SECRET) != (system.security.method is Method.SECRET):
                raise client_metadata.refused(
                    "Un logiciel ne passe pas d'un secret à une clé : enregistrez-en un autre.",
                    "A client does not go from a secret to a key: register another one.",
                )
            changed = await change_system(
                tx,
                system,
                name=described.name,
                jwks=described.jwks,
                adapter=described.adapter,
                security=described.security,
            )
            await self._tell(tx, changed, "system_updated")
        return 200, self._shown(changed)

    async def remove(self, request: Request, client_id: str) -> _Answer:
        """Shut the system out, as the operator would."""
        async with self._auth.database.write(beyond="it is registered before it has a token") as tx:
            system = await self._own(tx, request, client_id)
            await disable_system(tx, client_id, self._auth.clock())
            await self._tell(tx, system, "system_disabled")
        return 204, None

    async def _own(self, tx: Transaction, request: Request, client_id: str) -> System:
        """Find the system whose registration token came with the request; one answer for all others (RFC 7592 section 2)."""
        token = digest(_bearer(request))
        query = sa.select(systems.c.client_id).where(systems.c.registration_token == token)
        if (await tx.execute(query)).scalar() != client_id:
            raise _unknown_token()
        system = await get_system(tx, client_id)
        if system is None or system.disabled:
            raise _unknown_token()
        return system

    async def _tell(self, tx: Transaction, system: System, change: str) -> None:
        body = {"change": change, "client_id": system.client_id, "security": system.security.as_json()}
        await self._auth.on_change(tx, system.partner, body)

    def _shown(self, system: System) -> dict[str, Any]:
        address = f"{self._auth.issuer}{REGISTER}/{system.client_id}"
        return client_metadata.written(system) | {"registration_client_uri": address}


def _known_format(described: Described) -> Described:
    if described.adapter not in ADAPTERS:
        known = ", ".join(sorted(ADAPTERS))
        raise client_metadata.refused(f"adapter possible : {known}.", f"Possible adapter: {known}.")
    return described


async def _answered(operation: Any) -> Response:
    try:
        status, body = await operation
    except Refusal as refusal:
        status, body, headers = refusal()
        return JSONResponse(body, status, dict(headers))
    except RegistrationRefused as error:
        status, body, headers = client_metadata.refused(error.message_fr, error.message_en)()
        return JSONResponse(body, status, dict(headers))
    kept_by_nobody = {"Cache-Control": "no-store", "Pragma": "no-cache"}
    return (
        Response(status_code=204, headers=kept_by_nobody)
        if body is None
        else JSONResponse(body, status, kept_by_nobody)
    )


async def _metadata(request: Request) -> dict[str, Any]:
    try:
        body = await read_json(request, _MAX_BYTES)
    except Problem as problem:
        raise Refusal(
            "invalid_client_metadata",
            problem.detail_fr,
            problem.detail_en,
            status=problem.status,
            headers=problem.headers,
        ) from problem
    except MalformedJson as error:
        raise client_metadata.refused(error.message_fr, error.message_en) from error
    if not isinstance(body, dict):
        raise client_metadata.refused("Envoyez un objet JSON.", "Send a JSON object.")
    return body


def _bearer(request: Request) -> str:
    sent = request.headers.getlist("authorization")
    scheme, _, token = (sent[0] if len(sent) == 1 else "").partition(" ")
    if scheme.lower() != "bearer" or not 20 <= len(token) <= 200:
        raise _unknown_token()
    return token


def _unknown_token() -> Refusal:
    return Refusal(
        "invalid_token",
        "Le jeton d'enregistrement est absent, inconnu, expiré ou épuisé : demandez une invitation à l'exploitant.",
        "The registration token is missing, unknown, expired or used up: ask the operator for an invitation.",
        status=401,
        headers={"WWW-Authenticate": 'Bearer realm="registration", error="invalid_token"'},
    )
