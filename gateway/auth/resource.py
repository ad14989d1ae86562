"""
Protecting a resource (RFC 6750, RFC 9068 section 4, RFC 9449 section 7): from the `Authorization` header to a `Caller`, or a refusal.

authlib's own protector is left out: it is synchronous, and knows neither revocation nor proofs of possession.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Request, Security
from fastapi.openapi.models import OAuthFlowClientCredentials, OAuthFlows
from fastapi.security import OAuth2

from gateway.auth import signed_requests
from gateway.auth.access_token import AccessToken, Expired
from gateway.auth.audience import covers
from gateway.auth.authority import Auth
from gateway.auth.caller import Caller
from gateway.auth.certificates import CertificateUnreadable
from gateway.auth.dpop import ProofRefused, Target
from gateway.auth.errors import Forbidden, TooMany, Unauthorized
from gateway.auth.jose import CLIENT_ALGORITHMS, MAX_CHARACTERS, Unreadable
from gateway.auth.metadata import TOKEN
from gateway.auth.replay import Use
from gateway.auth.scopes import WHOLE, Scopes, opened_by
from gateway.limits import Exceeded
from gateway.store import wall

__all__ = ["Caller", "authorize", "authorized", "requires", "requires_one"]

_ALGORITHMS = " ".join(CLIENT_ALGORITHMS)

_DESCRIBED = OAuth2(
    flows=OAuthFlows(
        clientCredentials=OAuthFlowClientCredentials(
            tokenUrl=TOKEN, scopes={scope.value: f"{scope.label_fr} / {scope.label_en}" for scope in Scopes}
        )
    ),
    scheme_name="oauth2",
    description="Jeton obtenu avec private_key_jwt (RFC 7523), à envoyer dans l'en-tête Authorization.",
    auto_error=False,
)


def requires(*scopes: Scopes) -> Callable[..., Awaitable[Caller]]:
    """
    Make the FastAPI dependency that lets in a token with all of `scopes` and returns its `Caller`.

    It raises `Unauthorized` or `Forbidden`; the scopes also show in the OpenAPI description of the route.
    """

    async def caller(
        request: Request, _shown: Annotated[Any, Security(_DESCRIBED, scopes=[scope.value for scope in scopes])]
    ) -> Caller:
        return await authorize(request, *scopes)

    return caller


def requires_one(*scopes: Scopes) -> Callable[..., Awaitable[Caller]]:
    """
    Make the FastAPI dependency that lets in a token with any of `scopes`, for an address that several roles share.

    It raises as `requires` does; the route looks at `Caller.scopes` to know what to show.
    """

    async def caller(
        request: Request, _shown: Annotated[Any, Security(_DESCRIBED, scopes=[scope.value for scope in scopes])]
    ) -> Caller:
        found = await authorize(request)
        if not found.scopes & frozenset(scopes):
            raise _insufficient(request.app.state.auth, scopes)
        _stand(found, scopes)
        return found

    return caller


async def authorize(request: Request, *scopes: Scopes) -> Caller:
    """Identify the caller of a request and demand all of `scopes`; what `requires` does, for routes without dependencies."""
    auth: Auth = request.app.state.auth
    token, use = await _identify(auth, request)
    if use is not None:
        await _spend(auth, use)
    return await _admit(auth, request, token.caller, scopes)


@asynccontextmanager
async def authorized(request: Request, *scopes: Scopes) -> AsyncIterator[Caller]:
    """
    The same around a route whose own transaction records the use of the proof (`Caller.proof`): one commit instead of two.

    What ends without having recorded it, refused or not, has it recorded here: a proof serves once, whatever became of it.
    """
    auth: Auth = request.app.state.auth
    token, use = await _identify(auth, request)
    try:
        yield await _admit(auth, request, replace(token.caller, proof=use), scopes)
    except ProofRefused as error:
        raise _challenged(auth, error) from error
    finally:
        if use is not None and not use.durable:
            await _spend(auth, use)


async def _admit(auth: Auth, request: Request, caller: Caller, scopes: tuple[Scopes, ...]) -> Caller:
    request.state.caller = caller
    try:
        await auth.limits.count("requests", caller.client_id, caller.limits)
    except Exceeded as error:
        raise TooMany("too_many_requests", error.message_fr, error.message_en, error.headers) from error
    request.state.signed = await signed_requests.verify(auth, request, caller)
    if request.state.signed is not None:
        caller = replace(caller, unsigned=False)
    missing = frozenset(scopes) - caller.scopes
    if missing:
        raise _insufficient(auth, scopes)
    _stand(caller, scopes)
    return caller


def _stand(caller: Caller, opened: tuple[Scopes, ...]) -> None:
    """From here on, the request sees the caller's rows only, unless what opened the address is for those who see everybody's."""
    whole = caller.scopes & WHOLE & frozenset(opened)
    wall.stand(wall.EVERYBODY if whole else wall.Side(caller.partner, caller.client_id))


async def _identify(auth: Auth, request: Request) -> tuple[AccessToken, Use | None]:
    """Read the token of a request, and what remains to be recorded of its proof of possession."""
    scheme, compact = _credentials(auth, request)
    if scheme not in {"bearer", "dpop"}:
        raise _absent(auth)
    try:
        token = await auth.identify(compact)
    except Expired as error:
        raise _refused(
            auth, "Le jeton est expiré : demandez-en un autre.", "The token has expired: ask for another."
        ) from error
    except Unreadable as error:
        raise _refused(
            auth,
            "Le jeton n'est pas de cette passerelle, est altéré, ou a été révoqué.",
            "The token is not from this gateway, was altered, or was revoked.",
        ) from error
    if ("jkt" in token.confirmation) != (scheme == "dpop"):
        raise _refused(
            auth,
            "Un jeton lié à une clé s'envoie avec Authorization: DPoP et une preuve ; un autre avec Authorization: Bearer.",
            "A token bound to a key is sent with Authorization: DPoP and a proof; any other with Authorization: Bearer.",
        )
    if not covers(auth.issuer, token.audience, request.scope["path"]):
        raise _refused(
            auth,
            "Ce jeton a été demandé pour une autre partie de la passerelle (resource).",
            "This token was asked for another part of the gateway (resource).",
        )
    use = None
    if "jkt" in token.confirmation:
        use = _check_possession(auth, request, compact, token.confirmation["jkt"])
    if "x5t#S256" in token.confirmation:
        _check_certificate(auth, request, token.confirmation["x5t#S256"])
    return token, use


def _check_certificate(auth: Auth, request: Request, bound_to: str) -> None:
    """Demand the certificate that the token is bound to, on this very connection to the proxy (RFC 8705 section 3)."""
    try:
        certificate = auth.certificates.of(request)
    except CertificateUnreadable:
        certificate = None
    if certificate is None or certificate.thumbprint != bound_to:
        raise _refused(
            auth,
            "Ce jeton est lié à un certificat : présentez-le dans la même connexion (TLS mutuel).",
            "This token is bound to a certificate: present it in the same connection (mutual TLS).",
        )


def _check_possession(auth: Auth, request: Request, compact: str, bound_to: str) -> Use:
    """Demand a proof for this very request, made with the key that the token is bound to (RFC 9449 section 7)."""
    path = request.scope.get("raw_path", request.scope["path"].encode()).decode("latin-1")
    try:
        proof = auth.proofs.read(request.headers.getlist("dpop"), Target(request.method, auth.issuer + path, compact))
        if proof.thumbprint != bound_to:
            raise ProofRefused(
                "invalid_dpop_proof",
                "La preuve est signée par une autre clé que celle du jeton.",
                "The proof is signed with another key than the token's.",
            )
        return proof.use()
    except ProofRefused as error:
        raise _challenged(auth, error) from error


async def _spend(auth: Auth, use: Use) -> None:
    try:
        await auth.proofs.spend(use)
    except ProofRefused as error:
        raise _challenged(auth, error) from error


def _challenged(auth: Auth, error: ProofRefused) -> Unauthorized:
    challenge = (
        f'DPoP realm="{auth.issuer}", error="{error.code}", error_description="{error.detail_en}", algs="{_ALGORITHMS}"'
    )
    headers = {"WWW-Authenticate": challenge, "DPoP-Nonce": auth.proofs.nonces.current()}
    return Unauthorized(error.code, error.detail_fr, error.detail_en, headers)


def _credentials(auth: Auth, request: Request) -> tuple[str, str]:
    """Split the only `Authorization` header into its scheme, in lower case, and the token."""
    headers = request.headers.getlist("authorization")
    if not headers:
        raise _absent(auth)
    scheme, _, compact = headers[0].strip().partition(" ")
    if len(headers) > 1 or not compact or len(compact) > MAX_CHARACTERS:
        raise _refused(
            auth,
            "L'en-tête Authorization est mal formé ou répété.",
            "The Authorization header is malformed or repeated.",
        )
    return scheme.lower(), compact.strip()


def _insufficient(auth: Auth, scopes: tuple[Scopes, ...]) -> Forbidden:
    names, (how_fr, how_en) = " ".join(sorted(scopes)), opened_by(scopes)
    return Forbidden(
        "insufficient_scope",
        f"Le jeton n'ouvre pas cette opération. Demandez-en un avec : {names}.{how_fr}",
        f"The token does not open this operation. Ask for one with: {names}.{how_en}",
        {"WWW-Authenticate": f'Bearer realm="{auth.issuer}", error="insufficient_scope", scope="{names}"'},
    )


def _absent(auth: Auth) -> Unauthorized:
    # Without an error code: the request carried no token (RFC 6750 section 3.1).
    return Unauthorized(
        "token_missing",
        f"Envoyez l'en-tête Authorization: Bearer, avec un jeton obtenu à {TOKEN}.",
        f"Send the header Authorization: Bearer, with a token from {TOKEN}.",
        {"WWW-Authenticate": f'Bearer realm="{auth.issuer}", DPoP algs="{_ALGORITHMS}"'},
    )


def _refused(auth: Auth, detail_fr: str, detail_en: str) -> Unauthorized:
    header = f'Bearer realm="{auth.issuer}", error="invalid_token", error_description="{detail_en}"'
    return Unauthorized("invalid_token", detail_fr, detail_en, {"WWW-Authenticate": header})
