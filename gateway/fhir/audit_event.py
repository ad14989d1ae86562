"""
A ledger event as an AuditEvent, in the shapes of IHE BALP: a disclosure at its source, a read about a patient; pure.

What goes where is in `README.md`, beside this file. A masked event says no more than its summary does; an erased one neither.
Source: HL7 FHIR R4 (4.0.1) AuditEvent; IHE ITI Basic Audit Log Patterns 1.1.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
from fhir.resources.R4B.auditevent import AuditEvent

from consent.ledger.event import CATALOGUE, EventType
from gateway.fhir.elements import CodeSystems, Element, organisation, uri_identifier, written

_DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_TYPE: Final = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_LIFECYCLE: Final = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
_INTERACTION: Final = "http://hl7.org/fhir/restful-interaction"
_ENTITY: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLE: Final = "http://terminology.hl7.org/CodeSystem/object-role"
_SOURCE: Final = "http://terminology.hl7.org/CodeSystem/security-source-type"
_BALP: Final = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit"

_DISCLOSED: Final = (EventType.DISCLOSURE_MADE, EventType.WITHDRAWAL_NOTIFIED)
_FAILED: Final = (EventType.EXCHANGE_REFUSED, EventType.DISCLOSURE_REJECTED, EventType.DISCLOSURE_STOPPED)
_ACTIONS: Final[Mapping[str, str]] = {
    EventType.CONTENT_READ: "R",
    EventType.LEDGER_SEARCHED: "E",
    EventType.SIMULATION: "E",
    EventType.ERASURE: "D",
    EventType.RETENTION_PURGED: "D",
    EventType.PROACTIVE_DATA_DESTROYED: "D",
    EventType.CONFIGURATION_CHANGED: "U",
    EventType.KEY_ROTATED: "U",
    EventType.AGREEMENT_WITHDRAWN: "U",
    **dict.fromkeys(_DISCLOSED, "R"),
}
"""What each type does in FHIR's five letters; the others create a record."""


def audit_event(row: Mapping[str, Any], address: str) -> Element:
    """
    Write a row of an answer (`id`, `index`, `summary`, perhaps `event`) as an AuditEvent. Raises NotFhir.

    `address` is the gateway's public address: the source of every event is the gateway.
    """
    summary = row["summary"]
    event_type = EventType(summary["type"])
    body = orjson.loads(row["event"])["body"] if "event" in row else {}
    gateway = {"identifier": uri_identifier(address), "display": "Passerelle Trait d'union"}
    disclosed = event_type in _DISCLOSED
    resource = {
        "resourceType": "AuditEvent",
        "id": row["id"],
        "meta": {"profile": _profile(event_type, body)},
        "type": _coding(_DCM, "110106", "Export") if disclosed else _coding(_TYPE, "rest", "Restful Operation"),
        "subtype": _subtypes(event_type, address),
        "action": _ACTIONS.get(event_type, "C"),
        "recorded": summary["occurred_at"],
        "outcome": "4" if event_type in _FAILED else "0",
        "outcomeDesc": " ".join(body.get("reasons", [])) or body.get("reason"),
        "purposeOfEvent": [CodeSystems(address).concept("purpose", code) for code in summary["purposes"]],
        "agent": _agents(summary, body, gateway, address, disclosed=disclosed),
        "source": {
            "site": address,
            "observer": gateway,
            "type": [_coding(_SOURCE, "4", "Application Server")],
        },
        "entity": _entities(row, body, address),
    }
    return written(AuditEvent, resource)


def _profile(event_type: EventType, body: Mapping[str, Any]) -> list[str]:
    """The BALP profile that the resource is sure to follow; none for what has no pattern there, or is masked."""
    if event_type in _DISCLOSED and "pseudonym" in body:
        return [f"{_BALP}.PrivacyDisclosure.Source"]
    return [f"{_BALP}.PatientRead"] if event_type is EventType.CONTENT_READ and "subject_tag" in body else []


def _subtypes(event_type: EventType, address: str) -> list[Element]:
    own = {
        "system": f"{address}/schemas/events.json",
        "code": event_type.value,
        "display": CATALOGUE[event_type].title_fr,
    }
    if event_type in _DISCLOSED:
        return [_coding(_LIFECYCLE, "disclose", "Disclose Record Lifecycle Event"), own]
    if event_type is EventType.CONTENT_READ:
        return [_coding(_INTERACTION, "read", "read"), own]
    return [_coding(_INTERACTION, "search-system", "search-system"), own] if own["code"] == "ledger_searched" else [own]


def _agents(
    summary: Mapping[str, Any], body: Mapping[str, Any], gateway: Element, address: str, *, disclosed: bool
) -> list[Element]:
    """The gateway, the system that the organisation acted with, and the organisation that provided the data."""
    actor = summary["actor"]
    system = f"urn:x-trait-dunion:system:{body['client_id']}" if "client_id" in body else f"{address}/partners/{actor}"
    agents: list[Element] = [
        {
            "type": _role(_DCM, "110153", "Source Role ID"),
            "who": gateway,
            "requestor": False,
            "network": {"address": address, "type": "5"},
        },
        {
            "type": _role(_DCM, "110152", "Destination Role ID"),
            "who": organisation({"siret": actor}),
            "requestor": True,
            "network": {"address": system, "type": "5"},
        },
    ]
    if disclosed and "sender" in body:
        agents.append(
            {
                "type": _role("http://snomed.info/sct", "159541003", "Record keeping/library clerk"),
                "who": organisation({"siret": body["sender"]}),
                "requestor": False,
            }
        )
    return agents


def _entities(row: Mapping[str, Any], body: Mapping[str, Any], address: str) -> list[Element]:
    """The person, under the pseudonym of whoever received; what was read or passed; and the entry of the log."""
    entities: list[Element] = []
    if "subject_tag" in body:
        named = {"value": body["pseudonym"]} if "pseudonym" in body else {"value": body["subject_tag"]}
        assigner = organisation({"siret": row["summary"]["actor"]}) if "pseudonym" in body else None
        entities.append(
            {
                "what": {"type": "Patient", "identifier": {**named, "assigner": assigner}},
                "type": _coding(_ENTITY, "1", "Person"),
                "role": _coding(_ROLE, "1", "Patient"),
            }
        )
    for name in ("document_id", "exchange_id", "delivery_id", "agreement_id", "event_id", "search_id"):
        if name in body:
            entities.append(
                {
                    "what": {"identifier": uri_identifier(f"urn:uuid:{body[name]}"), "display": name},
                    "type": _coding(_ENTITY, "2", "System Object"),
                    "role": _coding(_ROLE, "4", "Domain Resource"),
                    "detail": [{"type": "left", "valueString": path} for path in body.get("left", [])]
                    if name == "exchange_id"
                    else [],
                }
            )
    entities.append(
        {
            "what": {"identifier": uri_identifier(f"{address}/v1/ledger/events/{row['id']}/proof")},
            "type": _coding(_ENTITY, "2", "System Object"),
            "role": _coding(_ROLE, "13", "Security Resource"),
            "detail": [
                {"type": "ledger_index", "valueString": str(row["index"])},
                {"type": "ledger_entry", "valueBase64Binary": row["entry"]},
            ],
        }
    )
    return entities


def _coding(system: str, code: str, display: str) -> Element:
    return {"system": system, "code": code, "display": display}


def _role(system: str, code: str, display: str) -> Element:
    return {"coding": [_coding(system, code, display)]}
