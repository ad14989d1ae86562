"""
What a system's registration demands of it: how it proves who it is, what its tokens are bound to, and what it may relax.

    profile       fapi: FAPI 2.0 (audience = the issuer); smart: SMART Backend Services (audience = the token address)
    method        private_key_jwt, tls_client_auth, self_signed_tls_client_auth; client_secret_basic in the sandbox only
    binding       dpop or mtls: a stolen token is worth nothing; bearer in the sandbox only
    sandbox       a trial with fictitious people: the only registration that may do without a key

Nothing here is the client's choice at the time of a request: what is registered is demanded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Final

from gateway.auth.errors import RegistrationRefused
from gateway.limits import KINDS, read_limit
from gateway.outgoing_addresses import PUBLIC, Allowance, OutgoingRefused, check


class Profile(StrEnum):
    """The rules that a client's assertions follow: one set each, since the two standards contradict each other on `aud`."""

    FAPI = "fapi"
    SMART = "smart"

    @property
    def algorithms(self) -> tuple[str, ...]:
        """What the client may sign with; none of the RSA PKCS#1 v1.5 family in either."""
        return ALGORITHMS[self]


ALGORITHMS: Final = {
    # FAPI 2.0 Security Profile section 5.4.1; EdDSA is the former name of Ed25519 (RFC 9864).
    Profile.FAPI: ("ES256", "PS256", "Ed25519", "EdDSA"),
    # SMART App Launch, asymmetric authentication: ES384 is one of the two that servers must know, and the safer.
    Profile.SMART: ("ES384", "ES256", "PS256"),
}


class Method(StrEnum):
    """How a client authenticates (RFC 7591 section 2, RFC 8705 section 2)."""

    PRIVATE_KEY_JWT = "private_key_jwt"
    TLS = "tls_client_auth"
    SELF_SIGNED_TLS = "self_signed_tls_client_auth"
    SECRET = "client_secret_basic"  # noqa: S105 - a method's name


class Binding(StrEnum):
    """What a client's tokens are bound to."""

    DPOP = "dpop"
    MTLS = "mtls"
    BEARER = "bearer"


SUBJECT_KINDS: Final = ("dn", "san_dns", "san_uri")
"""Which part of a certificate names a client (RFC 8705 section 2.1.2): one of them, compared whole."""


@dataclass(frozen=True, slots=True)
class Security:
    """
    One system's security registration, as kept in the column `systems.security`.

    `jwks_uri` is where the partner publishes its keys, in place of keys given once; `network` what the operator, and nobody
    else, allows for it beside public addresses: `{"networks": ["10.1.0.0/16"], "ports": [8443]}`. `tls_subject` is `{kind: value}` of
    `SUBJECT_KINDS`, for tls_client_auth. `limits` replaces the gateway's own for this system: `{"requests": "600/minute"}`. `signed`
    refuses its requests that are not signed (RFC 9421).
    """

    profile: Profile = Profile.FAPI
    method: Method = Method.PRIVATE_KEY_JWT
    binding: Binding = Binding.DPOP
    sandbox: bool = False
    jwks_uri: str | None = None
    network: Mapping[str, Any] | None = None
    tls_subject: Mapping[str, str] | None = None
    limits: Mapping[str, str] | None = None
    signed: bool = False

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Security:
        """Read back what `as_json` wrote."""
        known = {field.name: kept[field.name] for field in fields(cls) if field.name in kept}
        for name, kind in (("profile", Profile), ("method", Method), ("binding", Binding)):
            if name in known:
                known[name] = kind(known[name])
        return cls(**known)

    def as_json(self) -> dict[str, Any]:
        """Write what was chosen; what is the default is not repeated, and follows the default if it is ever tightened."""
        default = asdict(Security())
        return {name: value for name, value in asdict(self).items() if value != default[name]}

    def checked(self) -> Security:
        """Return itself if it holds together; raises `RegistrationRefused`."""
        if not self.sandbox and (self.method is Method.SECRET or self.binding is Binding.BEARER):
            raise RegistrationRefused(
                "sandbox_only",
                "Un secret partagé ou des jetons au porteur ne sont admis que pour un essai avec des personnes fictives (bac à sable).",
                "A shared secret or bearer tokens are only for a trial with fictitious people (sandbox).",
            )
        subject = dict(self.tls_subject or {})
        if (self.method is Method.TLS) != bool(subject) or len(subject) > 1 or not set(subject) <= set(SUBJECT_KINDS):
            raise RegistrationRefused(
                "tls_subject",
                f"tls_client_auth demande un seul nom de certificat : {', '.join(SUBJECT_KINDS)} ; les autres méthodes aucun.",
                f"tls_client_auth needs exactly one certificate name: {', '.join(SUBJECT_KINDS)}; other methods none.",
            )
        _check_limits(self.limits or {})
        if self.jwks_uri is not None:
            _check_address(self.jwks_uri, self.allowance)
        return self

    @property
    def allowance(self) -> Allowance:
        """What the gateway may knock at to read this system's keys; raises `RegistrationRefused`."""
        if not self.network:
            return PUBLIC
        try:
            return Allowance.of(self.network.get("networks", ()), self.network.get("ports", ()))
        except (ValueError, TypeError) as error:
            raise RegistrationRefused(
                "network", "Réseau attendu : par exemple 10.1.0.0/16.", "A network is expected, such as 10.1.0.0/16."
            ) from error


TRIAL: Final = Security(binding=Binding.BEARER, sandbox=True)
"""A software under trial, with fictitious people: bearer tokens."""


def _check_limits(limits: Mapping[str, str]) -> None:
    try:
        if not limits.keys() <= set(KINDS):
            raise ValueError("unknown kind")
        for text in limits.values():
            read_limit(text)
    except ValueError as error:
        known = ", ".join(KINDS)
        raise RegistrationRefused(
            "limits",
            f"Limites possibles : {known}, écrites comme 600/minute.",
            f"Possible limits: {known}, written like 600/minute.",
        ) from error


def _check_address(address: str, allowance: Allowance) -> None:
    try:
        check(address, allowance)
    except OutgoingRefused as error:
        raise RegistrationRefused("jwks_uri", error.message_fr, error.message_en) from error
