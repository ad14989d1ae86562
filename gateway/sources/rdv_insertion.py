"""
The webhooks of rdv-insertion: `X-RDVI-Signature`, the HMAC-SHA256 of the raw body in hexadecimal, by a secret agreed with its team.

The call has no number and the signature no time: what replays it is recognised by the message itself for as long as its
document is known, and `meta.timestamp`, which is signed, bounds how old a message may be.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets as chance
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from gateway.delivery.base import Configuration
from gateway.delivery.signing import secrets_in_force
from gateway.errors import Problem
from gateway.sources.base import Source, invalid
from schemas import parse_json

HEADER: Final = "x-rdvi-signature"
MODELS: Final = frozenset({"Rdv", "Invitation"})
OLDEST: Final = timedelta(days=3)
_AHEAD: Final = timedelta(minutes=10)
_SHORTEST: Final = 32
"""Characters of a secret that the partner gives: as many as a good one of its own has."""
_NOBODY: Final = chance.token_hex(32)
"""Compared with where there is no secret, so that the answer takes as long."""


def signature(secret: str, body: bytes) -> str:
    """Sign a body as rdv-insertion does."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def written(at: datetime) -> str:
    """Write an hour as rdv-insertion does: `2026-11-09 09:25:07 +0100`."""
    return at.strftime("%Y-%m-%d %H:%M:%S %z")


class RdvInsertionHook:
    """The contract `gateway.sources.base.Hook` for rdv-insertion."""

    adapter = "rdv-insertion-webhook"

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """`clock` says how old a message is."""
        self._clock = clock

    def configure(self, asked: Mapping[str, Any], current: Source) -> Configuration:
        """See `Hook.configure`: takes `secret`, the one that was agreed; makes one otherwise, shown this once."""
        given = self._given(asked)
        kept = current.secrets if current.way == "rdv-insertion" else {}
        if given is None and kept:
            return Configuration({}, kept, {})
        secret = given or chance.token_urlsafe(32)
        return Configuration({}, {"secret": secret}, {} if given else {"secret": secret})

    def rotate(self, asked: Mapping[str, Any], current: Source, overlap: timedelta) -> Configuration:
        """See `Hook.rotate`. Rotating again meanwhile replaces the new one, and not the one that the partner uses."""
        given, now, kept = self._given(asked), self._clock(), current.secrets
        previous, until = secrets_in_force(kept, now)[-1], now + overlap
        if previous != kept["secret"]:
            until = min(until, datetime.fromisoformat(kept["previous_until"]))
        secret, last = given or chance.token_urlsafe(32), until.isoformat(timespec="seconds")
        sealed = {"secret": secret, "previous": previous, "previous_until": last}
        return Configuration({}, sealed, ({} if given else {"secret": secret}) | {"previous_until": last})

    def read(self, raw: bytes, headers: Mapping[str, str], secrets: Mapping[str, Any]) -> bytes | None:
        """See `Hook.read`. Some invitations come in Latin-1, signed as UTF-8: the signature says which it is."""
        given = headers.get(HEADER, "").strip().lower()
        usable = secrets_in_force(secrets, self._clock()) if secrets else [_NOBODY]
        utf8 = raw.decode("latin-1").encode() if _is_not_utf8(raw) else raw
        proven = [body for body in (raw, utf8) for secret in usable if _same(signature(secret, body), given)]
        if not secrets or not proven:
            raise Problem(
                "unauthorized",
                "La signature de cet appel (X-RDVI-Signature) n'est pas celle du secret convenu.",
                "The signature of this call (X-RDVI-Signature) is not that of the agreed secret.",
                headers={"WWW-Authenticate": "Signature"},
            )
        return utf8 if self._concerns_somebody(utf8) else None

    def _concerns_somebody(self, body: bytes) -> bool:
        message = parse_json(body)
        meta = message.get("meta") if isinstance(message, dict) else None
        if not isinstance(meta, dict):
            return True  # the adapter says what is wrong with it
        try:
            sent_at = datetime.strptime(str(meta.get("timestamp")), "%Y-%m-%d %H:%M:%S %z")
        except ValueError as error:
            raise Problem(
                "malformed_request",
                "meta.timestamp s'écrit comme 2026-11-09 09:25:07 +0100.",
                "meta.timestamp is written as 2026-11-09 09:25:07 +0100.",
            ) from error
        if not -_AHEAD <= self._clock() - sent_at <= OLDEST:
            raise Problem(
                "conflict",
                "Ce message n'est pas d'aujourd'hui (trois jours au plus, dix minutes d'avance au plus) : il n'est pas pris.",
                "This message is not of now (three days at most, ten minutes ahead at most): it is not taken in.",
            )
        return meta.get("model") in MODELS

    def _given(self, asked: Mapping[str, Any]) -> str | None:
        given = asked.get("secret")
        if not asked.keys() <= {"secret"} or (
            given is not None and not (isinstance(given, str) and given.isascii() and _SHORTEST <= len(given) <= 200)
        ):
            raise invalid(
                f"Réglage possible ici : « secret », le secret convenu, d'au moins {_SHORTEST} caractères",
                f"Possible setting here: “secret”, the agreed secret, of at least {_SHORTEST} characters",
            )
        return given


def _same(right: str, given: str) -> bool:
    return hmac.compare_digest(right.encode(), given.encode("utf-8", "replace"))


def _is_not_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return True
    return False
