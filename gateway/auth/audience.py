"""
Resource indicators (RFC 8707): a token may be made for one part of the gateway only, and then opens nothing else.

A token sent by mistake, or read in a log, to one part is then worth nothing at the others.
"""

from __future__ import annotations

from typing import Final

from gateway.auth.refusal import Refusal

PARTS: Final = ("", "/v1", "/fhir/R4")
"""What may be named after the gateway's address: all of it, the exchange's addresses, or the FHIR façade."""


def requested(issuer: str, resource: str | None) -> str:
    """Give the audience for the parameter `resource`, the whole gateway when it is absent; raises `Refusal` invalid_target."""
    if resource is None:
        return issuer
    wanted = resource.removesuffix("/")
    if wanted not in {issuer + part for part in PARTS}:
        known = ", ".join(issuer + part for part in PARTS)
        raise Refusal(
            "invalid_target",
            f"resource doit être une seule de ces adresses : {known}.",
            f"resource must be exactly one of these addresses: {known}.",
        )
    return wanted


def is_ours(issuer: str, audience: object) -> bool:
    """Whether an audience names this gateway or a part of it, as one string."""
    return isinstance(audience, str) and audience in {issuer + part for part in PARTS}


def covers(issuer: str, audience: str, path: str) -> bool:
    """Whether a token made for `audience` may be used at `path`."""
    part = audience.removeprefix(issuer)
    return path == part or path.startswith(part + "/")
