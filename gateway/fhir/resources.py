"""
From a referral and its delivery to FHIR R4 ServiceRequest and Task, built with fhir.resources (R4B) and cut like the document.

Source: HL7 FHIR R4 (4.0.1), ServiceRequest and Task; Gravity SDOH referral workflow for the roles of the two.
"""

from __future__ import annotations

from typing import Any

from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.servicerequest import ServiceRequest
from fhir.resources.R4B.task import Task

from schemas import Document, Kind, code_list

SIRET = "https://sirene.fr/siret"
DOCUMENT = "urn:ietf:rfc:3986"
_PRIORITY = {"normal": "routine", "urgent": "urgent", "immediate": "asap"}

_TASK_STATUS = {
    "draft": "draft",
    "requested": "requested",
    "received": "received",
    "ready": "ready",
    "accepted": "accepted",
    "in_progress": "in-progress",
    "on_hold": "on-hold",
    "completed": "completed",
    "rejected": "rejected",
    "cancelled": "cancelled",
    "failed": "failed",
    "entered_in_error": "entered-in-error",
}
"""Canonical statuses to the FHIR value set `task-status`; the others go by their declared parent."""

_DELIVERY_STATUS = {"queued": "requested", "available": "requested", "leased": "requested", "acknowledged": "received"}


def service_request(document: Document, address: str) -> dict[str, Any]:
    """
    Write a referral, whole or cut down by the gate, as a ServiceRequest with its subject contained.

    What FHIR has no place for is not written; `address` is the gateway's public address, for the code systems.
    """
    resource: dict[str, Any] = {
        "resourceType": "ServiceRequest",
        "id": document["id"],
        "identifier": [{"system": DOCUMENT, "value": f"urn:uuid:{document['id']}"}],
        "status": "active",
        "intent": "order",
        "category": [_concept("https://terminology.hl7.org/CodeSystem/service-type", "social", "Orientation sociale")],
        "subject": {"reference": "#subject"},
        "authoredOn": document["created_at"],
        "requester": _organisation(document["sender"]),
        "contained": [_patient(document["subject"], address)],
    }
    if urgency := document.get("urgency"):
        resource["priority"] = _PRIORITY[urgency]
    if recipients := [_organisation(each) for each in document.get("recipients", []) if "siret" in each]:
        resource["performer"] = recipients
    if reasons := [_reason(each, address) for each in document.get("reasons", [])]:
        resource["reasonCode"] = reasons
    if rights := [_right(each["right"], address) for each in document.get("rights", [])]:
        resource["orderDetail"] = rights
        resource["code"] = {"text": "Accès aux droits"}
    return _dumped(ServiceRequest, resource)


def task(
    *,
    delivery_id: str,
    referral_id: str,
    state: str,
    sender: str,
    recipient: str,
    times: tuple[str, str],
    status: str | None,
) -> dict[str, Any]:
    """
    Write the follow-up of a referral by one recipient as a Task; `times` are its creation and last change, `status` the
    last canonical status the recipient gave (None: none yet), `state` the state of its delivery.
    """
    resource = {
        "resourceType": "Task",
        "id": delivery_id,
        "status": _DELIVERY_STATUS.get(state, "rejected") if status is None else task_status(status),
        "intent": "order",
        "focus": {"reference": f"ServiceRequest/{referral_id}"},
        "authoredOn": times[0],
        "lastModified": times[1],
        "requester": _organisation({"siret": sender}),
        "owner": _organisation({"siret": recipient}),
    }
    if status is not None:
        label = code_list("referral_status")[status].label_fr
        resource["businessStatus"] = {"coding": [{"code": status, "display": label}], "text": label}
    return _dumped(Task, resource)


def task_status(status: str) -> str:
    """Map a canonical status to the FHIR value set `task-status`, through its declared parents."""
    codes = code_list("referral_status")
    while status not in _TASK_STATUS:
        parent = codes[status].parent
        if not parent:
            return "in-progress"
        status = parent
    return _TASK_STATUS[status]


def capability_statement(address: str, version: str, date: str) -> dict[str, Any]:
    """Describe what the façade answers (FHIR R4, CapabilityStatement)."""
    resources = [
        {
            "type": name,
            "interaction": [{"code": "read"}],
            "documentation": f"{title}, d'après {Kind.REFERRAL.value}/v1.",
        }
        for name, title in (
            ("ServiceRequest", "Une orientation"),
            ("Task", "Le suivi d'une orientation par un destinataire"),
        )
    ]
    statement = {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        "software": {"name": "Trait d'union", "version": version},
        "implementation": {"description": "Passerelle Trait d'union", "url": f"{address}/fhir/R4"},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "rest": [{"mode": "server", "resource": resources}],
    }
    # The R4B model knows the later patch releases; 4.0.1 is the version of the façade.
    return _dumped(CapabilityStatement, statement)


def _dumped(model: Any, resource: dict[str, Any]) -> dict[str, Any]:
    dumped: dict[str, Any] = model.model_validate(resource).model_dump(mode="json", exclude_none=True)
    return {"resourceType": resource["resourceType"], **dumped}


def _patient(person: Document, address: str) -> dict[str, Any]:
    patient: dict[str, Any] = {"resourceType": "Patient", "id": "subject"}
    identifiers = []
    if pseudonym := person.get("pseudonym"):
        identifiers.append({"system": f"{address}/pseudonym", "value": pseudonym})
    if nir := person.get("nir"):
        identifiers.append({"system": "urn:oid:1.2.250.1.213.1.4.8", "value": nir})
    if identifiers:
        patient["identifier"] = identifiers
    names = [
        {"use": use, "family": person[key], **({"given": person["given_names"]} if "given_names" in person else {})}
        for use, key in (("official", "birth_name"), ("usual", "used_name"))
        if key in person
    ]
    if names:
        patient["name"] = names
    if sex := person.get("sex"):
        patient["gender"] = sex
    if birth := person.get("birth_date"):
        patient["birthDate"] = birth.split("-00")[0]  # FHIR writes an unknown month or day by leaving it out
    telecom = [{"system": "phone", "value": value} for value in person.get("phones", [])]
    telecom += [{"system": "email", "value": value} for value in person.get("emails", [])]
    if telecom:
        patient["telecom"] = telecom
    if place := person.get("address"):
        patient["address"] = [_address(place)]
    return patient


def _address(place: Document) -> dict[str, Any]:
    names = {"lines": "line", "postcode": "postalCode", "commune": "city", "country": "country"}
    return {fhir: place[ours] for ours, fhir in names.items() if ours in place}


def _organisation(organisation: Document) -> dict[str, Any]:
    reference: dict[str, Any] = {
        "type": "Organization",
        "identifier": {"system": SIRET, "value": organisation["siret"]},
    }
    if name := organisation.get("name"):
        reference["display"] = name
    return reference


def _reason(reason: Document, address: str) -> dict[str, Any]:
    return _concept(f"{address}/schemas/codes/{reason['scheme']}.json", reason["code"], reason.get("label"))


def _right(right: str, address: str) -> dict[str, Any]:
    known = code_list("right").get(right)
    return _concept(f"{address}/schemas/codes/right.json", right, known.label_fr if known else None)


def _concept(system: str, code: str, text: str | None) -> dict[str, Any]:
    concept: dict[str, Any] = {"coding": [{"system": system, "code": code}]}
    if text:
        concept["text"] = text
    return concept
