"""
The authorization server: authlib's core, which knows neither FastAPI nor asyncio, given a form and a database.

authlib is synchronous: a request runs in a worker thread and comes back to the event loop for each database call.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import anyio.from_thread
from authlib.oauth2 import AuthorizationServer, OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749.requests import OAuth2Payload
from starlette.datastructures import Headers
from starlette.responses import JSONResponse

from gateway.auth.access_token import AccessToken, TokenGenerator
from gateway.auth.assertion import ClientAssertion, unknown
from gateway.auth.authority import Auth
from gateway.auth.certificates import Certificate
from gateway.auth.client_authentication import attempted, by_certificate, by_secret
from gateway.auth.client_credentials import ClientCredentials
from gateway.auth.details import ExchangeDetail
from gateway.auth.dpop import Proof, ProofRefused, Target
from gateway.auth.introspection import Introspection
from gateway.auth.metadata import TOKEN
from gateway.auth.profile import Binding, Method, Profile
from gateway.auth.refusal import Refusal, described, standard
from gateway.auth.registry import System, get_system
from gateway.auth.replay import use_once
from gateway.auth.revocation import Revocation
from gateway.auth.rights import Granted
from gateway.auth.token_exchange import TokenExchange
from gateway.auth.token_grant import Client
from gateway.limits import Exceeded

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Form(OAuth2Payload):  # type: ignore[misc]  # authlib is not typed
    """The parameters of a request, each present once."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._parameters = dict(parameters)

    @property
    def data(self) -> dict[str, str]:
        """The parameters and their values."""
        return self._parameters

    @property
    def datalist(self) -> dict[str, list[str]]:
        """The same, as authlib reads parameters that might be repeated."""
        return {name: [value] for name, value in self._parameters.items()}


class TokenRequest(OAuth2Request):  # type: ignore[misc]  # authlib is not typed
    """
    A POST to one of our endpoints as authlib sees it.

    Its address is made from the issuer and never from the request: behind a proxy that ends TLS, authlib would see plain
    http and refuse.
    """

    def __init__(
        self, uri: str, headers: Headers, parameters: Mapping[str, str], certificate: Certificate | None = None
    ) -> None:
        super().__init__("POST", uri, headers=headers)
        self.payload = Form(parameters)
        self.certificate = certificate

    @property
    def args(self) -> dict[str, str]:
        """Nothing is read from the query string: addresses end up in logs."""
        return {}

    @property
    def form(self) -> dict[str, str]:
        """The parameters of the body."""
        return dict(self.payload.data)


class Server(AuthorizationServer):  # type: ignore[misc]  # authlib is not typed
    """Connects authlib's core to the gateway's systems, tokens and answers."""

    def __init__(self, auth: Auth) -> None:
        super().__init__()
        self.issuer = auth.issuer
        self._auth = auth
        audiences = {Profile.FAPI: auth.issuer, Profile.SMART: auth.issuer + TOKEN}
        assertion = ClientAssertion(audiences, auth.partner_keys.find, self._use_once, auth.clock)
        self.register_client_auth_method(Method.PRIVATE_KEY_JWT, assertion)
        self.register_client_auth_method(Method.TLS, by_certificate(auth.clock))
        self.register_client_auth_method(Method.SECRET, by_secret)
        self.register_token_generator("default", TokenGenerator(auth.tokens))
        self.register_grant(ClientCredentials)
        self.register_grant(TokenExchange)
        self.register_endpoint(Introspection(auth.tokens, auth.revocations))
        self.register_endpoint(Revocation(auth.tokens, auth.revocations))

    def query_client(self, client_id: str) -> Client:
        """Find the client that an assertion names; a disabled system is as unknown as one that never was."""
        system = anyio.from_thread.run(self._read_system, client_id)
        if system is None or system.disabled:
            raise unknown()
        return Client(system)

    def authenticate_client(self, request: TokenRequest, methods: Any, endpoint: str = "token") -> Client:
        """Authenticate with the one method that the request attempts."""
        client: Client = super().authenticate_client(request, [attempted(request)], endpoint)
        if request.form.get("client_id", client.get_client_id()) != client.get_client_id():
            raise unknown()
        system = client.system
        try:
            anyio.from_thread.run(self._auth.limits.count, "tokens", system.client_id, system.security.limits)
        except Exceeded as error:
            raise Refusal(
                "temporarily_unavailable", error.message_fr, error.message_en, status=429, headers=error.headers
            ) from error
        return client

    def read_proof(self, request: TokenRequest) -> Proof | None:
        """Check the proof of possession that came with a token request, if one did."""
        sent = request.headers.getlist("dpop")
        try:
            return self._auth.proofs.read(sent, Target("POST", request.uri)) if sent else None
        except ProofRefused as error:
            raise self._proof_refusal(error) from error

    def bind(self, request: TokenRequest, proof: Proof | None) -> dict[str, str]:
        """
        Say what the token is bound to, as the registration of the authenticated client demands; the claim `cnf`.

        A system of the sandbox, registered for bearer tokens, may bind them all the same.
        """
        binding = request.client.system.security.binding
        if binding is Binding.MTLS:
            if request.certificate is None:
                raise Refusal(
                    "invalid_request",
                    "Ce système est enregistré pour des jetons liés à son certificat : présentez-le (TLS mutuel).",
                    "This client is registered for tokens bound to its certificate: present it (mutual TLS).",
                )
            return {"x5t#S256": request.certificate.thumbprint}
        if proof is None:
            if binding is Binding.DPOP:
                raise standard("invalid_dpop_proof", headers=self._nonce())
            return {}
        try:
            anyio.from_thread.run(self._auth.proofs.spend, proof.use())
        except ProofRefused as error:
            raise self._proof_refusal(error) from error
        return {"jkt": proof.thumbprint}

    def own(self, system: System) -> Granted:
        """What a system may do for its own partner."""
        return anyio.from_thread.run(self._reading, self._auth.rights.own, system)

    def delegated(self, system: System, principal: str) -> Granted:
        """What a system may do in the name of another partner."""
        return anyio.from_thread.run(self._reading, self._auth.rights.delegated, system, principal)

    def principal(self, system: System, convention: str) -> str | None:
        """Whom a system's partner acts for under a convention."""
        return anyio.from_thread.run(self._reading, self._auth.rights.principal, system, convention)

    def routed(self, sender: str, detail: ExchangeDetail) -> bool:
        """Whether conventions in force permit an exchange."""
        return anyio.from_thread.run(self._reading, self._auth.rights.routed, sender, detail)

    def live_token(self, compact: str) -> AccessToken:
        """Verify one of our tokens, its revocation included; raises `Unreadable`."""
        return anyio.from_thread.run(self._auth.identify, compact)

    def save_token(self, token: Mapping[str, Any], request: TokenRequest) -> None:
        """Keep nothing: the token is its own record, and only its refusal is ever stored."""
        _log.info("oauth.token_issued", extra={"client_id": request.client.get_client_id(), "scope": token["scope"]})

    def create_oauth2_request(self, request: TokenRequest) -> TokenRequest:
        """Take the request as the router built it."""
        return request

    def handle_response(self, status: int, body: object, headers: list[tuple[str, str]]) -> JSONResponse:
        """Write an answer; authlib's headers forbid caching."""
        return JSONResponse(body, status, dict(headers))

    def handle_error_response(self, request: TokenRequest, error: OAuth2Error) -> JSONResponse:
        """Write a refusal, with our sentences."""
        refusal = described(error)
        _log.info("oauth.refused", extra={"error": refusal.error, "endpoint": request.uri})
        return self.handle_response(*refusal())

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Signal nothing: authlib's signals have no listener here."""

    def _proof_refusal(self, error: ProofRefused) -> Refusal:
        return Refusal(error.code, error.detail_fr, error.detail_en, headers=self._nonce())

    def _nonce(self) -> dict[str, str]:
        return {"DPoP-Nonce": self._auth.proofs.nonces.current()}

    async def _read_system(self, client_id: str) -> System | None:
        async with self._auth.database.read() as tx:
            return await get_system(tx, client_id)

    async def _reading(self, question: Callable[..., Awaitable[T]], *about: Any) -> T:
        async with self._auth.database.read() as tx:
            return await question(tx, *about)

    async def _use_once(self, client_id: str, jti: str, expires_at: datetime) -> bool:
        async with self._auth.database.write() as tx:
            return await use_once(tx, client_id, jti, expires_at)
