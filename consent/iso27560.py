"""
The receipt of an agreement: its ISO/IEC TS 27560 record, in the words of W3C's Data Privacy Vocabulary (DPV), as JSON-LD.

The prefixes are written out in the receipt itself, so that nothing has to be fetched to read it. Follows the DPVCG guide
"Consent Records and Receipts as per ISO/IEC TS 27560:2023 using DPV"; where the words correspond is in `schemas/codes`.
"""

import csv
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from io import StringIO
from typing import Any, Final

from consent.agreement import Agreement, AgreementState
from consent.clock import in_utc
from schemas import Document, crosswalk

CONTEXT: Final[Mapping[str, str]] = {
    "dpv": "https://w3id.org/dpv#",
    "pd": "https://w3id.org/dpv/pd#",
    "loc": "https://w3id.org/dpv/loc#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "dct": "http://purl.org/dc/terms/",
    "schema": "https://schema.org/",
}

WITHDRAWAL: Final = "Auprès de n'importe laquelle des organisations nommées sur le reçu, en entier ou ligne par ligne."
"""How people withdraw, where the document does not say it better."""

_PROFILE: Final = "https://w3id.org/dpv/schema/dpv-27560#"


def completed(document: Document, names: Mapping[str, str], at: datetime) -> Document:
    """
    A consent document with what follows from it: its parties, how it is withdrawn, and its events until `at`.

    `names` are those of organisations, by SIRET. What the document says itself is kept; what nobody said stays absent.
    """
    collector = document["collected_by"]["siret"]
    recipients = {siret for scope in document["scopes"] for siret in scope["recipients"]}
    parties = {party["siret"]: party for party in document.get("parties", [])}
    for siret in [collector, *sorted(recipients - {collector})]:
        known = {"siret": siret, "role": "controller", "type": "recipient" if siret in recipients else "exporter"}
        if siret in names:
            known["name"] = names[siret]
        parties[siret] = known | parties.get(siret, {})
    processing = {"jurisdiction": "FR", "withdrawal_method": WITHDRAWAL} | document.get("processing", {})
    return document | {
        "parties": list(parties.values()),
        "processing": processing,
        "events": _events(document, in_utc(at)),
    }


def fields(document: Document) -> tuple[dict[str, list[Any]], list[str]]:
    """
    The mandatory fields of ISO/IEC TS 27560 that a consent document fills, with their values, and those that it does not.
    """
    found = {
        field: list(dict.fromkeys(_values(document, pointer.split("/")[1:]))) for field, pointer in _places().items()
    }
    return {field: values for field, values in found.items() if values}, [
        field for field, values in found.items() if not values
    ]


def receipt(document: Document, *, address: str, publisher: Document, created: datetime) -> Document:
    """
    The consent receipt of a completed document: who publishes it, where it can be had again, and the record itself.
    """
    return {
        "@context": dict(CONTEXT),
        "@id": address,
        "@type": "dpv:ConsentReceipt",
        "dct:identifier": document["id"],
        "dct:conformsTo": f"{_PROFILE}receipt",
        "dct:created": created.isoformat(timespec="seconds"),
        "dct:publisher": _organisation(publisher),
        "schema:recipient": "dpv:DataSubject",
        "dpv:hasRecordOfActivity": _record(document),
    }


def _record(document: Document) -> Document:
    processing, basis = document["processing"], document.get("legal_basis", {})
    record = {
        "@id": f"urn:uuid:{document['id']}",
        "@type": "dpv:ConsentRecord",
        "dct:identifier": document["id"],
        "dct:conformsTo": f"{_PROFILE}record",
        "dct:hasVersion": document["schema_version"],
        "dct:replaces": f"urn:uuid:{document['replaces']}" if "replaces" in document else None,
        "dpv:hasDataSubject": {"@type": "dpv:DataSubject", "dct:identifier": document["subject"].get("pseudonym")},
        "dpv:hasDataController": [
            _organisation(party) for party in document["parties"] if party["role"] != "processor"
        ],
        "dpv:hasDataProcessor": [_organisation(party) for party in document["parties"] if party["role"] == "processor"],
        "dpv:hasJurisdiction": f"loc:{processing['jurisdiction']}",
        "dpv:hasLegalBasis": [
            *_dpv("rgpd_basis", [basis["rgpd"]] if basis else []),
            *_dpv("rgpd_art9", [basis["special"]] if "special" in basis else []),
        ],
        "dpv:hasProcess": [_process(scope, processing) for scope in document["scopes"]],
        "dpv:hasNotice": _notice(document["text"]),
        "dpv:hasConsentControl": {"@type": "dpv:WithdrawConsent", "dct:description": processing["withdrawal_method"]},
        "dpv:hasRight": _dpv("privacy_right", processing.get("rights", ["withdrawal"])),
        "dpv:hasConsentStatus": [_status(event) for event in document["events"]],
    }
    return _without_nothing(record)


def _process(scope: Document, processing: Document) -> Document:
    storage = [
        {"@type": "dpv:StorageLocation", "dpv:hasLocation": f"loc:{country}"}
        for country in processing.get("storage_countries", [])
    ]
    if "retention_months" in processing:
        storage.append({"@type": "dpv:StorageDuration", "dpv:hasDuration": f"P{processing['retention_months']}M"})
    process = {
        "@type": "dpv:Process",
        "dct:identifier": scope["id"],
        "dpv:hasPurpose": _dpv("purpose", scope["purposes"]),
        "dpv:hasPersonalData": _dpv("data_category", scope["categories"]),
        "dpv:hasProcessing": _dpv("processing_operation", processing.get("operations", ["share"])),
        "dpv:hasRecipient": [_organisation({"siret": siret}) for siret in scope["recipients"]],
        "dpv:hasStorageCondition": storage,
        "schema:validThrough": scope.get("withdrawn_at"),
    }
    return _without_nothing(process)


def _notice(text: Document) -> Document:
    notice = {
        "@id": text.get("url"),
        "@type": "dpv:ConsentNotice",
        "dct:hasVersion": text["version"],
        "dct:language": text["language"],
        "schema:sha256": text["sha256"],
    }
    return _without_nothing(notice)


def _status(event: Document) -> Document:
    status = {
        "@type": [*_dpv("agreement_state", [event["state"]]), *_dpv("agreement_type", [event["type"]])],
        "dpv:isIndicatedBy": "dpv:DataSubject" if event["by"] == "person" else event["by"],
        "dpv:hasIndicationMethod": event.get("channel"),
        "dpv:isIndicatedAtTime": event["at"],
        "dct:valid": event.get("until"),
    }
    return _without_nothing(status)


def _events(document: Document, at: datetime) -> list[Document]:
    """What happened to an agreement until an instant, in order: what its document tells, and what follows from it."""
    agreement = Agreement.from_document(document)
    told = list(document.get("events", []))
    said = {event["state"] for event in told}
    entity, kind = document["collected_by"]["siret"], document["agreement_type"]
    by = "representative" if "representative" in document else "person"
    first = "refused" if document["state"] == "refused" else "given"
    until = {"until": agreement.valid_until.isoformat()} if first == "given" else {}
    if first not in said:
        event = {"at": document["collected_at"], "type": kind, "state": first, "by": by, "channel": document["channel"]}
        told.insert(0, {**event, "entity": entity, **until})
    if "withdrawal" in document and "withdrawn" not in said:
        withdrawal = document["withdrawal"]
        channel = {"channel": withdrawal["channel"]} if "channel" in withdrawal else {}
        desk = withdrawal.get("collected_by", entity)
        told.append({"at": withdrawal["at"], "type": kind, "state": "withdrawn", "by": by, "entity": desk, **channel})
    if agreement.state_at(at) is AgreementState.EXPIRED and "expired" not in said:
        ended = agreement.valid_until.isoformat()
        told.append({"at": ended, "type": kind, "state": "expired", "by": "gateway", "entity": entity})
    return told


def _dpv(codes: str, named: Iterable[str]) -> list[str]:
    """The DPV terms of some codes of ours, each once."""
    terms = crosswalk(codes, "dpv")
    return list(dict.fromkeys(terms[code][0].code for code in named if code in terms))


def _organisation(party: Document) -> Document:
    """An organisation by its SIRET (ISO/IEC 6523, scheme 0009)."""
    told = {
        "@type": _dpv("consent_party_type", [party["type"]]) if "type" in party else [],
        "schema:iso6523Code": f"0009:{party['siret']}",
        "schema:name": party.get("name"),
        "schema:address": party.get("address"),
        "schema:email": party.get("contact"),
    }
    return _without_nothing(told)


def _without_nothing(value: Mapping[str, Any]) -> Document:
    return {name: each for name, each in value.items() if each is not None and each != []}


def _values(value: Any, path: list[str]) -> list[Any]:
    """What stands at a pointer pattern, in order."""
    if not path:
        return [value]
    if path[0] == "*":
        return [found for each in value for found in _values(each, path[1:])] if isinstance(value, list) else []
    return _values(value[path[0]], path[1:]) if isinstance(value, dict) and path[0] in value else []


@cache
def _places() -> Mapping[str, str]:
    """The mandatory fields of the standard, and where a consent document holds each."""
    text = (files("schemas") / "consent" / "v1" / "iso_27560.csv").read_text(encoding="utf-8")
    return {row["field"]: row["pointer"] for row in csv.DictReader(StringIO(text))}
