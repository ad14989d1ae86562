"""
What the façade says of itself: its CapabilityStatement, at `/fhir/R4/metadata`.
"""

from __future__ import annotations

from fhir.resources.R4B.capabilitystatement import CapabilityStatement

from gateway.fhir.elements import Element, written

FHIR_VERSION = "4.0.1"

_OAUTH = "http://terminology.hl7.org/CodeSystem/restful-security-service"
_OAUTH_ADDRESSES = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"

_RESOURCES = {
    "ServiceRequest": (
        "Une orientation, pour qui l'a envoyée ou reçue : la personne et les professionnels sont dans la ressource. "
        "Chaque lecture est inscrite au registre."
    ),
    "AuditEvent": (
        "Un événement du journal des preuves, pour un auditeur : masqué, ou ouvert pour un motif donné (reason). "
        "La recherche dit tout ce que demande le critère ; sa preuve se demande à /v1/ledger/search."
    ),
    "Task": "Le suivi d'une orientation par un destinataire, sous l'identifiant de la livraison.",
}


_SEARCHED: dict[str, list[Element]] = {
    "AuditEvent": [
        {"name": "date", "type": "date", "documentation": "ge et lt, une date ou un instant avec décalage."},
        {"name": "agent", "type": "token", "documentation": "Le SIRET d'une organisation nommée par l'événement."},
        {"name": "subtype", "type": "token", "documentation": "Un type du catalogue des événements."},
    ]
}


def capability_statement(address: str, version: str, date: str) -> Element:
    """Describe what the façade at `address` answers in `version` of the gateway, as stated on `date` (YYYY-MM-DD)."""
    security = {
        "extension": [
            {
                "url": _OAUTH_ADDRESSES,
                "extension": [{"url": "token", "valueUri": f"{address}/oauth2/token"}],
            }
        ],
        "service": [{"coding": [{"system": _OAUTH, "code": "OAuth"}], "text": "OAuth2, client_credentials"}],
        "description": "Jeton d'accès lié à la clé du client ; voir /.well-known/oauth-authorization-server.",
    }
    resources = [
        {
            "type": name,
            "documentation": documentation,
            "interaction": [{"code": "read"}, *([{"code": "search-type"}] if name in _SEARCHED else [])],
            "searchParam": _SEARCHED.get(name, []),
            "versioning": "no-version",
            "referencePolicy": ["literal", "logical", "local"],
        }
        for name, documentation in _RESOURCES.items()
    ]
    statement = {
        "resourceType": "CapabilityStatement",
        "url": f"{address}/fhir/R4/metadata",
        "version": version,
        "name": "TraitDUnion",
        "title": "Trait d'union : façade FHIR R4",
        "status": "active",
        "date": date,
        "description": "Lecture seule. Le langage commun (/schemas) fait foi ; FHIR en est une vue.",
        "kind": "instance",
        "software": {"name": "Trait d'union", "version": version},
        "implementation": {"description": "Passerelle Trait d'union", "url": f"{address}/fhir/R4"},
        "fhirVersion": FHIR_VERSION,
        "format": ["application/fhir+json"],
        "rest": [{"mode": "server", "security": security, "resource": resources}],
    }
    return written(CapabilityStatement, statement)
