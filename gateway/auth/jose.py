"""
Reading signed tokens strictly: one reader for client assertions, access tokens and DPoP proofs.

The order matters: size, then shape, then header, then signature; claims are believed only after the signature.
Sources: RFC 7515, RFC 8725 (JWT best practice), FAPI 2.0 Security Profile section 5.4.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import Key
from joserfc.jws import CompactSignature, JWSRegistry, validate_compact
from joserfc.util import urlsafe_b64decode

from schemas import MalformedJson, parse_json

MAX_CHARACTERS: Final = 8_192
"""A PS256 assertion with a 4096-bit key is about 1,200 characters."""

CLIENT_ALGORITHMS: Final = ("ES256", "ES384", "PS256", "Ed25519", "EdDSA")
"""What a partner may sign with: asymmetric, and none of the RSA PKCS#1 v1.5 family (FAPI 2.0)."""

_HEADER_NAMES = frozenset({"alg", "typ", "kid", "cty", "x5t", "x5t#S256"})


class Unreadable(ValueError):
    """Not a token that can be verified: the message says why, and holds nothing of the token."""


class _Registry(JWSRegistry):
    # EdDSA is the former name of Ed25519 (RFC 9864); joserfc would also let Ed448 pass under it, and warn each time.
    algorithms = {  # noqa: RUF012 - the library's own class attribute
        **{name: JWSRegistry.algorithms[name] for name in ("ES256", "ES384", "PS256", "Ed25519")},
        "EdDSA": JWSRegistry.algorithms["Ed25519"],
    }


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was read but, until `verify` returns, not believed: `header` and `claims` are the sender's word."""

    header: dict[str, Any]
    claims: dict[str, Any]
    _signature: CompactSignature

    @property
    def kid(self) -> str | None:
        """The key the token says it was signed with."""
        kid = self.header.get("kid")
        return kid if isinstance(kid, str) and kid else None

    @property
    def kind(self) -> str:
        """The header's `typ`, in lower case and without its optional `application/` (RFC 7515 section 4.1.9)."""
        return str(self.header.get("typ", "")).lower().removeprefix("application/")

    def verify(self, key: Key, algorithms: Collection[str]) -> None:
        """Check the signature with `key`, for one of `algorithms`; raises `Unreadable`."""
        try:
            good = validate_compact(self._signature, key, registry=_Registry(algorithms=algorithms))
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise Unreadable("algorithm and key do not go together") from error
        if not good:
            raise Unreadable("wrong signature")


def read(compact: str, *, header_names: Collection[str] = _HEADER_NAMES) -> Token:
    """
    Read a compact JWS whose payload is a JSON object; raises `Unreadable`, whatever the text.

    Headers outside `header_names` are refused, not ignored: `jku`, `x5u`, `jwk` and `x5c` bring the key from the
    attacker, `crit` and `b64` change what is signed.
    """
    if len(compact) > MAX_CHARACTERS or not compact.isascii():
        raise Unreadable("too long, or not ASCII")
    segments = compact.encode().split(b".")
    if len(segments) != 3:
        raise Unreadable("not three parts")
    try:
        header, claims = (parse_json(urlsafe_b64decode(part), max_depth=8, max_items=500) for part in segments[:2])
    except (MalformedJson, ValueError) as error:
        raise Unreadable("not JSON in base64url") from error
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise Unreadable("header or claims are not objects")
    if not header.keys() <= set(header_names):
        raise Unreadable("a header that is not accepted")
    signature = CompactSignature(header, urlsafe_b64decode(segments[1]))
    signature.segments.update({"header": segments[0], "payload": segments[1], "signature": segments[2]})
    return Token(header, claims, signature)
