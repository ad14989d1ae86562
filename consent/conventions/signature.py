"""
The parties' signatures: a compact JWS (RFC 7515) over the RFC 8785 form of the convention, one per party.

The payload travels inside the JWS, so that a signature can be checked years later with any JOSE library and nothing
else than the party's public key. Accepted are ES256 and Ed25519, under this name (RFC 9864) or under the one that most
libraries still write, EdDSA (RFC 8037).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey
from joserfc.registry import HeaderParameter

from consent.conventions.convention import canonical_bytes, canonical_hash
from schemas import Document

TYPE: Final = "convention+jws"

_ALGORITHMS: Final = {("EC", "P-256"): ("ES256",), ("OKP", "Ed25519"): ("Ed25519", "EdDSA")}
"""The names that the algorithm of a key may have in a header; `sign` writes the first."""

_HEADERS: Final = {"siret": HeaderParameter("SIRET of the party that signs", "str", required=True)}


class SignatureInvalid(ValueError):
    """
    A signature that proves nothing: `code` for programs, a sentence in French and in English. It holds no key.
    """

    def __init__(self, code: str, message_fr: str, message_en: str) -> None:
        super().__init__(message_fr)
        self.code = code
        self.message_fr = message_fr
        self.message_en = message_en


@dataclass(frozen=True, slots=True)
class Verified:
    """
    What a verified signature says: which party signed which convention, with which of its keys.
    """

    siret: str
    kid: str
    hash: str


def sign(document: Document, private_key_pem: str | bytes, siret: str, kid: str) -> str:
    """
    Sign a convention in the name of a party, with its private key (PEM; EC P-256 or Ed25519); the compact JWS.

    Raises SignatureInvalid when the key cannot sign or when the SIRET is not that of a party.
    """
    _party(document, siret)
    key = _private_key(private_key_pem)
    header = {"alg": _algorithms(key)[0], "kid": kid, "typ": TYPE, "siret": siret}
    return jws.serialize_compact(header, canonical_bytes(document), key, registry=_registry())


def verify_signature(signature: str, document: Document, jwks: Mapping[str, Any]) -> Verified:
    """
    Check that a party signed exactly this convention; `jwks` is the key set that this party registered.

    The caller looks the key set up by the SIRET of the party it expects, then compares it with the one returned:
    what the header says is believed only because one of that party's keys signed it.
    Raises SignatureInvalid.
    """
    try:
        header = jws.extract_compact(signature.encode(), registry=_registry()).headers()
        key = _public_key(jwks, header.get("kid"))
        # The algorithm is that of the registered key; the header must say the same, it does not choose.
        opened = jws.deserialize_compact(signature, key, registry=_registry(*_algorithms(key)))
    except (JoseError, ValueError, TypeError, KeyError) as error:
        if isinstance(error, SignatureInvalid):
            raise
        raise _not_valid() from None
    if header.get("typ") != TYPE:
        raise _not_valid()
    if opened.payload != canonical_bytes(document):
        raise SignatureInvalid(
            "other_convention",
            "Cette signature porte sur un autre texte que celui de la convention : signez de nouveau le texte actuel.",
            "This signature is over another text than that of the convention: sign the present text again.",
        )
    _party(document, header["siret"])
    return Verified(header["siret"], header["kid"], canonical_hash(document))


def _registry(*algorithms: str) -> jws.JWSRegistry:
    every = tuple(name for names in _ALGORITHMS.values() for name in names)
    registry = jws.JWSRegistry(header_registry=_HEADERS, algorithms=algorithms or every)
    # EdDSA is read as Ed25519, the only one of its curves accepted here.
    registry.algorithms = {**registry.algorithms, "EdDSA": registry.algorithms["Ed25519"]}
    return registry


def _private_key(pem: str | bytes) -> ECKey | OKPKey:
    for kind in (ECKey, OKPKey):
        try:
            key = kind.import_key(pem)
        except (JoseError, ValueError, TypeError):
            continue
        if key.is_private:
            return key
    raise SignatureInvalid(
        "key_unusable",
        "Cette clé ne peut pas signer : il faut une clé privée PEM, EC P-256 ou Ed25519.",
        "This key cannot sign: a PEM private key is needed, EC P-256 or Ed25519.",
    )


def _public_key(jwks: Mapping[str, Any], kid: object) -> ECKey | OKPKey:
    """
    The one registered key of that name, when it is a public key that may sign.
    """
    found = [key for key in jwks.get("keys", []) if kid and key.get("kid") == kid and key.get("use", "sig") == "sig"]
    if len(found) != 1:
        raise SignatureInvalid(
            "key_unknown",
            "La clé qui a signé n'est pas enregistrée pour cette organisation.",
            "The key that signed is not registered for this organisation.",
        )
    kinds: dict[object, type[ECKey] | type[OKPKey]] = {"EC": ECKey, "OKP": OKPKey}
    kind = kinds.get(found[0].get("kty"))
    if kind is None:
        raise _not_valid()
    return kind.import_key({name: value for name, value in found[0].items() if name != "d"})


def _algorithms(key: ECKey | OKPKey) -> tuple[str, ...]:
    try:
        return _ALGORITHMS[key.key_type, key.curve_name]
    except KeyError:
        raise SignatureInvalid(
            "key_unusable",
            "Cette clé ne convient pas : il faut une clé EC P-256 ou Ed25519.",
            "This key is not suitable: an EC P-256 or Ed25519 key is needed.",
        ) from None


def _party(document: Document, siret: str) -> None:
    if siret not in {party["siret"] for party in document["parties"]}:
        raise SignatureInvalid(
            "not_a_party",
            "Le signataire n'est pas une partie de cette convention.",
            "The signer is not a party of this convention.",
        )


def _not_valid() -> SignatureInvalid:
    return SignatureInvalid(
        "signature_not_valid",
        "La signature n'est pas valable : ni son en-tête ni son contenu ne peuvent être crus.",
        "The signature is not valid: neither its header nor its content can be believed.",
    )
