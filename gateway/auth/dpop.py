"""
Tokens bound to a key (DPoP, RFC 9449): a stolen token is worth nothing without the private key of the system it was made for.

A client that sends a proof to the token endpoint gets a bound token; a bound token opens nothing without a fresh proof.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from joserfc.jwk import Key
from joserfc.util import urlsafe_b64encode

from gateway.auth.access_token import SKEW
from gateway.auth.jose import CLIENT_ALGORITHMS, Unreadable, read
from gateway.auth.keys import algorithms_of, has_private_member, import_public
from gateway.auth.replay import Use, is_jti, use_all
from gateway.store.database import Database
from gateway.store.group_commit import GroupCommit

LIFETIME: Final = 60
"""Seconds during which a proof is acceptable."""

MAX_CHARACTERS: Final = 4_096

_KEYS: Final = 2_000
"""Clients' keys kept ready for use."""

NONCE_MINUTES: Final = 5
"""How long a nonce serves; a client that arrives with an older one is given the next, and tries again."""

_PORTS = {"https": 443, "http": 80}


class ProofRefused(Exception):
    """A proof that is refused: `code` is of RFC 9449 section 12.2; the sentences say what to do."""

    def __init__(self, code: str, detail_fr: str, detail_en: str) -> None:
        super().__init__(f"{code}: {detail_en}")
        self.code = code
        self.detail_fr = detail_fr
        self.detail_en = detail_en


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof whose signature and claims are good: whose key it shows, and what makes it unique."""

    thumbprint: str
    jti: str
    expires_at: datetime

    def use(self) -> Use:
        """What is to be recorded for it to serve once."""
        # No client_id holds a colon: the two kinds of owners cannot meet.
        return Use(f"dpop:{self.thumbprint}", self.jti, self.expires_at)


@dataclass(frozen=True, slots=True)
class Target:
    """What a proof must be made for: method, public address, and the access token that goes with it, if any."""

    method: str
    address: str
    access_token: str | None = None


class Nonces:
    """
    The server's nonces (RFC 9449 section 8): the minute, and its MAC under a secret that every process derives alike.

    They prove that a proof was made recently and not stored up by somebody who held the key for a moment.
    """

    def __init__(self, secret: bytes, clock: Callable[[], datetime]) -> None:
        self._secret = hmac.digest(secret, b"tdu dpop nonce", hashlib.sha256)
        self._clock = clock
        self._accepted: tuple[int, list[str]] = (-1, [])

    def current(self) -> str:
        """Give the nonce of this minute."""
        return self._of(self._minute())

    def accepts(self, nonce: object) -> bool:
        """Whether `nonce` is ours and recent."""
        now = self._minute()
        if self._accepted[0] != now:
            self._accepted = now, [self._of(minute) for minute in range(now - NONCE_MINUTES, now + 2)]
        recent = self._accepted[1]
        return isinstance(nonce, str) and nonce.isascii() and any(hmac.compare_digest(nonce, known) for known in recent)

    def _minute(self) -> int:
        return int(self._clock().timestamp()) // 60

    def _of(self, minute: int) -> str:
        return urlsafe_b64encode(hmac.digest(self._secret, minute.to_bytes(8), hashlib.sha256)[:18]).decode()


class Proofs:
    """Checks the `DPoP` header of a request."""

    def __init__(self, database: Database, secret: bytes, clock: Callable[[], datetime]) -> None:
        self.nonces = Nonces(secret, clock)
        self._database = database
        self._clock = clock
        self._together: GroupCommit[Use] = GroupCommit()

    def read(self, headers: Sequence[str], target: Target) -> Proof:
        """Check everything but the single use (RFC 9449 section 4.3), without the database; raises `ProofRefused`."""
        if len(headers) != 1 or len(headers[0]) > MAX_CHARACTERS:
            raise _refused(
                "Envoyez une seule preuve, dans un seul en-tête DPoP.", "Send one proof, in one DPoP header."
            )
        try:
            thumbprint, claims = _verified(headers[0])
        except ValueError as error:
            raise _refused(
                "La preuve n'est pas un JWT acceptable : typ dpop+jwt, alg de la liste publiée, jwk publique, signature juste.",
                "The proof is not an acceptable JWT: typ dpop+jwt, alg of the published list, public jwk, right signature.",
            ) from error
        issued_at = self._check_claims(claims, target)
        if not self.nonces.accepts(claims.get("nonce")):
            raise ProofRefused(
                "use_dpop_nonce",
                "Signez une nouvelle preuve avec le nonce de l'en-tête DPoP-Nonce de cette réponse.",
                "Sign a new proof with the nonce of this answer's DPoP-Nonce header.",
            )
        return Proof(thumbprint, claims["jti"], datetime.fromtimestamp(issued_at + LIFETIME + SKEW, UTC))

    async def spend(self, use: Use) -> None:
        """Let a proof serve once, whichever process receives the copies; durable when it returns. Raises `ProofRefused`."""
        await self._together.join(use, self._record)
        use.durable = True
        if not use.first:
            raise used_before()

    async def _record(self, uses: Sequence[Use]) -> None:
        async with self._database.write() as tx:
            await use_all(tx, uses)

    def _check_claims(self, claims: dict[str, Any], target: Target) -> float:
        if claims.get("htm") != target.method or not _same_address(claims.get("htu"), target.address):
            raise _refused(
                "La preuve est faite pour une autre requête : htm doit en être la méthode, et htu l'adresse publique sans paramètres.",
                "The proof is for another request: htm must be its method, and htu its public address without parameters.",
            )
        now, issued_at = self._clock().timestamp(), claims.get("iat")
        if not isinstance(issued_at, int | float) or not now - LIFETIME - SKEW <= issued_at <= now + SKEW:
            raise _refused(
                f"iat doit être un nombre, à moins de {LIFETIME} secondes. Vérifiez l'horloge du serveur.",
                f"iat must be a number, less than {LIFETIME} seconds ago. Check the server's clock.",
            )
        if not is_jti(claims.get("jti")):
            raise _refused(
                "jti doit être un identifiant unique, de 1 à 256 caractères ASCII visibles.",
                "jti must be a unique identifier of 1 to 256 visible ASCII characters.",
            )
        expected = (
            target.access_token and urlsafe_b64encode(hashlib.sha256(target.access_token.encode()).digest()).decode()
        )
        if expected and claims.get("ath") != expected:
            raise _refused(
                "ath doit être l'empreinte SHA-256 du jeton, en base64url.",
                "ath must be the token's SHA-256 hash, in base64url.",
            )
        return float(issued_at)


def _verified(compact: str) -> tuple[str, dict[str, Any]]:
    """Verify a proof under the key it carries and return that key's thumbprint (RFC 7638) and the claims; raises `ValueError`."""
    proof = read(compact, header_names={"typ", "alg", "jwk", "kid"})
    jwk = proof.header.get("jwk")
    if proof.kind != "dpop+jwt" or proof.header.get("alg") not in CLIENT_ALGORITHMS or not isinstance(jwk, dict):
        raise Unreadable("not a proof")
    if has_private_member(jwk):
        raise Unreadable("the key is not public")
    key, thumbprint = _imported(orjson.dumps(jwk))
    proof.verify(key, algorithms_of(key))
    return thumbprint, proof.claims


@lru_cache(maxsize=_KEYS)
def _imported(jwk: bytes) -> tuple[Key, str]:
    """Import a public key, given as JSON, with its thumbprint; a client shows the same one with every request."""
    key = import_public(orjson.loads(jwk))
    return key, key.thumbprint()


def _same_address(htu: object, address: str) -> bool:
    """Compare without query and fragment, after the normalisation that RFC 9449 section 4.3 asks for."""
    return htu == address or (isinstance(htu, str) and htu.isprintable() and _normalised(htu) == _normalised(address))


def _normalised(address: str) -> tuple[str, str | None, int | None, str] | None:
    try:
        parts = urlsplit(address)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    return None if "@" in parts.netloc else (parts.scheme, parts.hostname, port, parts.path or "/")


def used_before() -> ProofRefused:
    """Refuse a proof that is not at its first use."""
    return _refused(
        "Cette preuve a déjà servi. Signez-en une par requête, avec un nouveau jti.",
        "This proof was used before. Sign one for each request, with a new jti.",
    )


def _refused(detail_fr: str, detail_en: str) -> ProofRefused:
    return ProofRefused("invalid_dpop_proof", detail_fr, detail_en)
