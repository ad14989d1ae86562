"""
A referral as a ServiceRequest, and what became of it at one recipient as a Task; pure, from documents already cut down.

What goes where, field by field: `README.md`, beside this file. What a document does not hold is not written.
Source: HL7 FHIR R4 (4.0.1), ServiceRequest and Task; the roles of the two follow the Gravity SDOH referral workflow.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime

from fhir.resources.R4B.servicerequest import ServiceRequest
from fhir.resources.R4B.task import Task

from gateway.fhir.answers import questionnaire_response
from gateway.fhir.elements import (
    CodeSystems,
    Element,
    identifier,
    instant,
    organisation,
    uri_identifier,
    uuid_identifier,
    written,
)
from gateway.fhir.people import patient, professional, pseudonym
from schemas import Document, Kind, code_list, crosswalk

_FULFILL = {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]}
_ANSWERS = "Autres éléments de la réponse"

_SAID_IN_SERVICE_REQUEST = frozenset(
    [
        "kind",
        "schema_version",
        "id",
        "created_at",
        "sender",
        "recipients",
        "purpose",
        "reference",
        "subject",
        "parent",
        "prescriber",
        "referent",
        "reasons",
        "special_reasons",
        "service_types",
        "urgency",
        "deadline",
        "agreement_id",
        "attachments",
        "notes",
    ]
)
_SAID_IN_TASK = frozenset(
    [
        "kind",
        "schema_version",
        "id",
        "created_at",
        "sender",
        "recipients",
        "purpose",
        "reference",
        "subject",
        "referral_id",
        "status",
        "reasons",
        "comment",
        "handled_by",
    ]
)

_DELIVERY: Mapping[str, str] = {
    "acknowledged": "received",
    "rejected": "failed",
    "abandoned": "failed",
    "stopped": "cancelled",
}
"""States of a delivery to `task-status`, until the recipient says more; on its way, it is `requested`."""


def service_request(document: Document, address: str) -> Element:
    """
    Write a referral, whole or cut down by the gate, as a ServiceRequest that contains its subject and its professionals.

    `address` is the gateway's public address, for the code systems. Raises NotFhir.
    """
    codes = CodeSystems(address)
    sender = organisation(document["sender"])
    prescriber = professional(document.get("prescriber"), "prescriber", sender)
    referent = professional(document.get("referent"), "referent", None)
    attachments = _attachments(document, sender)
    subject = {"reference": "#subject"}
    answers = questionnaire_response(Kind.REFERRAL, document, _SAID_IN_SERVICE_REQUEST, codes, subject=subject)
    person = patient(document["subject"], codes) | {"generalPractitioner": _pointing_at(referent[:1])}
    urgency = document.get("urgency")
    resource = {
        "resourceType": "ServiceRequest",
        "id": document["id"],
        "contained": [person, *prescriber, *referent, *attachments, answers],
        "identifier": [
            uuid_identifier(document["id"], assigner=sender),
            identifier(None, document.get("reference"), "PLAC", assigner=sender),
        ],
        "instantiatesUri": [f"{address}/schemas/referral/v{document['schema_version'].split('.')[0]}.json"],
        "status": "active",
        "category": _categories(document, codes),
        "priority": crosswalk("urgency", "fhir_request_priority")[urgency][0].code if urgency else None,
        "code": codes.concept("purpose", document["purpose"]),
        "orderDetail": [codes.concept("right", each.get("right")) for each in _all(document, "rights")],
        "subject": subject,
        "occurrencePeriod": {"end": document.get("deadline")},
        "authoredOn": instant(document["created_at"]),
        "requester": _pointing_at(prescriber[:1])[0] if prescriber else sender,
        "performer": [organisation(each) for each in document.get("recipients", [])],
        "reasonCode": [codes.reason(each) for each in _all(document, "reasons")],
        "supportingInfo": [*_pointing_at([*attachments, answers]), _agreement(document)],
        "note": [{"text": document.get("notes")}],
        **_parentage(document),
    }
    return written(ServiceRequest, resource)


def task(
    *,
    delivery_id: str,
    referral_id: str,
    state: str,
    parties: tuple[str, str],
    times: tuple[str, str],
    status: Document | None,
    address: str,
) -> Element:
    """
    Write the follow-up of a referral by one recipient as a Task.

    `state` is the state of the delivery; `parties` the SIRETs of the referral's sender and recipient; `times` the
    delivery's creation and last change; `status` the recipient's last status document, whole or cut down by the gate
    (None: none yet, or none the reader may see). Raises NotFhir.
    """
    codes = CodeSystems(address)
    sender, recipient = (organisation({"siret": siret}) for siret in parties)
    said = status or {}
    handler = professional(said.get("handled_by"), "handler", recipient)
    answers = questionnaire_response(Kind.STATUS, said, _SAID_IN_TASK, codes) if status else None
    code = said.get("status")
    created, changed = times
    beneficiary = pseudonym(said.get("subject", {}), codes)
    resource = {
        "resourceType": "Task",
        "id": delivery_id,
        "contained": [*handler, answers],
        "identifier": [uuid_identifier(delivery_id)],
        "status": task_status(code) if code else _DELIVERY.get(state, "requested"),
        "statusReason": _status_reason(said, codes),
        "businessStatus": codes.concept("referral_status", code, said.get("local", {}).get("status")),
        "intent": "order",
        "code": _FULFILL,
        "focus": {"reference": f"ServiceRequest/{referral_id}", "type": "ServiceRequest"},
        "for": {"type": "Patient", "identifier": beneficiary} if beneficiary else None,
        "authoredOn": instant(created),
        "lastModified": instant(max(changed, said.get("created_at", changed), key=datetime.fromisoformat)),
        "requester": sender,
        "owner": _pointing_at(handler[:1])[0] if handler else recipient,
        "note": [{"text": said.get("comment")}],
        "output": _outputs(said, answers, codes),
    }
    return written(Task, resource)


def task_status(status: str) -> str:
    """Give the `task-status` of FHIR for a code of list `referral_status`: its own, or its nearest declared parent's."""
    known = crosswalk("referral_status", "fhir_task_status")
    if status in known:
        return known[status][0].code
    parent = code_list("referral_status")[status].parent
    if parent is None:
        raise LookupError(f"no task-status for {status}")
    return task_status(parent)


def _all(document: Document, name: str) -> list[Document]:
    return [*document.get(name, []), *document.get(f"special_{name}", [])]


def _pointing_at(contained: Sequence[Element | None]) -> list[Element]:
    return [{"reference": f"#{each['id']}", "type": each["resourceType"]} for each in contained if each]


def _categories(document: Document, codes: CodeSystems) -> list[Element | None]:
    pathway = document.get("orientation", {}).get("type")
    services = [codes.concept("service_type", each) for each in document.get("service_types", [])]
    return [codes.concept("orientation_type", pathway), *services]


def _parentage(document: Document) -> Element:
    """
    Say where a referral comes from: the next link of a chain fills the order before it, the parts of a split share one.
    """
    parent = document.get("parent", {})
    before, relation = parent.get("referral_id"), parent.get("relation")
    if before and relation == "chain":
        reference = {"reference": f"ServiceRequest/{before}", "type": "ServiceRequest"}
        return {"intent": "filler-order", "basedOn": [reference]}
    return {"intent": "order", "requisition": uuid_identifier(before)}


def _agreement(document: Document) -> Element | None:
    agreement = uuid_identifier(document.get("agreement_id"))
    return {"type": "Consent", "identifier": agreement} if agreement else None


def _attachments(document: Document, sender: Element | None) -> list[Element]:
    return [
        {
            "resourceType": "DocumentReference",
            "id": f"attachment-{number}",
            "masterIdentifier": _digest(each.get("sha256")),
            "identifier": [identifier(None, each.get("reference"), assigner=sender)],
            "status": "current",
            "type": {"text": each.get("kind")},
            "description": each.get("title"),
            "content": [
                {
                    "attachment": {
                        "contentType": each.get("media_type"),
                        "size": each.get("size"),
                        "title": each.get("name", f"{number}"),
                    }
                }
            ],
        }
        for number, each in enumerate(document.get("attachments", []), 1)
    ]


def _digest(sha256: str | None) -> Element | None:
    """Name a file by its digest (RFC 6920, section 3): `Attachment.hash` is for SHA-1 only."""
    if sha256 is None:
        return None
    digest = base64.urlsafe_b64encode(bytes.fromhex(sha256)).rstrip(b"=").decode()
    return uri_identifier(f"ni:///sha-256;{digest}")


def _status_reason(status: Document, codes: CodeSystems) -> Element | None:
    """Join the reasons, of which a Task has one: each its coding, and the words of all in its text."""
    reasons = [reason for each in status.get("reasons", []) if (reason := codes.reason(each))]
    words = [str(reason["text"]) for reason in reasons if reason["text"]]
    return {"coding": [coding for reason in reasons for coding in reason["coding"]], "text": " ; ".join(words)}


def _outputs(status: Document, answers: Element | None, codes: CodeSystems) -> list[Element]:
    outcomes = [status[name] for name in ("outcome", "special_outcome") if name in status]
    outputs: list[Element] = [
        {
            "type": codes.concept("right", outcome["right"]),
            "valueCodeableConcept": codes.concept("outcome_state", outcome["state"]),
        }
        for outcome in outcomes
        if "right" in outcome and "state" in outcome
    ]
    references = [{"type": {"text": _ANSWERS}, "valueReference": each} for each in _pointing_at([answers])]
    return [*outputs, *references]
