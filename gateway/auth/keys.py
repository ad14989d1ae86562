"""
Partners' public keys (RFC 7517): what may be registered, and which algorithms a key serves.

Only asymmetric public keys enter: a symmetric key would let anyone who reads the database sign, and a private member
would mean that the partner has just shown its key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key, KeySetSerialization, OKPKey, RSAKey
from joserfc.util import base64_to_int

from gateway.auth.errors import RegistrationRefused

MAX_KEYS: Final = 10
RSA_BITS: Final = range(2048, 8193)
"""FAPI 2.0 section 5.4: at least 2048; the upper bound keeps one verification cheap."""

_MEMBERS: Final = {"EC": ("crv", "x", "y"), "OKP": ("crv", "x"), "RSA": ("n", "e")}
_CURVES: Final = {"EC": ("P-256", "P-384"), "OKP": ("Ed25519",)}
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_KID = re.compile(r"[\x21-\x7e]{1,128}")


def public_jwks(jwks: object) -> KeySetSerialization:
    """
    Check a JWK set given by a partner and return it reduced to what is needed: `kty`, `kid` and the public members.

    Raises `RegistrationRefused`, naming the key by its rank in the set.
    """
    keys = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(keys, list) or not 0 < len(keys) <= MAX_KEYS:
        raise RegistrationRefused(
            "jwks_shape",
            f'Un jeu de clés JWKS est attendu : {{"keys": [...]}}, de 1 à {MAX_KEYS} clés.',
            f'A JWK set is expected: {{"keys": [...]}}, with 1 to {MAX_KEYS} keys.',
        )
    kept = [{"kid": _kid(jwk, rank), **_public(jwk, rank)} for rank, jwk in enumerate(keys, 1)]
    if len({jwk["kid"] for jwk in kept}) != len(kept):
        raise RegistrationRefused("kid_repeated", "Deux clés portent le même kid.", "Two keys have the same kid.")
    return {"keys": list(kept)}


def import_public(jwk: Mapping[str, Any]) -> Key:
    """Import the public members of one JWK; raises `ValueError` when it is not a key that we accept."""
    kty = jwk.get("kty")
    if not isinstance(kty, str) or kty not in _MEMBERS:
        raise ValueError("unsupported key type")
    members = {name: jwk.get(name) for name in _MEMBERS[kty]}
    if not all(isinstance(value, str) for value in members.values()):
        raise ValueError("missing member")
    if kty in _CURVES and members["crv"] not in _CURVES[kty]:
        raise ValueError("unsupported curve")
    if kty == "RSA" and base64_to_int(str(members["n"])).bit_length() not in RSA_BITS:
        raise ValueError("RSA key too short or too long")
    try:
        return JWKRegistry.import_key({"kty": kty, **members})  # type: ignore[dict-item]  # all are str, checked above
    except JoseError as error:
        raise ValueError("not a valid key") from error


def has_private_member(jwk: Mapping[str, Any]) -> bool:
    """Whether a JWK shows a secret: a private or symmetric key."""
    return not _PRIVATE.isdisjoint(jwk)


def key_named(jwks: KeySetSerialization, kid: str | None) -> Key | None:
    """Find the registered key that a token says it was signed with; it was checked when it was registered."""
    return next((import_public(jwk) for jwk in jwks["keys"] if jwk.get("kid") == kid), None)


def algorithms_of(key: Key) -> tuple[str, ...]:
    """Give the signature algorithms a key may be used with: one per key, never the sender's choice (RFC 8725 section 3.1)."""
    match key:
        case ECKey():
            return ("ES256",) if key.curve_name == "P-256" else ("ES384",)
        case OKPKey():
            return ("Ed25519", "EdDSA")
        case RSAKey():
            return ("PS256",)
        case _:
            return ()


def _kid(jwk: object, rank: int) -> str:
    kid = jwk.get("kid") if isinstance(jwk, Mapping) else None
    if not isinstance(kid, str) or not _KID.fullmatch(kid):
        raise RegistrationRefused(
            "kid_missing",
            f"Clé n° {rank} : donnez-lui un kid de 1 à 128 caractères ASCII visibles.",
            f"Key no. {rank}: give it a kid of 1 to 128 visible ASCII characters.",
        )
    return kid


def _public(jwk: Mapping[str, Any], rank: int) -> dict[str, str | list[str]]:
    if has_private_member(jwk):
        raise RegistrationRefused(
            "key_not_public",
            f"Clé n° {rank} : elle contient une partie secrète. Ne l'utilisez plus, faites-en une autre et n'envoyez que sa partie publique.",
            f"Key no. {rank}: it holds a secret part. Stop using it, make another one and send only its public part.",
        )
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        raise RegistrationRefused(
            "key_use",
            f"Clé n° {rank} : ce n'est pas une clé de signature.",
            f"Key no. {rank}: this is not a signing key.",
        )
    try:
        key = import_public(jwk)
    except ValueError as error:
        raise RegistrationRefused(
            "key_unsupported",
            f"Clé n° {rank} : seules sont acceptées les clés EC P-256 ou P-384, Ed25519 et RSA de 2048 bits ou plus.",
            f"Key no. {rank}: only EC P-256 or P-384, Ed25519 and RSA keys of 2048 bits or more are accepted.",
        ) from error
    if jwk.get("alg") not in (None, *algorithms_of(key)):
        raise RegistrationRefused(
            "key_algorithm",
            f"Clé n° {rank} : l'algorithme annoncé n'est pas accepté. Acceptés : ES256, ES384, PS256, Ed25519.",
            f"Key no. {rank}: the declared algorithm is not accepted. Accepted: ES256, ES384, PS256, Ed25519.",
        )
    return key.as_dict(private=False)
