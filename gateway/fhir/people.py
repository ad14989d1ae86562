"""
The person a referral is about as a Patient, and professionals as a Practitioner in a PractitionerRole.

Identifiers of the person follow FR Core (hl7.fhir.fr.core, profile fr-core-patient): the NIR is given as a social
security number (type NH), never as a qualified INS, which only the INSi service can state.
"""

from __future__ import annotations

from gateway.fhir.elements import CodeSystems, Element, identifier, organisation, partial_date
from schemas import Document, code_list, crosswalk

_NIR = "urn:oid:1.2.250.1.213.1.4.8"
_NIA = "urn:oid:1.2.250.1.213.1.4.9"
_BIRTH_PLACE = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace"
_INSEE_CODE = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-address-insee-code"
_COMMUNES = "https://mos.esante.gouv.fr/NOS/TRE_R13-CommuneOM/FHIR/TRE-R13-CommuneOM"
_COUNTRIES = "https://mos.esante.gouv.fr/NOS/TRE_R20-Pays/FHIR/TRE-R20-Pays"
_LANGUAGES = "urn:ietf:bcp:47"

_RESIDENCE = {"stable": {"use": "home"}, "temporary": {"use": "temp"}, "domiciliation": {"type": "postal"}}
"""Kinds of address (list `residence_kind`) in the words of Address; a domiciliation is where the post goes."""


def patient(person: Document, codes: CodeSystems) -> Element:
    """Write the person as the Patient `#subject`."""
    sex, birth_place, place = person.get("sex"), person.get("birth_place"), person.get("address")
    language = {"coding": [{"system": _LANGUAGES, "code": person.get("language")}]}
    telecom = [{"system": "phone", "value": value} for value in person.get("phones", [])]
    telecom += [{"system": "email", "value": value} for value in person.get("emails", [])]
    return {
        "resourceType": "Patient",
        "id": "subject",
        "extension": [{"url": _BIRTH_PLACE, "valueAddress": _birth_place(birth_place)}] if birth_place else [],
        "identifier": _identifiers(person, codes),
        "name": _names(person),
        "telecom": telecom,
        "gender": crosswalk("sex", "fhir_administrative_gender")[sex][0].code if sex else None,
        "birthDate": partial_date(person.get("birth_date")),
        "address": [_address(place)] if place else [],
        "communication": [{"language": language, "preferred": True}] if "language" in person else [],
    }


def pseudonym(person: Document, codes: CodeSystems) -> Element | None:
    """Give the pseudonym by which the reader knows the person; None without one."""
    return identifier(f"{codes.address}/pseudonym", person.get("pseudonym"))


def professional(person: Document | None, key: str, employer: Element | None) -> list[Element]:
    """
    Write a professional as the PractitionerRole `#{key}` and, if named, its Practitioner; nothing if nothing is known.

    `employer` is the organisation when the professional's own is not given.
    """
    person = person or {}
    own = organisation(person.get("organisation", {}))
    named = any(part in person for part in ("name", "last_name", "first_name"))
    reached = [{"system": kind, "value": person[kind], "use": "work"} for kind in ("phone", "email") if kind in person]
    if not (own or named or reached or "role" in person):
        return []
    role = {
        "resourceType": "PractitionerRole",
        "id": key,
        "practitioner": {"reference": f"#{key}-person"} if named else None,
        "organization": own or employer,
        "code": [{"text": person.get("role")}],
        "telecom": reached,
    }
    if not named:
        return [role]
    name = {"text": person.get("name"), "family": person.get("last_name"), "given": [person.get("first_name")]}
    return [role, {"resourceType": "Practitioner", "id": f"{key}-person", "name": [name]}]


def _identifiers(person: Document, codes: CodeSystems) -> list[Element | None]:
    schemes = codes.system("identifier_scheme")
    return [
        pseudonym(person, codes),
        identifier(_NIR, person.get("nir"), "NH", use="official"),
        identifier(_NIA, person.get("nia"), "NH", use="temp"),
        identifier(f"{schemes}#msa_matricule", person.get("msa_matricule")),
        *(
            identifier(f"{schemes}#{each['scheme']}", each.get("value"))
            for each in person.get("identifiers", [])
            if "scheme" in each
        ),
    ]


def _names(person: Document) -> list[Element]:
    title, given = person.get("title"), person.get("given_names")
    common = {"given": given, "prefix": [code_list("title")[title].label_fr] if title else []}
    names = []
    if title or given or "birth_name" in person:
        names.append({"use": "official", "family": person.get("birth_name"), **common})
    if "used_name" in person:
        names.append({"use": "usual", "family": person["used_name"], **common})
    return names


def _birth_place(place: Document) -> Element:
    # Somebody born abroad has the code of a country, as on a civil-status record; French communes say more than 99100.
    commune, country = place.get("cog_commune"), place.get("cog_country")
    return {"extension": _insee(_COMMUNES, commune) or _insee(_COUNTRIES, country), "city": place.get("name")}


def _address(place: Document) -> Element:
    return {
        "extension": _insee(_COMMUNES, place.get("cog_commune")),
        **_RESIDENCE.get(place.get("residence_kind", ""), {}),
        "line": place.get("lines"),
        "postalCode": place.get("postcode"),
        "city": place.get("commune"),
        "country": place.get("country"),
    }


def _insee(system: str, code: str | None) -> list[Element]:
    return [{"url": _INSEE_CODE, "valueCoding": {"system": system, "code": code}}] if code else []
