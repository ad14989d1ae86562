"""
Who may knock: the gateway's OAuth2 authorization server and the protection of its resources; all of authlib stays here.

Start with `authority.Auth` (what is shared), `router` (the addresses), `resource` (the way in). One file per standard:
`assertion` RFC 7523, `access_token` RFC 9068, `client_credentials` RFC 6749, `introspection` RFC 7662, `revocation` RFC 7009,
`metadata` RFC 8414, `dpop` RFC 9449. `client` is the partner's side.
"""

from gateway.auth.authority import Auth
from gateway.auth.caller import Caller
from gateway.auth.errors import AuthError, Forbidden, RegistrationRefused, Unauthorized
from gateway.auth.resource import authorize, requires
from gateway.auth.router import create_auth_router
from gateway.auth.scopes import Scopes

__all__ = [
    "Auth",
    "AuthError",
    "Caller",
    "Forbidden",
    "RegistrationRefused",
    "Scopes",
    "Unauthorized",
    "authorize",
    "create_auth_router",
    "requires",
]
