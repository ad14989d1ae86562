"""
How a client proves who it is at the OAuth endpoints: one method a request, and the one it registered.

The signed assertion is in `assertion`. Here are the two others: the certificate that the proxy passes (RFC 8705), and the
shared secret of the sandbox. A refusal says the same thing whether the client exists or not.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import datetime
from typing import Any

from authlib.oauth2.rfc6749.util import extract_basic_authorization

from gateway.auth.assertion import unknown
from gateway.auth.profile import Method
from gateway.auth.refusal import Refusal, standard
from gateway.auth.registry import digest

QueryClient = Callable[[str], Any]
"""client_id -> the client of an enabled system; raises the one refusal for anything else."""


def attempted(request: Any) -> Method:
    """
    Say which method a request attempts; raises `Refusal` for none, and for two at once (RFC 6749 section 2.3).

    A certificate beside an assertion is no second method: it is what the token will be bound to.
    """
    form, in_header = request.form, "authorization" in request.headers
    if "client_secret" in form or (in_header and "client_assertion" in form):
        raise _secret_refused(in_header)
    if in_header:
        return Method.SECRET
    if "client_assertion" in form or request.certificate is None:
        return Method.PRIVATE_KEY_JWT
    return Method.TLS


def by_secret(query_client: QueryClient, request: Any) -> Any:
    """Authenticate a system of the sandbox by its secret (RFC 6749 section 2.3.1)."""
    try:
        client_id, secret = extract_basic_authorization(request.headers)
    except ValueError as error:  # authlib leaves what is not UTF-8 to its caller
        raise _secret_refused(in_header=True) from error
    if not client_id or not secret:
        raise _secret_refused(in_header=True)
    try:
        system = query_client(client_id).system
    except Refusal as error:
        raise _secret_refused(in_header=True) from error
    registered = system.secret if system.security.sandbox and system.security.method is Method.SECRET else None
    if registered is None or not hmac.compare_digest(digest(secret) or b"", registered):
        raise _secret_refused(in_header=True)
    return query_client(client_id)


def by_certificate(clock: Callable[[], datetime]) -> Callable[[QueryClient, Any], Any]:
    """Make the authentication by certificate, for both of its methods: by its chain and name, or by the very certificate."""

    def authenticate(query_client: QueryClient, request: Any) -> Any:
        certificate, client = request.certificate, query_client(request.form.get("client_id", ""))
        security = client.system.security
        if security.method is Method.TLS:
            known = certificate.proves(security.tls_subject or {})
        else:
            known = any(key.get("x5t#S256") == certificate.thumbprint for key in client.system.jwks["keys"])
        if not known or not certificate.valid_at(clock()):
            raise unknown()
        return client

    return authenticate


def _secret_refused(in_header: bool) -> Refusal:
    """Refuse a shared secret, with 401 when it came in the header (RFC 6749 section 5.2)."""
    if in_header:
        return standard("invalid_client", status=401, headers={"WWW-Authenticate": 'Basic realm="sandbox"'})
    return Refusal(
        "invalid_client",
        "client_secret n'est pas accepté dans le formulaire. Signez une assertion (private_key_jwt, RFC 7523).",
        "client_secret is not accepted in the form. Sign an assertion (private_key_jwt, RFC 7523).",
    )
