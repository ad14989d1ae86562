"""
A system described by itself (RFC 7591 section 2): from the standard's words to a registration, and back.

What the operator decides (profile, sandbox, private networks) comes from the invitation and is never read here; unknown
members are ignored, as the RFC asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.auth.client_credentials import GRANT_TYPE as CLIENT_CREDENTIALS
from gateway.auth.profile import Binding, Method, Security
from gateway.auth.refusal import Refusal
from gateway.auth.registry import System
from gateway.auth.token_exchange import GRANT_TYPE as TOKEN_EXCHANGE

_GRANTS: Final = (CLIENT_CREDENTIALS, TOKEN_EXCHANGE)
_CERTIFICATE: Final = {
    "tls_client_auth_subject_dn": "dn",
    "tls_client_auth_san_dns": "san_dns",
    "tls_client_auth_san_uri": "san_uri",
}


@dataclass(frozen=True, slots=True)
class Described:
    """What a client asks to be registered as; not checked further than the types of its members."""

    name: str
    jwks: object
    adapter: str
    security: Security


def read(metadata: Mapping[str, Any], allowed: Security) -> Described:
    """Read client metadata within what the operator allows; raises `Refusal` invalid_client_metadata."""
    name, adapter = metadata.get("client_name"), metadata.get("adapter", "shared-json")
    address = metadata.get("jwks_uri")
    if not isinstance(name, str) or not isinstance(adapter, str) or not isinstance(address, str | None):
        raise refused(
            "client_name, adapter et jwks_uri sont des textes, et client_name est nécessaire.",
            "client_name, adapter and jwks_uri are texts, and client_name is required.",
        )
    if metadata.get("redirect_uris") or metadata.get("response_types"):
        raise refused(
            "Ce serveur n'a pas de page d'autorisation : ni redirect_uris ni response_types.",
            "This server has no authorization endpoint: neither redirect_uris nor response_types.",
        )
    grants = metadata.get("grant_types", [CLIENT_CREDENTIALS])
    if not isinstance(grants, list) or not set(map(str, grants)) <= set(_GRANTS):
        raise refused(f"grant_types possibles : {', '.join(_GRANTS)}.", f"Possible grant_types: {', '.join(_GRANTS)}.")
    security = replace(
        allowed,
        method=_method(metadata),
        binding=_binding(metadata, allowed),
        jwks_uri=address,
        tls_subject=_subject(metadata),
    )
    return Described(name, metadata.get("jwks"), adapter, security)


def written(system: System) -> dict[str, Any]:
    """Write a registration in the standard's words (RFC 7591 section 3.2.1)."""
    security = system.security
    described: dict[str, Any] = {
        "client_id": system.client_id,
        "client_name": system.name,
        "adapter": system.adapter,
        "grant_types": list(_GRANTS),
        "response_types": [],
        "token_endpoint_auth_method": security.method.value,
        "dpop_bound_access_tokens": security.binding is Binding.DPOP,
        "tls_client_certificate_bound_access_tokens": security.binding is Binding.MTLS,
    }
    if security.jwks_uri:
        described["jwks_uri"] = security.jwks_uri
    elif system.jwks["keys"]:
        described["jwks"] = {"keys": [dict(key) for key in system.jwks["keys"]]}
    kinds = {kind: member for member, kind in _CERTIFICATE.items()}
    return described | {kinds[kind]: name for kind, name in (security.tls_subject or {}).items()}


def refused(message_fr: str, message_en: str) -> Refusal:
    """Make the refusal of RFC 7591 section 3.2.2."""
    return Refusal("invalid_client_metadata", message_fr, message_en)


def _method(metadata: Mapping[str, Any]) -> Method:
    try:
        return Method(metadata.get("token_endpoint_auth_method", Method.PRIVATE_KEY_JWT.value))
    except ValueError as error:
        known = ", ".join(Method)
        raise refused(
            f"token_endpoint_auth_method possible : {known}.", f"Possible token_endpoint_auth_method: {known}."
        ) from error


def _binding(metadata: Mapping[str, Any], allowed: Security) -> Binding:
    """By the standard's two members; else what the operator allows: bearer for a trial, DPoP."""
    dpop, mtls = (
        metadata.get(name, False) for name in ("dpop_bound_access_tokens", "tls_client_certificate_bound_access_tokens")
    )
    if not isinstance(dpop, bool) or not isinstance(mtls, bool) or (dpop and mtls):
        raise refused(
            "Un jeton est lié à une clé (dpop_bound_access_tokens) ou à un certificat, pas aux deux.",
            "A token is bound to a key (dpop_bound_access_tokens) or to a certificate, not both.",
        )
    if dpop or mtls:
        return Binding.DPOP if dpop else Binding.MTLS
    return allowed.binding


def _subject(metadata: Mapping[str, Any]) -> dict[str, str] | None:
    found = {kind: metadata[member] for member, kind in _CERTIFICATE.items() if metadata.get(member)}
    if not all(isinstance(name, str) for name in found.values()):
        raise refused("Le nom du certificat est un texte.", "The certificate's name is a text.")
    return found or None
