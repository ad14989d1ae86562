"""
Which scopes a system may ask for, from its roles and from the conventions in force of its partner; and which of these
conventions its tokens name, so that nobody sends under a text that has changed without having taken note of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from consent.conventions.collection import Conventions
from consent.conventions.convention import Convention
from gateway.auth.caller import Caller
from gateway.auth.details import ExchangeDetail
from gateway.auth.registry import System
from gateway.auth.rights import NOTHING, Granted
from gateway.auth.scopes import SMART, Scopes
from gateway.auth.signed_requests import ACCEPT
from gateway.errors import Problem
from gateway.services import Services
from gateway.store.database import Transaction
from schemas import Kind

MAX_HASHES: Final = 40
"""Hashes in a token. With more it would outgrow the header limits of common proxies: one digest then stands for them all."""

_OF_ROLE = {
    "partner": frozenset(
        {
            Scopes.MAILBOX_READ,
            Scopes.DELIVERY_MANAGE,
            Scopes.EXCHANGE_READ,
            Scopes.DIRECTORY_READ,
            Scopes.DIRECTORY_WRITE,
            Scopes.CONVENTION_WRITE,
            Scopes.CONSENT_SEND,
            Scopes.VALIDATE,
        }
    ),
    "auditor": frozenset({Scopes.LEDGER_READ, Scopes.BREAK_GLASS_REVIEW}),
    "administrator": frozenset(
        {Scopes.CONVENTION_WRITE, Scopes.PERSON_MANAGE, Scopes.VALIDATE, Scopes.DIRECTORY_READ, Scopes.DIRECTORY_WRITE}
    ),
}

_OF_KIND = {
    Kind.REFERRAL: frozenset({Scopes.REFERRAL_SEND, Scopes.INBOUND_SEND}),
    Kind.BILAN: frozenset({Scopes.BILAN_SEND, Scopes.INBOUND_SEND}),
    Kind.STATUS: frozenset({Scopes.STATUS_SEND}),
}


class ConventionRights:
    """
    The rule for the authorization server (`gateway.auth.rights.Rights`).

    A partner may send a kind of document only if a convention in force has a flow of that kind from it: without one,
    the scope does not exist for it, before any gate is asked.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def own(self, tx: Transaction, system: System) -> Granted:
        """What a system may do for its own partner: by its roles, and by the flows from its partner."""
        conventions, now = await self._known(tx)
        scopes = {scope for role in system.roles for scope in _OF_ROLE[role]}
        if "partner" in system.roles:
            in_force = tuple(conventions.in_force(system.partner, now))
            scopes |= _sending(in_force, system.partner) | _in_emergency(in_force, system.partner)
        return _granted(scopes, claimed(conventions, system.partner, now))

    async def delegated(self, tx: Transaction, system: System, principal: str) -> Granted:
        """
        What a system may do in another partner's name: send what the conventions say in which its own acts for that one.

        What no convention cuts (its mailbox, its exchanges) only if its partner acts for it in every convention in force.
        """
        conventions, now = await self._known(tx)
        whole = list(conventions.in_force(principal, now))
        entrusted = [convention for convention in whole if _acts_for(convention, system.partner) == principal]
        if "partner" not in system.roles or not entrusted:
            return NOTHING
        scopes = _sending(entrusted, principal) | {Scopes.VALIDATE}
        if len(entrusted) == len(whole):
            scopes |= {Scopes.MAILBOX_READ, Scopes.EXCHANGE_READ}
        return _granted(scopes, sorted({convention.hash for convention in entrusted}))

    async def principal(self, tx: Transaction, system: System, convention: str) -> str | None:
        """Whom the system's partner acts for under the convention of that hash."""
        conventions, now = await self._known(tx)
        named = [each for each in conventions.in_force(system.partner, now) if each.hash == convention]
        return _acts_for(named[0], system.partner) if named else None

    async def routed(self, tx: Transaction, sender: str, detail: ExchangeDetail) -> bool:
        """Whether a convention in force has a flow for this kind and purpose to each of the recipients."""
        conventions, now = await self._known(tx)
        return detail.recipients <= set(conventions.routes(detail.kind, sender, detail.purpose, now))

    async def _known(self, tx: Transaction) -> tuple[Conventions, datetime]:
        now = self._services.clock()
        return await self._services.conventions.in_force(tx, now), now


def claimed(conventions: Conventions, partner: str, now: datetime) -> tuple[str, ...]:
    """
    What a token of a partner says of the conventions in force at an instant: their hashes, sorted.

    Beyond MAX_HASHES, one text `all:` and the SHA-256 of these hashes, one a line: any change then asks for a new token.
    """
    hashes = sorted({convention.hash for convention in conventions.in_force(partner, now)})
    if len(hashes) <= MAX_HASHES:
        return tuple(hashes)
    return ("all:" + hashlib.sha256("\n".join(hashes).encode()).hexdigest(),)


def demand_current(caller: Caller, used: Iterable[str], conventions: Conventions, now: datetime) -> None:
    """
    Demand that the caller's token names the conventions (by hash) that let its documents leave.

    Raises `Problem` convention_outdated (401) otherwise: the client takes a new token, as it does for one that expired, and
    sends the same again; nothing was recorded.
    """
    if caller.conventions is None or caller.conventions.issuperset(used):
        return
    # The one digest can only be compared with that of the conventions in force now.
    if len(caller.conventions) == 1 and caller.conventions == set(claimed(conventions, caller.partner, now)):
        return
    raise Problem(
        "convention_outdated",
        "La convention qui décide de cet envoi a changé depuis votre jeton. Prenez un nouveau jeton, puis renvoyez : rien n'a été enregistré.",
        "The convention that decides this transmission has changed since your token. Take a new token, then send again: nothing was recorded.",
        headers={"WWW-Authenticate": 'Bearer error="invalid_token", error_description="convention_outdated"'},
    )


def demand_signed(caller: Caller, used: Iterable[str], conventions: Conventions) -> None:
    """
    Demand a signed request (RFC 9421) where one of the conventions (by hash) that let its documents leave says so.

    Raises `Problem` signature_required (401): nothing was recorded, the same is signed and sent again.
    """
    if not caller.unsigned:
        return
    found = [convention for each in sorted(used) if (convention := conventions.of_hash(each))]
    demanding = [convention.id for convention in found if convention.signed_requests]
    if demanding:
        raise Problem(
            "signature_required",
            f"La convention {demanding[0]} demande des requêtes signées (RFC 9421). Signez celle-ci comme l'indique Accept-Signature, avec la clé de vos assertions, puis renvoyez : rien n'a été enregistré.",
            f"The convention {demanding[0]} demands signed requests (RFC 9421). Sign this one as Accept-Signature says, with the key of your assertions, then send again: nothing was recorded.",
            headers={"Accept-Signature": ACCEPT},
            extra={"convention": demanding[0]},
        )


def _granted(scopes: Iterable[Scopes], conventions: Sequence[str]) -> Granted:
    """With a reader's scope come its parts, under the names that FHIR clients know."""
    given = set(scopes)
    if Scopes.EXCHANGE_READ in given:
        given |= SMART
    return Granted(frozenset(scope.value for scope in given), conventions)


def _sending(conventions: Iterable[Convention], sender: str) -> set[Scopes]:
    flows = [flow for convention in conventions for flow in convention.flows if flow.sender == sender]
    return {scope for flow in flows for scope in _OF_KIND.get(flow.kind, ())}


def _in_emergency(conventions: Iterable[Convention], partner: str) -> set[Scopes]:
    """Where a convention allows emergency accesses, its parties see and review them, and the senders open them; nobody for them."""
    flows = [flow for convention in conventions for flow in convention.flows if flow.emergency]
    opens = {Scopes.BREAK_GLASS_OPEN for flow in flows if flow.sender == partner}
    return opens | ({Scopes.BREAK_GLASS_REVIEW} if flows else set())


def _acts_for(convention: Convention, siret: str) -> str | None:
    """Whom a party acts for, if that one is a party too: what it did not sign binds it to nothing."""
    principal = convention.parties[siret].acts_for if siret in convention.parties else None
    return principal if principal in convention.parties else None
