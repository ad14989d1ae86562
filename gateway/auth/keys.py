"""
Partners' public keys (RFC 7517): what may be registered, and which algorithms a key serves.

Only asymmetric public keys enter: a symmetric key would let anyone who reads the database sign, and a private member
would mean that the partner has just shown its key.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any, Final, cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import Certificate, load_der_x509_certificate
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key, KeySetSerialization, OctKey, OKPKey, RSAKey
from joserfc.util import base64_to_int

from gateway.auth.certificates import thumbprint
from gateway.auth.errors import RegistrationRefused
from gateway.auth.jose import CLIENT_ALGORITHMS

MAX_KEYS: Final = 10
_PUBLISHED: Final = 50
"""Keys that are looked at in a set that a partner publishes."""

RSA_BITS: Final = range(2048, 8193)
"""FAPI 2.0 section 5.4: at least 2048; the upper bound keeps one verification cheap."""

_MEMBERS: Final = {"EC": ("crv", "x", "y"), "OKP": ("crv", "x"), "RSA": ("n", "e")}
_CURVES: Final = {"EC": ("P-256", "P-384"), "OKP": ("Ed25519",)}
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_KID = re.compile(r"[\x21-\x7e]{1,128}")


def public_jwks(jwks: object, algorithms: Collection[str] = CLIENT_ALGORITHMS) -> KeySetSerialization:
    """
    Check a JWK set given by a partner and return it reduced to what is needed: `kty`, `kid`, the public members, and the
    thumbprint `x5t#S256` of the certificate when the key comes with one (`x5c`, RFC 8705 section 2.2.2).

    Raises `RegistrationRefused`, naming the key by its rank in the set; also for keys that serve none of `algorithms`.
    """
    keys = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(keys, list) or not 0 < len(keys) <= MAX_KEYS:
        raise RegistrationRefused(
            "jwks_shape",
            f'Un jeu de clés JWKS est attendu : {{"keys": [...]}}, de 1 à {MAX_KEYS} clés.',
            f'A JWK set is expected: {{"keys": [...]}}, with 1 to {MAX_KEYS} keys.',
        )
    kept = [_kept(jwk, rank, algorithms) for rank, jwk in enumerate(keys, 1)]
    if len({jwk["kid"] for jwk in kept}) != len(kept):
        raise RegistrationRefused("kid_repeated", "Deux clés portent le même kid.", "Two keys have the same kid.")
    return {"keys": list(kept)}


def usable_jwks(jwks: object, algorithms: Collection[str]) -> KeySetSerialization:
    """
    Keep, of a set that a partner publishes, the keys that could have been registered: others serve other purposes.

    A `kid` that two keys share names neither of them.
    """
    keys = jwks.get("keys") if isinstance(jwks, Mapping) else None
    kept: dict[str, dict[str, Any]] = {}
    repeated: set[str] = set()
    for rank, jwk in enumerate(keys[:_PUBLISHED] if isinstance(keys, list) else [], 1):
        with suppress(RegistrationRefused):
            key = _kept(jwk, rank, algorithms)
            repeated |= {key["kid"]} & kept.keys()
            kept[key["kid"]] = key
    return {"keys": [key for kid, key in kept.items() if kid not in repeated]}


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


def _kept(jwk: object, rank: int, algorithms: Collection[str]) -> dict[str, Any]:
    kid = _kid(jwk, rank)
    public = _public(cast("Mapping[str, Any]", jwk), rank, algorithms)
    return {"kid": kid, **public, **_certificate(cast("Mapping[str, Any]", jwk), rank)}


def _certificate(jwk: Mapping[str, Any], rank: int) -> dict[str, str]:
    """The thumbprint of the certificate that comes with a key, after checking that it is this key's."""
    if "x5c" not in jwk:
        return {}
    try:
        certificate = load_der_x509_certificate(base64.b64decode(jwk["x5c"][0], validate=True))
        key = import_public(jwk)
        if isinstance(key, OctKey) or key.as_pem(private=False) != _spki(certificate):
            raise ValueError("another key")
    except (ValueError, TypeError, LookupError, UnsupportedAlgorithm) as error:
        raise RegistrationRefused(
            "key_certificate",
            f"Clé n° {rank} : x5c doit commencer par le certificat de cette clé (DER en base64).",
            f"Key no. {rank}: x5c must start with this key's certificate (DER in base64).",
        ) from error
    return {"x5t#S256": thumbprint(certificate)}


def _spki(certificate: Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _kid(jwk: object, rank: int) -> str:
    kid = jwk.get("kid") if isinstance(jwk, Mapping) else None
    if not isinstance(kid, str) or not _KID.fullmatch(kid):
        raise RegistrationRefused(
            "kid_missing",
            f"Clé n° {rank} : donnez-lui un kid de 1 à 128 caractères ASCII visibles.",
            f"Key no. {rank}: give it a kid of 1 to 128 visible ASCII characters.",
        )
    return kid


def _public(jwk: Mapping[str, Any], rank: int, algorithms: Collection[str]) -> dict[str, str | list[str]]:
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
    if jwk.get("alg") not in (None, *algorithms_of(key)) or not set(algorithms_of(key)) & set(algorithms):
        known = ", ".join(algorithms)
        raise RegistrationRefused(
            "key_algorithm",
            f"Clé n° {rank} : son algorithme n'est pas accepté. Acceptés ici : {known}.",
            f"Key no. {rank}: its algorithm is not accepted. Accepted here: {known}.",
        )
    return key.as_dict(private=False)
