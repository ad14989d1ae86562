"""
What a sender is answered, as JSON Schema for the API's description: what became of a message, of its records, of a large file.

Open objects: a later version may say more, and nothing that is there is taken away. `records` and
`recorded` are not demanded: an answer kept for a request sent again may be older than they are.
"""

from __future__ import annotations

from typing import Any, Final

_COUNT: Final = {"type": "integer", "minimum": 0}
_LINE: Final = {"type": ["integer", "null"], "description": "Ligne du fichier, à partir de 1."}
_LIST: Final = {"type": "array", "items": {"type": "object"}}

RECORDS: Final[dict[str, Any]] = {
    "type": ["object", "null"],
    "description": "Les enregistrements du fichier : lus, repris, refusés (avertissements), écartés par un « when ». "
    "null : ce format ne les compte pas.",
    "required": ["message", "message_en", "read", "used", "refused", "set_aside_count", "set_aside"],
    "properties": {
        "message": {"type": "string", "description": "Ces nombres en une phrase, en français."},
        "message_en": {"type": "string"},
        "read": _COUNT,
        "used": _COUNT,
        "refused": _COUNT,
        "set_aside_count": _COUNT,
        "set_aside": {
            "type": "array",
            "description": "Où ils sont ; 200 au plus.",
            "items": {
                "type": "object",
                "required": ["record", "line"],
                "properties": {"record": {"type": ["string", "null"]}, "line": _LINE},
            },
        },
    },
}

_TAKEN: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Ce que le message est devenu",
    "required": [
        "documents",
        "accepted",
        "refused",
        "invalid",
        "already_received",
        "refusals",
        "exchanges",
        "warnings",
        "warning_count",
    ],
    "properties": {
        "documents": _COUNT,
        "accepted": _COUNT,
        "refused": _COUNT,
        "invalid": _COUNT,
        "already_received": _COUNT,
        "recorded": {**_COUNT, "description": "Accords enregistrés (kind: consent)."},
        "refusals": {"type": "object", "additionalProperties": _COUNT, "description": "Nombre par raison."},
        "exchanges": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["document", "kind", "line", "state"],
                "properties": {
                    "document": {"type": "string"},
                    "kind": {"type": ["string", "null"]},
                    "line": _LINE,
                    "state": {"enum": ["accepted", "refused", "invalid", "already_received", "recorded"]},
                    "agreement": {
                        "type": "object",
                        "description": "Pour « recorded » : ce que POST /v1/consents répondrait ; pending : posez la question par SMS (sms).",
                        "required": ["id", "state"],
                        "properties": {"id": {"type": "string"}, "state": {"type": "string"}},
                    },
                },
            },
        },
        "warnings": _LIST,
        "warning_count": _COUNT,
        "records": RECORDS,
    },
}
_KEPT: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Gros fichier, pris par une tâche",
    "required": ["id", "state", "adapter", "progress", "report"],
    "properties": {
        "id": {"type": "string"},
        "state": {"type": "string"},
        "adapter": {"type": "string"},
        "records": {"type": "object"},
        "progress": {"type": "string"},
        "report": {"type": "string"},
    },
}
_TRANSLATED: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["documents", "warnings", "records"],
    "properties": {
        "documents": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["line", "document"],
                "properties": {"line": _LINE, "document": {"type": "object"}},
            },
        },
        "warnings": _LIST,
        "records": RECORDS,
    },
}

ANSWERS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "/v1/inbound/{adapter_name}": ("202", {"anyOf": [_TAKEN, _KEPT]}),
    "/v1/referrals": ("202", _TAKEN),
    "/v1/bilans": ("202", _TAKEN),
    "/v1/referrals/{referral_id}/status": ("202", _TAKEN),
    "/v1/adapters/{adapter_name}/translate": ("200", _TRANSLATED),
}
"""What a POST to each address answers: the status, and the schema of its JSON body."""
