"""
Which scopes a system may ask for, from its roles and from the conventions in force of its partner; and which of these
conventions its tokens name, so that nobody sends under a text that has changed without having taken note of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from consent.conventions.collection import Conventions
from gateway.auth.authority import GrantedScopes, GrantingConventions
from gateway.auth.caller import Caller
from gateway.auth.registry import System
from gateway.auth.scopes import Scopes
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
            Scopes.CONVENTION_WRITE,
            Scopes.CONSENT_SEND,
            Scopes.VALIDATE,
        }
    ),
    "auditor": frozenset({Scopes.LEDGER_READ}),
    "administrator": frozenset({Scopes.CONVENTION_WRITE, Scopes.VALIDATE}),
}

_OF_KIND = {
    Kind.REFERRAL: frozenset({Scopes.REFERRAL_SEND, Scopes.INBOUND_SEND}),
    Kind.BILAN: frozenset({Scopes.BILAN_SEND, Scopes.INBOUND_SEND}),
    Kind.STATUS: frozenset({Scopes.STATUS_SEND}),
}


def granted_scopes(services: Services) -> GrantedScopes:
    """
    Make the rule for the authorization server.

    A partner may send a kind of document only if a convention in force has a flow of that kind from it: without one,
    the scope does not exist for it, before any gate is asked.
    """

    async def granted(tx: Transaction, system: System) -> frozenset[str]:
        scopes = {scope for role in system.roles for scope in _OF_ROLE[role]}
        if "partner" in system.roles:
            now = services.clock()
            for convention in (await services.conventions.in_force(tx, now)).in_force(system.partner, now):
                for flow in convention.flows:
                    if flow.sender == system.partner:
                        scopes |= _OF_KIND.get(flow.kind, frozenset())
        return frozenset(scope.value for scope in scopes)

    return granted


def granting_conventions(services: Services) -> GrantingConventions:
    """
    Make the other rule: the hashes that a token carries, in its claim `conventions`.
    """

    async def granting(tx: Transaction, system: System) -> tuple[str, ...]:
        now = services.clock()
        return claimed(await services.conventions.in_force(tx, now), system.partner, now)

    return granting


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
