"""
The program that a newly registered system can run as it is printed: get a token, call the gateway.
"""

from __future__ import annotations

from importlib.resources import files
from string import Template
from typing import Final

from gateway.auth.keys import algorithms_of, import_public
from gateway.auth.profile import Binding, Method, Profile
from gateway.auth.registry import System

_CLASSES: Final = {"EC": "ECKey", "OKP": "OKPKey", "RSA": "RSAKey"}
_EXTRACT: Final = """sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/'"""


def python(system: System, issuer: str) -> str:
    """Write the Python program of a system that signs with a key; it needs httpx and joserfc, and `cle.pem` beside it."""
    registered = [dict(key) for key in system.jwks["keys"]]
    key = registered[0] if registered else {"kid": "1", "kty": "EC", "crv": "P-256", **_PLACEHOLDER}
    audience = issuer if system.security.profile is Profile.FAPI else f"{issuer}/oauth2/token"
    template = "partner_dpop.txt" if system.security.binding is Binding.DPOP else "partner_bearer.txt"
    text = (files("ops.onboarding") / template).read_text(encoding="utf-8")
    return Template(text).substitute(
        issuer=issuer,
        client_id=system.client_id,
        audience=audience,
        kid=key["kid"],
        key_class=_CLASSES[str(key["kty"])],
        imports=", ".join(sorted({"ECKey", _CLASSES[str(key["kty"])]})),
        algorithm=algorithms_of(import_public(key))[0],
    )


def curl(system: System, issuer: str, secret: str = "<secret>") -> str | None:  # noqa: S107 - a placeholder
    """Write the two `curl` lines of a system that needs no signature: a secret, or a certificate. None for the others."""
    if system.security.method is Method.SECRET:
        proof, call = f"-u '{system.client_id}:{secret}'", ""
    elif system.security.method in (Method.TLS, Method.SELF_SIGNED_TLS):
        proof, call = (
            f"--cert certificat.pem --key cle.pem -d client_id={system.client_id}",
            "--cert certificat.pem --key cle.pem ",
        )
    else:
        return None
    return (
        f"TOKEN=$(curl -sS {proof} -d grant_type=client_credentials {issuer}/oauth2/token | {_EXTRACT})\n"
        f'curl -sS {call}-H "Authorization: Bearer $TOKEN" {issuer}/v1/exchanges\n'
    )


_PLACEHOLDER: Final = {
    # RFC 7517 appendix A.1: only the kind of key is read from it, when the partner publishes its keys elsewhere.
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
}
