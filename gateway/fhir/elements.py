"""
What every resource is made of: coded values, identifiers, references, dates, and the writing of a resource.

Builders write plain dictionaries and may leave `None` or empty parts in them: `written` takes these out, since FHIR has
no empty element, and lets fhir.resources check the result.
Source: HL7 FHIR R4 (4.0.1), data types and JSON format.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from pydantic import ValidationError

from schemas import Document, code_list, code_lists

Element = dict[str, Any]

_URI = "urn:ietf:rfc:3986"
_IDENTIFIER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"
_FRENCH_IDENTIFIER_TYPE = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0203"
_SIRENE = "https://sirene.fr"
_DATA_INCLUSION = "https://data.inclusion.gouv.fr"

_NOT_TEXT = re.compile(r"[^\S \t\r\n]|[\x00-\x08\x0b\x0c\x0e-\x1f\ufeff]")
"""FHIR texts have no white space but these four, so no non-breaking space, and no control character."""

_WIDEST_OFFSET = timedelta(hours=14)
_EMPTY: tuple[Any, ...] = (None, "", [], {})


class NotFhir(ValueError):
    """A resource that fhir.resources refuses: a mistake of the translation. It names places and rules, never a value."""


def written(model: Any, resource: Element) -> Element:
    """Write a resource as JSON, checked by its `model` of fhir.resources (R4B). Raises NotFhir."""
    try:
        checked = model.model_validate(_pruned(resource))
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['type']}" for fault in error.errors()]
        # The library's own message shows the values.
        raise NotFhir(f"{resource['resourceType']}: {'; '.join(faults)}") from None
    dumped: Element = checked.model_dump(mode="json", exclude_none=True)
    return dumped


def _pruned(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: kept for key, inner in value.items() if (kept := _pruned(inner)) not in _EMPTY}
    if isinstance(value, list):
        return [kept for inner in value if (kept := _pruned(inner)) not in _EMPTY]
    return _NOT_TEXT.sub(" ", value).strip() if isinstance(value, str) else value


@cache
def _lists() -> frozenset[str]:
    return frozenset(code_lists())


def is_code_list(name: object) -> bool:
    """Tell whether the shared language has a code list of that name."""
    return name in _lists()


@dataclass(frozen=True, slots=True)
class CodeSystems:
    """The code lists of the shared language as FHIR code systems, at the gateway's public address."""

    address: str

    def coding(self, name: str, code: str) -> Element:
        """Give a code of a list, with its French label."""
        known = code_list(name).get(code) if is_code_list(name) else None
        return {"system": self.system(name), "code": code, "display": known.label_fr if known else None}

    def concept(self, name: str, code: str | None, text: str | None = None) -> Element | None:
        """Give a code of a list as a concept, in the partner's own words (`text`) if it has some; None without a code."""
        if code is None:
            return None
        coding = self.coding(name, code)
        return {"coding": [coding], "text": text or coding["display"]}

    def reason(self, reason: Document) -> Element | None:
        """Give a `{scheme, code, label}` of a document as a concept; None when it was cut down to less than a code."""
        return self.concept(reason["scheme"], reason.get("code"), reason.get("label")) if "scheme" in reason else None

    def system(self, name: str) -> str:
        """Give the address of a list, where the gateway publishes it."""
        return f"{self.address}/schemas/codes/{name}.json"


def identifier(system: str | None, value: str | None, kind: str | None = None, **more: Any) -> Element | None:
    """Give an identifier, with a type of HL7's table 0203 (`kind`); None without a value."""
    if value is None:
        return None
    type_of = {"coding": [{"system": _IDENTIFIER_TYPE, "code": kind}]} if kind else None
    return {"system": system, "value": value, "type": type_of, **more}


def uuid_identifier(uuid: str | None, **more: Any) -> Element | None:
    """Give a UUID as an identifier; None without a UUID."""
    return None if uuid is None else identifier(_URI, f"urn:uuid:{uuid}", **more)


def uri_identifier(uri: str) -> Element | None:
    """Give a URI as an identifier."""
    return identifier(_URI, uri)


def organisation(body: Document) -> Element | None:
    """
    Name an organisation by its SIRET, or a service of the data·inclusion directory by its identifier; None without either.

    A logical reference: there is no Organization to read at the façade.
    """
    name, service, siret = body.get("name"), body.get("service"), body.get("siret")
    if siret is None and service is not None and "--" in service:
        return {
            "type": "HealthcareService",
            "identifier": {"system": _DATA_INCLUSION, "value": service},
            "display": name,
        }
    display = ", ".join(part for part in (name, service) if part)
    if siret is None:
        return {"type": "Organization", "display": display} if display else None
    type_of = {"coding": [{"system": _FRENCH_IDENTIFIER_TYPE, "code": "SIRET"}]}
    return {
        "type": "Organization",
        "identifier": {"type": type_of, "system": _SIRENE, "value": siret},
        "display": display,
    }


def instant(text: str | None) -> str | None:
    """Write a date-time for FHIR, whose offsets go no further than 14 hours; None stays None."""
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    if abs(moment.utcoffset() or timedelta()) > _WIDEST_OFFSET:
        moment = moment.astimezone(UTC)
    return moment.isoformat()


def partial_date(text: str | None) -> str | None:
    """Write a date whose day or month may be unknown (`1962-00-00`) for FHIR, which leaves them out; None stays None."""
    return None if text is None else text.split("-00")[0]
