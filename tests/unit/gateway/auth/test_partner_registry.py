"""
Registering partners, systems and their keys: what enters is public, asymmetric and unambiguous.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import ECKey, OctKey, OKPKey
from joserfc.util import int_to_base64

from gateway.auth.errors import RegistrationRefused
from gateway.auth.keys import public_jwks
from gateway.auth.profile import TRIAL, Binding, Method, Security
from gateway.auth.registry import add_partner, add_system, disable_system, get_partner, get_system
from gateway.store.tables import systems

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def _rsa(bits: int) -> dict[str, Any]:
    numbers = rsa.generate_private_key(65537, bits).public_key().public_numbers()
    return {"kty": "RSA", "kid": "rsa", "n": int_to_base64(numbers.n), "e": int_to_base64(numbers.e)}


def _public(keys: Any, **changes: Any) -> dict[str, Any]:
    return {**keys.es256.as_dict(private=False), **changes}


KEYS_REFUSED: dict[str, tuple[str, Callable[[Any], object]]] = {
    "not a set": ("jwks_shape", _public),
    "text": ("jwks_shape", lambda k: "clés"),
    "None": ("jwks_shape", lambda k: None),
    "keys not a list": ("jwks_shape", lambda k: {"keys": {}}),
    "empty": ("jwks_shape", lambda k: {"keys": []}),
    "eleven keys": ("jwks_shape", lambda k: {"keys": [_public(k, kid=str(n)) for n in range(11)]}),
    "a key that is a text": ("kid_missing", lambda k: {"keys": ["clé"]}),
    "no kid": ("kid_missing", lambda k: {"keys": [{name: v for name, v in _public(k).items() if name != "kid"}]}),
    "kid empty": ("kid_missing", lambda k: {"keys": [_public(k, kid="")]}),
    "kid number": ("kid_missing", lambda k: {"keys": [_public(k, kid=1)]}),
    "kid with a space": ("kid_missing", lambda k: {"keys": [_public(k, kid="a b")]}),
    "kid repeated": (
        "kid_repeated",
        lambda k: {"keys": [_public(k), {**k.other.as_dict(private=False), "kid": "es256"}]},
    ),
    "private EC": ("key_not_public", lambda k: {"keys": [k.es256.as_dict(private=True)]}),
    "private RSA": ("key_not_public", lambda k: {"keys": [k.ps256.as_dict(private=True)]}),
    "private Ed25519": ("key_not_public", lambda k: {"keys": [k.ed25519.as_dict(private=True)]}),
    "symmetric": ("key_not_public", lambda k: {"keys": [OctKey.generate_key(256, {"kid": "o"}).as_dict(private=True)]}),
    "for encryption": ("key_use", lambda k: {"keys": [_public(k, use="enc")]}),
    "for other operations": ("key_use", lambda k: {"keys": [_public(k, key_ops=["encrypt"])]}),
    "P-521": (
        "key_unsupported",
        lambda k: {"keys": [ECKey.generate_key("P-521", {"kid": "e"}).as_dict(private=False)]},
    ),
    "secp256k1": (
        "key_unsupported",
        lambda k: {"keys": [ECKey.generate_key("secp256k1", {"kid": "e"}).as_dict(private=False)]},
    ),
    "Ed448": (
        "key_unsupported",
        lambda k: {"keys": [OKPKey.generate_key("Ed448", {"kid": "e"}).as_dict(private=False)]},
    ),
    "X25519": (
        "key_unsupported",
        lambda k: {"keys": [OKPKey.generate_key("X25519", {"kid": "e"}).as_dict(private=False)]},
    ),
    "RSA of 1024 bits": ("key_unsupported", lambda k: {"keys": [_rsa(1024)]}),
    "RSA of 16384 bits": ("key_unsupported", lambda k: {"keys": [{**_rsa(2048), "n": int_to_base64(2**16383 + 1)}]}),
    "point off the curve": ("key_unsupported", lambda k: {"keys": [_public(k, x=_public(k)["y"])]}),
    "member missing": ("key_unsupported", lambda k: {"keys": [{"kty": "EC", "kid": "e", "crv": "P-256"}]}),
    "member of another type": ("key_unsupported", lambda k: {"keys": [_public(k, x=1)]}),
    "member not base64url": ("key_unsupported", lambda k: {"keys": [_public(k, x="é")]}),
    "kty unknown": ("key_unsupported", lambda k: {"keys": [_public(k, kty="AKP")]}),
    "kty a list": ("key_unsupported", lambda k: {"keys": [_public(k, kty=["EC"])]}),
    "alg of another key": ("key_algorithm", lambda k: {"keys": [_public(k, alg="ES384")]}),
    "alg RS256": ("key_algorithm", lambda k: {"keys": [{**k.ps256.as_dict(private=False), "alg": "RS256"}]}),
    "alg HS256": ("key_algorithm", lambda k: {"keys": [_public(k, alg="HS256")]}),
}


@pytest.mark.parametrize("case", KEYS_REFUSED)
def test_a_key_set_that_is_not_safe_is_refused(keys: Any, case: str) -> None:
    """A key that is secret, weak, ambiguous or for another use never enters, and the refusal repeats nothing of it."""
    code, make = KEYS_REFUSED[case]
    given = make(keys)
    with pytest.raises(RegistrationRefused) as refused:
        public_jwks(given)
    assert code == refused.value.code
    assert refused.value.message_fr != refused.value.message_en
    assert str(keys.es256.as_dict(private=True)["d"]) not in refused.value.message_fr + refused.value.message_en


def test_a_key_set_is_kept_without_what_is_not_needed(keys: Any) -> None:
    """Only the type, the name and the public members are stored: no address to fetch, no certificate, no algorithm to believe."""
    given = {
        "keys": [
            _public(keys, alg="ES256", use="sig", x5u="https://autre.example.org", comment="clé de la CAF"),
            {**keys.ed25519.as_dict(private=False), "alg": "EdDSA", "key_ops": ["verify"]},
            keys.ps256.as_dict(private=False),
        ],
        "note": "à ignorer",
    }
    kept = public_jwks(given)
    assert [{"kid", "kty", "crv", "x", "y"}, {"kid", "kty", "crv", "x"}, {"kid", "kty", "n", "e"}] == [
        set(key) for key in kept["keys"]
    ]


async def test_what_was_registered_is_read_back(desk: Any) -> None:
    """Partners and systems come back as they were given; an unknown one is None."""
    async with desk.database.read() as tx:
        partner = await get_partner(tx, "99900001100018")
        system = await get_system(tx, "caf-rsa")
        unknown = [
            await get_system(tx, "personne"),
            await get_system(tx, "\x00"),
            await get_partner(tx, "00000000000000"),
        ]
    assert ("99900001100018", "CAF de Valombre", desk.keys.public("ed25519")) == (
        partner.siret,
        partner.name,
        {"keys": [dict(key) for key in partner.signing_jwks["keys"]]},
    )
    assert ("caf-rsa", "99900001100018", frozenset({"partner"}), "shared-json", False) == (
        system.client_id,
        system.partner,
        system.roles,
        system.adapter,
        system.disabled,
    )
    assert [None, None, None] == unknown


PARTNERS_REFUSED = {
    "siret_invalid": {"siret": "99900001100019"},
    "name_invalid": {"name": " "},
    "jwks_shape": {"signing_jwks": {}},
    "partner_exists": {},
}


@pytest.mark.parametrize("code", PARTNERS_REFUSED)
async def test_a_partner_that_cannot_be_registered_is_refused(desk: Any, code: str) -> None:
    """A wrong SIRET, an empty name, no key, a partner already there: each has its own sentence."""
    given = {
        "siret": "99900001100018",
        "name": "CAF",
        "signing_jwks": desk.keys.public("es256"),
        **PARTNERS_REFUSED[code],
    }
    async with desk.database.write() as tx:
        with pytest.raises(RegistrationRefused) as refused:
            await add_partner(tx, **given, now=NOW)
    assert code == refused.value.code


def _trial(**changes: Any) -> Security:
    return replace(TRIAL, **changes)


SYSTEMS_REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "capitals": ("client_id_invalid", {"client_id": "CAF"}),
    "colon": ("client_id_invalid", {"client_id": "caf:rsa"}),
    "NUL": ("client_id_invalid", {"client_id": "caf\x00"}),
    "65 characters": ("client_id_invalid", {"client_id": "c" * 65}),
    "name on two lines": ("name_invalid", {"name": "a\nb"}),
    "name too long": ("name_invalid", {"name": "n" * 201}),
    "role unknown": ("roles_invalid", {"roles": ["root"]}),
    "no role": ("roles_invalid", {"roles": []}),
    "partner unknown": ("partner_unknown", {"partner": "99900002900010"}),
    "already there": ("system_exists", {"client_id": "caf-rsa"}),
    "bearer outside the sandbox": ("sandbox_only", {"security": Security(binding=Binding.BEARER)}),
    "a secret outside the sandbox": (
        "sandbox_only",
        {"security": Security(method=Method.SECRET), "jwks": None, "secret": "secret"},
    ),
    "no secret": ("secret", {"security": _trial(method=Method.SECRET), "jwks": None}),
    "a secret beside a key": ("secret", {"secret": "secret"}),
    "no key": ("jwks_shape", {"jwks": None}),
    "keys and their address": ("jwks_twice", {"security": _trial(jwks_uri="https://caf.example/jwks")}),
    "address not https": ("jwks_uri", {"security": _trial(jwks_uri="http://caf.example/jwks"), "jwks": None}),
    "address of this machine": ("jwks_uri", {"security": _trial(jwks_uri="https://127.0.0.1/jwks"), "jwks": None}),
    "address on another port": ("jwks_uri", {"security": _trial(jwks_uri="https://caf.example:8443/"), "jwks": None}),
    "network that is none": (
        "network",
        {"security": _trial(jwks_uri="https://caf.example/", network={"networks": ["ici"]}), "jwks": None},
    ),
    "certificate without a name": ("tls_subject", {"security": _trial(method=Method.TLS), "jwks": None}),
    "certificate with two names": (
        "tls_subject",
        {"security": _trial(method=Method.TLS, tls_subject={"dn": "CN=a", "san_dns": "a.example"}), "jwks": None},
    ),
    "certificate with a name of another kind": (
        "tls_subject",
        {"security": _trial(method=Method.TLS, tls_subject={"san_email": "a@b.example"}), "jwks": None},
    ),
    "certificate's name for a key": ("tls_subject", {"security": _trial(tls_subject={"dn": "CN=a"})}),
    "self-signed certificate absent": ("certificate_missing", {"security": _trial(method=Method.SELF_SIGNED_TLS)}),
}


@pytest.mark.parametrize("case", SYSTEMS_REFUSED)
async def test_a_system_that_cannot_be_registered_is_refused(desk: Any, case: str) -> None:
    """Forms, roles, delivery, partner and uniqueness are checked before anything is written."""
    code, changes = SYSTEMS_REFUSED[case]
    given = {
        "client_id": "caf-essai",
        "partner": "99900001100018",
        "name": "Essai",
        "jwks": desk.keys.public("es256"),
        "security": TRIAL,
        **changes,
    }
    async with desk.database.write() as tx:
        with pytest.raises(RegistrationRefused) as refused:
            await add_system(tx, **given, now=NOW)
    assert code == refused.value.code


async def test_disabling_keeps_the_first_date_and_refuses_an_unknown_system(desk: Any) -> None:
    """Disabling twice changes nothing; a wrong name is told."""
    dates = []
    for now in (NOW, datetime.now(UTC)):
        async with desk.database.write() as tx:
            await disable_system(tx, "caf-ancien", now)
            dates.append(await tx.scalar(sa.select(systems.c.disabled_at).where(systems.c.client_id == "caf-ancien")))
    assert 1 == len(set(dates)) and None not in dates
    async with desk.database.write() as tx:
        with pytest.raises(RegistrationRefused, match="n'est pas enregistré"):
            await disable_system(tx, "personne", NOW)


async def test_a_registration_falls_with_the_transaction_it_was_made_in(desk: Any) -> None:
    """What goes with a registration failed: the registration never happened."""
    with pytest.raises(RuntimeError):
        async with desk.database.write() as tx:
            await add_partner(tx, siret="99900004500016", name="CCAS", signing_jwks=desk.keys.public("es256"), now=NOW)
            raise RuntimeError
    async with desk.database.read() as tx:
        assert await get_partner(tx, "99900004500016") is None
