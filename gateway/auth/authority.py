"""
What the authorization server and the protected resources share: keys, database, clock, and the tokens already verified.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from authlib.common.security import is_secure_transport

from gateway.auth.access_token import AccessToken, AccessTokens
from gateway.auth.certificates import Certificates
from gateway.auth.dpop import Proofs
from gateway.auth.external import ExternalIssuer, ExternalTokens
from gateway.auth.partner_keys import PartnerKeys
from gateway.auth.revocation import Revocations
from gateway.auth.rights import Rights
from gateway.auth.token_keys import TokenKeys
from gateway.limits import Limits
from gateway.outgoing import SafeClient
from gateway.store.database import Database, Transaction

OnChange = Callable[[Transaction, str, dict[str, Any]], Awaitable[None]]
"""(transaction, SIRET of who did it, what changed): records a change of configuration in the ledger."""


async def _untold(_tx: Transaction, _actor: str, _body: dict[str, Any]) -> None:
    """Record nothing: for a server without ledger."""


_REMEMBERED: Final = 10_000


class Auth:
    """
    The gateway's access side, held in `app.state.auth`.

    `issuer` is the gateway's public address, without final slash: what clients write in `aud`. `keys` sign its tokens, `rights`
    reads what the conventions open. `secret` is known to every process of this gateway, and to nobody else. `certificates`
    reads what the reverse proxy passes, `outgoing` knocks at the addresses where partners publish their keys, `limits` counts
    what each system asks for; `on_change` records who registers itself, `external` are
    the other servers whose tokens are accepted.
    """

    def __init__(
        self,
        database: Database,
        issuer: str,
        keys: TokenKeys,
        *,
        rights: Rights,
        secret: bytes,
        clock: Callable[[], datetime],
        certificates: Certificates | None = None,
        outgoing: SafeClient | None = None,
        limits: Limits | None = None,
        on_change: OnChange = _untold,
        external: Sequence[ExternalIssuer] = (),
    ) -> None:
        """Raises `ValueError` when the issuer cannot be used."""
        self.database = database
        self.issuer = _checked(issuer)
        self.tokens = AccessTokens(issuer, keys, clock)
        self.rights = rights
        self.clock = clock
        self.revocations = Revocations(database, clock)
        self.proofs = Proofs(database, secret, clock)
        self.on_change = on_change
        self.limits = limits or Limits()
        self.certificates = certificates or Certificates()
        self.partner_keys = PartnerKeys(outgoing or SafeClient())
        self.external = ExternalTokens(external, self.partner_keys, database, rights, issuer, clock)
        self._known: dict[bytes, AccessToken] = {}

    async def identify(self, compact: str) -> AccessToken:
        """
        Verify an access token, its revocation included; raises `gateway.auth.jose.Unreadable`.

        A verified token is remembered by its hash until it expires: a signature costs more than the rest of a request.
        """
        digest = hashlib.sha256(compact.encode()).digest()
        token = self._known.get(digest)
        if token is None or token.expires_at <= self.clock().timestamp():
            self._known.pop(digest, None)
            token = await self.external.read(compact) if self.external.knows(compact) else self.tokens.read(compact)
            self._remember(digest, token)
        await self.revocations.check(token)
        return token

    def _remember(self, digest: bytes, token: AccessToken) -> None:
        while len(self._known) >= _REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[digest] = token


def _checked(issuer: str) -> str:
    """Refuse an issuer that RFC 8414 section 2 forbids: clients compare it character by character."""
    parts = urlsplit(issuer)
    if not is_secure_transport(issuer) or parts.query or parts.fragment or issuer.endswith("/"):
        raise ValueError(
            "the issuer must be an https address (http only on the loopback), without final slash, query or fragment"
        )
    return issuer
