"""
What the authorization server says of itself (RFC 8414), so that a client needs one address only; DPoP is announced as RFC 9449 section 5.1 says.
"""

from __future__ import annotations

from typing import Any

from gateway.auth.client_credentials import GRANT_TYPE as CLIENT_CREDENTIALS
from gateway.auth.details import TYPE as DETAIL_TYPE
from gateway.auth.jose import CLIENT_ALGORITHMS
from gateway.auth.profile import Method, Profile
from gateway.auth.scopes import SMART, Scopes
from gateway.auth.token_exchange import GRANT_TYPE as TOKEN_EXCHANGE

TOKEN, INTROSPECT, REVOKE, JWKS = "/oauth2/token", "/oauth2/introspect", "/oauth2/revoke", "/oauth2/jwks"
REGISTER = "/oauth2/register"
WELL_KNOWN = "/.well-known/oauth-authorization-server"
SMART_CONFIGURATION = "/.well-known/smart-configuration"
FHIR = "/fhir/R4"
"""SMART clients look below the address of the FHIR service, others below the server's: both find it."""


def server_metadata(issuer: str, *, certificates: bool = False) -> dict[str, Any]:
    """
    Describe the server at `issuer`; every endpoint authenticates clients in the same ways.

    `certificates`: whether a proxy in front passes clients' certificates. The sandbox's secret is not announced: a client
    that chooses by itself must not choose it.
    """
    methods = [Method.PRIVATE_KEY_JWT.value]
    if certificates:
        methods += [Method.TLS.value, Method.SELF_SIGNED_TLS.value]
    authenticated = {
        f"{endpoint}_endpoint_{member}": value
        for endpoint in ("token", "introspection", "revocation")
        for member, value in (
            ("auth_methods_supported", methods),
            ("auth_signing_alg_values_supported", list(CLIENT_ALGORITHMS)),
        )
    }
    return {
        "issuer": issuer,
        "token_endpoint": issuer + TOKEN,
        "introspection_endpoint": issuer + INTROSPECT,
        "revocation_endpoint": issuer + REVOKE,
        "registration_endpoint": issuer + REGISTER,
        "jwks_uri": issuer + JWKS,
        "grant_types_supported": [CLIENT_CREDENTIALS, TOKEN_EXCHANGE],
        "authorization_details_types_supported": [DETAIL_TYPE],
        # Required by section 2, and empty because there is no authorization endpoint.
        "response_types_supported": [],
        "tls_client_certificate_bound_access_tokens": certificates,
        "dpop_signing_alg_values_supported": list(CLIENT_ALGORITHMS),
        "scopes_supported": [scope.value for scope in Scopes],
        "service_documentation": issuer + "/docs",
        "ui_locales_supported": ["fr", "en"],
        **authenticated,
    }


def smart_configuration(issuer: str) -> dict[str, Any]:
    """Describe the server to FHIR clients without users (SMART App Launch, Backend Services)."""
    return {
        "issuer": issuer,
        "jwks_uri": issuer + JWKS,
        "token_endpoint": issuer + TOKEN,
        "token_endpoint_auth_methods_supported": [Method.PRIVATE_KEY_JWT.value],
        "token_endpoint_auth_signing_alg_values_supported": list(Profile.SMART.algorithms),
        "introspection_endpoint": issuer + INTROSPECT,
        "revocation_endpoint": issuer + REVOKE,
        "registration_endpoint": issuer + REGISTER,
        "grant_types_supported": [CLIENT_CREDENTIALS],
        "scopes_supported": sorted(scope.value for scope in SMART),
        # The member is required, and S256 in it, although nobody is sent to an authorization endpoint here.
        "code_challenge_methods_supported": ["S256"],
        "capabilities": ["client-confidential-asymmetric", "permission-v2"],
    }
