"""
The published schema of each type of event: what its body must hold, what it may hold, and nothing else.

Events are opened to auditors and shown in receipts for years: a member, once published, keeps its meaning. Tests hold every
event that the gateway writes to these.
"""

from functools import cache
from typing import Any, Final

from consent.ledger.catalogue import CATALOGUE
from consent.ledger.event_members import MEMBERS
from consent.ledger.event_types import EventType

_PLACE: Final = "/schemas/events/{name}/v1.json"

_CONVENTION: Final = ("convention_id version hash client_id", "acted_by")
_DELIVERY: Final = "delivery_id exchange_id recipient"
_READING: Final = "view reason case_reference"
_NOTICE: Final = (f"{_DELIVERY} cause about due_at reminders", "")
_AGREEMENT: Final = ("agreement_id agreement_type channel level scopes replaces client_id", "acted_by")
_EXCHANGE: Final = ("exchange_id document_id kind purpose client_id rules decisions channel", "acted_by")
_DISCLOSURE: Final = (
    f"{_DELIVERY} kind purpose sender client_id lease notice pseudonym left withheld rules decision convention_id channel",
    "acted_by",
)

BODIES: Final[dict[EventType, tuple[str, str]]] = {
    EventType.CONVENTION_PROPOSED: _CONVENTION,
    EventType.CONVENTION_SIGNED: _CONVENTION,
    EventType.CONVENTION_REJECTED: _CONVENTION,
    EventType.CONVENTION_SUSPENDED: _CONVENTION,
    EventType.CONVENTION_RESUMED: _CONVENTION,
    EventType.CONVENTION_REVOKED: _CONVENTION,
    EventType.AGREEMENT_REQUESTED: ("agreement_id channel text scopes client_id", "acted_by"),
    EventType.AGREEMENT_GIVEN: _AGREEMENT,
    EventType.AGREEMENT_REFUSED: _AGREEMENT,
    EventType.AGREEMENT_WITHDRAWN: ("agreement_id scopes notified client_id", "acted_by"),
    EventType.AGREEMENT_EXPIRED: ("agreement_id ended_at scopes", ""),
    EventType.OBJECTION_RECORDED: ("objection_id recipient purpose until notified", "client_id carried acted_by"),
    EventType.OBJECTION_LIFTED: ("objection_id class", ""),
    EventType.EXCHANGE_ACCEPTED: _EXCHANGE,
    EventType.EXCHANGE_REFUSED: _EXCHANGE,
    EventType.DISCLOSURE_MADE: (
        f"{_DELIVERY} client_id rules decision",
        f"{_DISCLOSURE[0]} {_DISCLOSURE[1]} attachment_id",
    ),
    EventType.DISCLOSURE_ACKNOWLEDGED: (f"{_DELIVERY} client_id", "acted_by"),
    EventType.DISCLOSURE_REJECTED: (f"{_DELIVERY} client_id reason", "acted_by"),
    EventType.DISCLOSURE_STOPPED: (f"{_DELIVERY} reasons", ""),
    EventType.DISCLOSURE_FAILED: (f"{_DELIVERY} client_id reason", ""),
    EventType.DISCLOSURE_ABANDONED: (f"{_DELIVERY} reason", ""),
    EventType.DISCLOSURE_REPLAYED: (f"{_DELIVERY} replay_of reasons", "client_id acted_by"),
    EventType.WITHDRAWAL_NOTIFIED: _DISCLOSURE,
    EventType.WITHDRAWAL_REMINDED: _NOTICE,
    EventType.WITHDRAWAL_OVERDUE: _NOTICE,
    EventType.WITHDRAWAL_ACKNOWLEDGED: (f"{_DELIVERY} client_id", "done acted_by"),
    EventType.CONTENT_READ: (
        "client_id",
        f"agreement_id document_id event_id search_id opening_id convention_id content through events left withheld "
        f"channel acted_by {_READING}",
    ),
    EventType.LEDGER_SEARCHED: (
        f"search_id through by rows client_id {_READING}",
        "partner convention_id purpose types from until acted_by",
    ),
    EventType.INDEX_EXTENDED: ("start size root", ""),
    EventType.SIMULATION: ("kind purpose recipient client_id rules decision", "channel acted_by"),
    EventType.FILE_QUARANTINED: ("quarantine_id adapter code client_id bytes", "acted_by"),
    EventType.ERASURE: ("reason destroyed objections_kept notified client_id", "acted_by"),
    EventType.RETENTION_PURGED: (
        "class",
        "agreement_id attachment_id document_id opening_id quarantine_ids events day destroyed",
    ),
    EventType.PROACTIVE_DATA_DESTROYED: ("document_id exchange_id cause", ""),
    EventType.KEY_ROTATED: ("change", ""),
    EventType.CONFIGURATION_CHANGED: ("change", "client_id partner adapter origin"),
    EventType.BREAK_GLASS_TOLD: ("opening_id convention_id party cause", ""),
    EventType.BREAK_GLASS_ENDED: ("opening_id convention_id recipient cause", ""),
    EventType.BREAK_GLASS_REVIEWED: ("opening_id convention_id outcome role notified client_id", "acted_by"),
    EventType.BREAK_GLASS_OVERDUE: ("opening_id convention_id due_at", ""),
    EventType.BREAK_GLASS: (
        "opening_id convention_id kind recipient reason statement_sha256 until review_due_at told client_id",
        "version hash flow acted_by",
    ),
}
"""The body of each type: the members that it must have, then those that it may have."""

_OPEN: Final = frozenset({EventType.CONFIGURATION_CHANGED, EventType.KEY_ROTATED})
"""Each change of a setting has members of its own: codes, counts and digests."""

_ANYTHING: Final = {"type": ["string", "integer", "boolean", "null", "array"]}


@cache
def event_schema(event_type: EventType) -> dict[str, Any]:
    """The JSON Schema (2020-12) of the events of a type, as they are committed to."""
    wording = CATALOGUE[event_type]
    must, may = (names.split() for names in BODIES[event_type])
    properties = {name: _described(name) for name in sorted({*must, *may, "subject_tag"})}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://trait-dunion.example" + path_of(event_type),
        "title": wording.title_fr,
        "x-title-en": wording.title_en,
        "description": wording.sentence_fr,
        "x-description-en": wording.sentence_en,
        "type": "object",
        "required": ["id", "type", "occurred_at", "actor", "body"],
        "additionalProperties": False,
        "properties": {
            "id": {**MEMBERS["event_id"][0], "title": "Identifiant de l'événement", "x-title-en": "Event identifier"},
            "type": {"const": event_type.value},
            "occurred_at": {**MEMBERS["until"][0], "title": "Quand, en UTC", "x-title-en": "When, in UTC"},
            "actor": {**MEMBERS["sender"][0], "title": "Qui a agi (SIRET)", "x-title-en": "Who acted (SIRET)"},
            "body": {
                "type": "object",
                "required": sorted(must),
                "additionalProperties": _ANYTHING if event_type in _OPEN else False,
                "properties": properties,
            },
        },
    }


def path_of(event_type: EventType) -> str:
    """The address of a schema under the gateway's host."""
    return _PLACE.format(name=event_type.value)


@cache
def index() -> dict[str, Any]:
    """The catalogue: every type with its words in French and in English, and the address of its schema."""
    return {
        "title": "Événements du journal",
        "title_en": "Events of the ledger",
        "events": [
            {
                "type": event_type.value,
                "title": wording.title_fr,
                "title_en": wording.title_en,
                "description": wording.sentence_fr,
                "description_en": wording.sentence_en,
                "schema": path_of(event_type),
            }
            for event_type, wording in CATALOGUE.items()
        ],
    }


def _described(name: str) -> dict[str, Any]:
    rule, french, english = MEMBERS[name]
    return {**rule, "title": french, "x-title-en": english}
