"""
The API's own description (OpenAPI 3.1): French titles first, the bodies by reference to the published schemas, the problems.

The routes read their bodies themselves, counted and strict, so that FastAPI cannot describe them: this does.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from adapters.registry import ADAPTERS
from gateway.delivery.base import BOUNDS
from gateway.delivery.lookup import KINDS, REPLAYABLE
from gateway.directory.capacity import MOST
from gateway.http.answer_schemas import ANSWERS

_JSON: Final = "application/json"
_FILES: Final = sorted({media_type for adapter in ADAPTERS.values() for media_type in adapter.media_types})

_OBJECT: Final = {"type": "object"}
_WITHDRAWAL: Final = {
    "type": "object",
    "properties": {
        "scopes": {"type": "array", "items": {"type": "string"}, "description": "Portées retirées ; absent : toutes."},
        "channel": {"$ref": "/schemas/codes/consent_channel.json"},
    },
}
_OBJECTION: Final = {
    "type": "object",
    "required": ["subject"],
    "properties": {
        "subject": {"$ref": "/schemas/person/v1.json"},
        "recipient": {"type": "string", "description": "SIRET ; absent : tous les destinataires."},
        "purpose": {"$ref": "/schemas/codes/purpose.json"},
    },
}
_RENEWAL: Final = {
    "type": "object",
    "required": ["channel", "evidence"],
    "description": "La nouvelle réponse de la personne ; le reste vient de l'accord renouvelé (voir le schéma consent).",
    "properties": {
        "channel": {"$ref": "/schemas/codes/consent_channel.json"},
        "evidence": {"type": "object"},
        "duration": {"$ref": "/schemas/codes/duration.json"},
        "valid_until": {"type": "string", "format": "date-time"},
        "collected_at": {"type": "string", "format": "date-time"},
        "scopes": {"type": "array", "items": {"type": "string"}, "description": "Portées gardées ; absent : toutes."},
    },
}
_REPLY: Final = {
    "type": "object",
    "required": ["correlation", "phone", "message", "received_at"],
    "properties": {
        "correlation": {"type": "string", "description": "Celle que la demande a donnée."},
        "phone": {"type": "string", "description": "Le numéro qui a répondu."},
        "message": {"type": "string"},
        "received_at": {"type": "string", "format": "date-time"},
    },
}
_PROFESSIONAL: Final = {
    "type": "object",
    "required": ["name", "role"],
    "properties": {"name": {"type": "string"}, "role": {"type": "string"}},
}
_ACCESS: Final = {
    "type": "object",
    "required": ["subject", "kind", "purpose", "recipient", "reason", "statement", "agent"],
    "properties": {
        "subject": {"$ref": "/schemas/person/v1.json"},
        "kind": {"enum": ["referral", "bilan", "status"]},
        "purpose": {"$ref": "/schemas/codes/purpose.json"},
        "recipient": {"type": "string", "description": "SIRET."},
        "reason": {"$ref": "/schemas/codes/break_glass_reason.json"},
        "statement": {"type": "string", "minLength": 20, "maxLength": 1000, "description": "Ce qui se passe."},
        "agent": _PROFESSIONAL,
        "hours": {"type": "integer", "description": "Au plus ce que dit la convention ; absent : autant."},
    },
}
_REVIEW: Final = {
    "type": "object",
    "required": ["outcome", "reviewer"],
    "properties": {"outcome": {"enum": ["justified", "unjustified"]}, "reviewer": _PROFESSIONAL},
}
_SIGNATURE: Final = {"type": "object", "required": ["jws"], "properties": {"jws": {"type": "string"}}}
_QUESTION: Final = {
    "type": "object",
    "required": ["kind", "purpose", "recipient"],
    "properties": {
        "kind": {"enum": ["referral", "bilan", "status"]},
        "purpose": {"$ref": "/schemas/codes/purpose.json"},
        "recipient": {"type": "string", "description": "SIRET."},
        "subject": {"$ref": "/schemas/person/v1.json"},
        "document": {"type": "object", "description": "Le document entier, à la place de subject."},
    },
}
_REASON: Final = {
    "type": "object",
    "required": ["reason"],
    "properties": {"reason": {"enum": ["temporary", "unreadable", "unknown_person", "not_for_us", "other"]}},
}

_SEARCH: Final[dict[str, Any]] = {
    "type": "object",
    "description": "Sans critère : tous les événements. Le contenu est masqué sauf motif.",
    "properties": {
        "subject": {"description": "La personne, ou {pseudonym} avec partner.", "$ref": "/schemas/person/v1.json"},
        "partner": {"type": "string", "description": "SIRET d'une organisation nommée par les événements."},
        "convention": {"type": "string"},
        "purpose": {"$ref": "/schemas/codes/purpose.json"},
        "types": {"type": "array", "items": {"type": "string"}},
        "from": {"type": "string", "format": "date-time", "description": "Compris."},
        "until": {"type": "string", "format": "date-time", "description": "Non compris."},
        "view": {"enum": ["masked", "opened"]},
        "reason": {"$ref": "/schemas/codes/audit_reason.json"},
        "case": {"type": "string", "description": "Référence d'un dossier, jamais un nom."},
        "cursor": {"type": "string"},
        "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
    },
}
_EXPORT: Final = {
    "type": "object",
    "properties": {
        **{name: rule for name, rule in _SEARCH["properties"].items() if name not in ("cursor", "limit")},
        "format": {"enum": ["ndjson", "csv", "fhir"]},
    },
}
_ENDPOINT: Final = {
    "type": "object",
    "required": ["transport"],
    "properties": {
        "transport": {"enum": ["pull", "webhook", "sftp", "amqp", "hubee"]},
        "settings": {"type": "object", "description": "Selon la remise ; webhook : url, notice_url, form."},
        "kinds": {
            "type": "array",
            "items": {"enum": ["referral", "bilan", "status", "consent"]},
            "description": "Absent : tous les genres.",
        },
        "policy": {
            "type": "object",
            "properties": {
                name: {"type": "integer", "minimum": low, "maximum": high} for name, (low, high) in BOUNDS.items()
            },
        },
    },
}
_REPLAY: Final = {
    "type": "object",
    "properties": {
        "dry_run": {"type": "boolean", "description": "Compter seulement."},
        "states": {
            "type": "array",
            "items": {"enum": list(REPLAYABLE)},
            "description": "Absent : ce qui a été mis de côté (rejected, abandoned).",
        },
        "kind": {"enum": list(KINDS)},
        "reason": {"type": "string", "description": "Le motif exact de la mise de côté."},
        "sender": {"type": "string", "description": "SIRET."},
        "recipient": {"type": "string", "description": "SIRET."},
        "since": {"type": "string", "format": "date-time"},
        "until": {"type": "string", "format": "date-time"},
    },
}
_SOURCE: Final = {
    "type": "object",
    "required": ["way"],
    "properties": {
        "way": {"enum": ["api", "rdv-insertion", "hubee", "dora", "i-milo"]},
        "settings": {"type": "object", "description": "Selon la voie : voir le README du format."},
    },
}
_RENEWED_SECRET: Final = {
    "type": "object",
    "properties": {
        "overlap_hours": {"type": "integer", "minimum": 0, "maximum": 168, "default": 24},
        "secret": {"type": "string", "description": "Celui qui a été convenu ; absent : la passerelle en fait un."},
    },
}
_OVERLAP: Final = {
    "type": "object",
    "properties": {"overlap_hours": {"type": "integer", "minimum": 0, "maximum": 168, "default": 24}},
}

_CAPACITY: Final = {
    "type": "object",
    "required": ["places", "until"],
    "properties": {
        "places": {"type": "integer", "minimum": 0, "maximum": MOST},
        "until": {"type": "string", "format": "date", "description": "Dernier jour compris, d'ici un an au plus."},
    },
}

_PERSON: Final[dict[str, Any]] = {
    "subject": {"description": "La personne, ou {pseudonym} avec partner.", "$ref": "/schemas/person/v1.json"},
    "partner": {"type": "string", "description": "SIRET de l'organisation qui connaît le pseudonyme."},
}
_ERASURE: Final = {
    "type": "object",
    "required": ["subject", "reason"],
    "properties": {
        **_PERSON,
        "reason": {"$ref": "/schemas/codes/erasure_reason.json"},
        "keep_objections": {
            "type": "boolean",
            "default": True,
            "description": "Une opposition en cours est gardée pour son seul usage, sans rien d'autre.",
        },
    },
}

BODIES: Final[dict[str, dict[str, Any]]] = {
    "/v1/referrals": {_JSON: {"$ref": "/schemas/referral/v1.json"}},
    "/v1/bilans": {_JSON: {"$ref": "/schemas/bilan/v1.json"}},
    "/v1/referrals/{referral_id}/status": {_JSON: {"$ref": "/schemas/status/v1.json"}},
    "/v1/consents": {_JSON: {"$ref": "/schemas/consent/v1.json"}},
    "/v1/consents/{consent_id}/withdraw": {_JSON: _WITHDRAWAL},
    "/v1/consents/{consent_id}/renew": {_JSON: _RENEWAL},
    "/v1/sms/replies": {_JSON: _REPLY},
    "/v1/objections": {_JSON: _OBJECTION},
    "/v1/break-glass": {_JSON: _ACCESS},
    "/v1/break-glass/{opening_id}/review": {_JSON: _REVIEW},
    "/v1/conventions": {key: {"$ref": "/schemas/convention/v1.json"} for key in ("application/yaml", _JSON)},
    "/v1/conventions/{convention_id}/sign": {_JSON: _SIGNATURE},
    "/v1/decisions/simulate": {_JSON: _QUESTION},
    "/v1/ledger/search": {_JSON: _SEARCH},
    "/v1/ledger/export": {_JSON: _EXPORT},
    "/v1/persons/export": {_JSON: {"type": "object", "required": ["subject"], "properties": _PERSON}},
    "/v1/persons/erase": {_JSON: _ERASURE},
    "/v1/mailbox/{delivery}/nack": {_JSON: _REASON},
    "/v1/replays": {_JSON: _REPLAY},
    "/v1/endpoints/{client_id}": {_JSON: _ENDPOINT},
    "/v1/endpoints/{client_id}/secret": {_JSON: _OVERLAP},
    "/v1/sources/{client_id}": {_JSON: _SOURCE},
    "/v1/sources/{client_id}/secret": {_JSON: _RENEWED_SECRET},
    "/v1/hooks/{client_id}": {_JSON: _OBJECT},
    "/v1/services/{service_id}/capacity": {_JSON: _CAPACITY},
    "/v1/validate/{kind}": {_JSON: _OBJECT},
    "/v1/inbound/{adapter_name}": {key: {"type": "string", "format": "binary"} for key in _FILES},
    "/v1/adapters/{adapter_name}/translate": {key: {"type": "string", "format": "binary"} for key in _FILES},
}
"""What each address takes, by media type; the schemas are those this gateway serves."""

PROBLEM: Final = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string", "description": "En français."},
        "title_en": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string", "description": "Ce qu'il faut faire."},
        "detail_en": {"type": "string"},
        "instance": {"type": "string", "description": "Identifiant de la requête, à citer si vous demandez de l'aide."},
        "errors": {"type": "array", "items": {"type": "object"}},
        "error_count": {"type": "integer"},
    },
}


def describe(app: FastAPI) -> None:
    """Give an application its complete description, computed once when it is first asked for."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            described = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
            described.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM
            for path, operations in described["paths"].items():
                for method, operation in operations.items():
                    _complete(path, method, operation)
            app.openapi_schema = described
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # the extension point that FastAPI documents


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    first_line = operation.get("description", "").splitlines()[:1]
    if first_line and " / " in first_line[0]:
        operation["summary"] = first_line[0].rsplit(" / ", 1)[1].rstrip(".")  # the French half of the docstring
    if method in ("post", "put") and path in BODIES:
        content = {media_type: {"schema": schema} for media_type, schema in BODIES[path].items()}
        operation["requestBody"] = {"required": True, "content": content}
    if method == "post" and path in ANSWERS:
        status, schema = ANSWERS[path]
        operation["responses"][status] = operation["responses"].get(status, {"description": "Pris."}) | {
            "content": {_JSON: {"schema": schema}}
        }
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    operation["responses"].pop("422", None)
    operation["responses"]["4XX"] = {"description": "Refusé, avec la raison (RFC 9457)", "content": problem}
