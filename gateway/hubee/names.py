"""
The number that a delivery has in the hub: 26 characters, where a UUID has 36 and the hub leaves 30 with the case's rank.
"""

import base64
import binascii
import uuid
from typing import Final

_CASE: Final = "-01"
"""One case a folder: each recipient has a delivery of its own."""


def folder_number(delivery_id: str) -> str:
    """The `externalId` of the folder of a delivery."""
    return base64.b32encode(uuid.UUID(delivery_id).bytes).decode().rstrip("=")


def case_number(delivery_id: str) -> str:
    """The `externalId` of its only case."""
    return folder_number(delivery_id) + _CASE


def delivery_of(case: str) -> str | None:
    """The delivery that a case's `externalId` names; None when it is not one of ours."""
    try:
        return str(uuid.UUID(bytes=base64.b32decode(case.removesuffix(_CASE) + "=" * 6)))
    except (binascii.Error, ValueError):
        return None
