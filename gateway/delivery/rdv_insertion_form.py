"""
A webhook in the form of rdv-insertion: `{data, meta}`, signed as rdv-insertion signs, for systems that already read its calls.

What the recipient's adapter wrote as such a message leaves as it is; anything else is `data`, its kind being `meta.model`. Nothing
in it changes when it is sent again, so that the recipient recognises it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from gateway.sources.rdv_insertion import HEADER, signature, written

NAME: Final = "rdv-insertion"


def message(kind: str, data: Mapping[str, Any], now: datetime) -> bytes:
    """Write one delivery, or an event about the endpoint itself (`kind` is then its type, `data` what it says)."""
    document = data.get("document")
    if isinstance(document, dict) and {"data", "meta"} <= document.keys():
        return orjson.dumps(document)
    if document is None:
        told = {"model": kind.split(".")[2], "event": "created", "timestamp": written(now)}
        return orjson.dumps({"data": dict(data), "meta": told})
    made = document.get("created_at") if isinstance(document, dict) else None
    at = datetime.fromisoformat(made) if isinstance(made, str) else now
    told = {"model": str(data["kind"]).capitalize(), "event": "created", "timestamp": written(at)}
    return orjson.dumps({"data": document, "meta": told})


def headers(ident: str, secret: str, body: bytes) -> dict[str, str]:
    """Sign a body with one secret; `ident` stays the same when it is sent again."""
    return {"Content-Type": "application/json", "Webhook-Id": ident, HEADER: signature(secret, body)}
