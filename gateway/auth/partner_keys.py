"""
Partners' keys as they stand now: those registered, or those published at the address that the partner registered.

A partner that publishes its keys changes them without asking anybody: a key that is not known yet is looked for at once, a
key withdrawn is forgotten within ten minutes, and an address that does not answer for a while stops nobody.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from joserfc.jwk import Key, KeySetSerialization

from gateway.auth.keys import key_named, usable_jwks
from gateway.auth.registry import System
from gateway.outgoing import SafeClient
from gateway.outgoing_addresses import OutgoingFailed, OutgoingRefused
from schemas import MalformedJson, parse_json

FRESH: Final = 600.0
"""Seconds during which a set that was read is believed without asking again."""

STALE: Final = 3_600.0
"""Seconds during which it still serves when the address does not answer."""

PAUSE: Final = 15.0
"""Seconds between two readings of one address, whatever is asked: nobody makes us knock there at will."""

_ADDRESSES: Final = 1_000
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Published:
    """One address: its keys, when they were read, when it was last asked."""

    jwks: KeySetSerialization = field(default_factory=lambda: KeySetSerialization(keys=[]))
    read_at: float = float("-inf")
    asked_at: float = float("-inf")
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


class PartnerKeys:
    """Finds the key that a system's signature names; one per process, safe to use concurrently."""

    def __init__(self, client: SafeClient) -> None:
        self._client = client
        self._published: dict[str, _Published] = {}

    async def find(self, system: System, kid: str | None) -> Key | None:
        """Give the system's public key of this name, or None."""
        if system.security.jwks_uri is None:
            return key_named(system.jwks, kid)
        place = self._place(system)
        age = monotonic() - place.read_at
        key = key_named(place.jwks, kid)
        if key is None or age > FRESH:
            await self._read(place, system)
            key = key_named(place.jwks, kid) if monotonic() - place.read_at < STALE else None
        return key

    def _place(self, system: System) -> _Published:
        # Two systems may publish at one address under different rules: neither sees the other's reading.
        name = f"{system.client_id} {system.security.jwks_uri}"
        if name not in self._published:
            while len(self._published) >= _ADDRESSES:
                del self._published[next(iter(self._published))]
            self._published[name] = _Published()
        return self._published[name]

    async def _read(self, place: _Published, system: System) -> None:
        """Read the address, once for all that wait, and keep what was known when it does not answer."""
        async with place.asking:
            if monotonic() - place.asked_at < PAUSE:
                return
            place.asked_at = monotonic()
            security = system.security
            try:
                reply = await self._client.request(
                    "GET", str(security.jwks_uri), headers={"Accept": "application/json"}, allowance=security.allowance
                )
                if reply.status != 200 or reply.truncated:
                    raise OutgoingFailed("protocol")
                jwks = usable_jwks(parse_json(reply.body), security.profile.algorithms)
            except (OutgoingFailed, OutgoingRefused, MalformedJson) as error:
                code = getattr(error, "code", "malformed")
                _log.warning("oauth.jwks_unread", extra={"client_id": system.client_id, "reason": code})
                return
            place.jwks, place.read_at = jwks, monotonic()
