"""
Taking a token back before it expires (RFC 7009), and everything that refuses a token whose signature is still good.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import anyio.from_thread
import sqlalchemy as sa
from authlib.oauth2.rfc7009 import RevocationEndpoint

from gateway.auth.access_token import AccessToken, AccessTokens
from gateway.auth.jose import Unreadable
from gateway.auth.profile import Method
from gateway.auth.refusal import standard
from gateway.store.database import Database, Transaction, insert_ignore, instant
from gateway.store.tables import revoked_tokens, systems

FRESHNESS: Final = 2.0
"""Seconds during which this process trusts its last reading of the revoked tokens and the disabled systems."""

_log = logging.getLogger(__name__)


class Revocations:
    """
    The tokens taken back and the systems shut out, as every process sees them within `freshness` seconds.

    The lists are short (a token lives five minutes), so they are read whole, at most once per `freshness` seconds and only
    when a request comes; what this process revoked itself counts at once. If they cannot be read, no token passes.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime], freshness: float = FRESHNESS) -> None:
        self._database = database
        self._clock = clock
        self._freshness = freshness
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()
        self._tokens: frozenset[str] = frozenset()
        self._systems: frozenset[str] = frozenset()
        self._own: dict[str, int] = {}

    async def check(self, token: AccessToken) -> None:
        """Raise `Unreadable` if the token was revoked or its system disabled."""
        if time.monotonic() - self._read_at >= self._freshness:
            await self._read()
        jti = token.caller.token_id
        if jti in self._own or jti in self._tokens or token.caller.client_id in self._systems:
            raise Unreadable("revoked")

    async def revoke(self, token: AccessToken) -> None:
        """Refuse a token from now on: here at once, in the other processes within `freshness` seconds."""
        jti, expires_at = token.caller.token_id, token.expires_at
        async with self._database.write() as tx:
            expiry = instant(datetime.fromtimestamp(expires_at, UTC))
            await tx.execute(insert_ignore(revoked_tokens, tx).values(jti=jti, expires_at=expiry))
        now = self._clock().timestamp()
        self._own = {known: until for known, until in self._own.items() if until > now} | {jti: expires_at}

    async def covers(self, token: AccessToken) -> bool:
        """Whether the token is revoked or its system disabled, read from the database now."""
        async with self._database.read() as tx:
            revoked, disabled = await _refused(tx, self._clock())
        return token.caller.token_id in revoked or token.caller.client_id in disabled

    async def _read(self) -> None:
        async with self._reading:
            # Whoever waited here finds the lists read.
            if time.monotonic() - self._read_at < self._freshness:
                return
            began = time.monotonic()
            async with self._database.read() as tx:
                self._tokens, self._systems = await _refused(tx, self._clock())
            self._read_at = began


class Revocation(RevocationEndpoint):  # type: ignore[misc]  # authlib is not typed
    """
    `POST /oauth2/revoke`: a system takes back one of its own tokens.

    What is not a live token of ours is answered 200 (RFC 7009 section 2.2): it opens nothing already.
    """

    CLIENT_AUTH_METHODS = tuple(Method)

    def __init__(self, tokens: AccessTokens, revocations: Revocations) -> None:
        super().__init__()
        self._tokens = tokens
        self._revocations = revocations

    def check_params(self, request: Any, client: Any) -> None:
        """Demand a token; its `token_type_hint` changes nothing, since there is one type only."""
        if "token" not in request.form:
            raise standard("invalid_request")

    def query_token(self, token_string: str, token_type_hint: str | None) -> AccessToken | None:
        """Read the token to revoke."""
        try:
            return self._tokens.read(token_string)
        except Unreadable:
            return None

    def revoke_token(self, token: AccessToken, request: Any) -> None:
        """Refuse the token from now on."""
        anyio.from_thread.run(self._revocations.revoke, token)
        _log.info("oauth.token_revoked", extra={"client_id": token.caller.client_id, "token_id": token.caller.token_id})


async def _refused(tx: Transaction, now: datetime) -> tuple[frozenset[str], frozenset[str]]:
    tokens = await tx.execute(sa.select(revoked_tokens.c.jti).where(revoked_tokens.c.expires_at >= instant(now)))
    disabled = await tx.execute(sa.select(systems.c.client_id).where(systems.c.disabled_at.is_not(None)))
    return frozenset(tokens.scalars()), frozenset(disabled.scalars())
