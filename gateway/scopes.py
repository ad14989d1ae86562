"""
Which scopes a system may ask for: from its roles, and from the conventions in force of its partner.
"""

from __future__ import annotations

from gateway.auth.authority import GrantedScopes
from gateway.auth.registry import System
from gateway.auth.scopes import Scopes
from gateway.services import Services
from gateway.store.database import Transaction
from schemas import Kind

_OF_ROLE = {
    "partner": frozenset(
        {Scopes.MAILBOX_READ, Scopes.EXCHANGE_READ, Scopes.CONVENTION_WRITE, Scopes.CONSENT_SEND, Scopes.VALIDATE}
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
            for convention in await services.conventions.in_force(tx, now):
                if convention.state != "valid" or not convention.starts <= now < convention.ends:
                    continue
                for flow in convention.flows:
                    if flow.sender == system.partner:
                        scopes |= _OF_KIND.get(flow.kind, frozenset())
        return frozenset(scope.value for scope in scopes)

    return granted
