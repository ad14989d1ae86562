"""
The members of events, each once: its JSON Schema, and what it is in French and in English.
"""

from typing import Any, Final

Rule = dict[str, Any]

_UUID: Final = {"type": "string", "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"}
_SIRET: Final = {"type": "string", "pattern": "^[0-9]{14}$"}
_INSTANT: Final = {"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$"}
_CODE: Final = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.:-]{0,199}$"}
_TEXT: Final = {"type": "string", "maxLength": 500}
_COUNT: Final = {"type": "integer", "minimum": 0}
_HEX: Final = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_POINTERS: Final = {"type": "array", "items": {"type": "string", "pattern": "^(/[^/]*)+$"}}
_SIRETS: Final = {"type": "array", "items": _SIRET}
_CODES: Final = {"type": "array", "items": _CODE}


def _or_null(rule: Rule) -> Rule:
    return {**rule, "type": [rule["type"], "null"]}


_DECIDED: Final[Rule] = {
    "type": "object",
    "required": ["permit", "reasons", "convention", "agreement", "basis", "steps", "fields"],
    "additionalProperties": False,
    "properties": {
        "permit": {"type": "boolean"},
        "reasons": _CODES,
        "convention": {
            "type": ["object", "null"],
            "required": ["id", "version", "hash", "flow"],
            "additionalProperties": False,
            "properties": {"id": _CODE, "version": {"type": "integer", "minimum": 1}, "hash": _HEX, "flow": _TEXT},
        },
        "agreement": {"type": ["string", "null"]},
        "basis": _or_null(_TEXT),
        "steps": {"type": "array", "items": _TEXT},
        "fields": {"type": "array", "items": {"type": "string", "pattern": "^(/[^/]*)+$"}},
        "decided_at": _INSTANT,
        "recipient": _SIRET,
        "break_glass": _or_null(_TEXT),
    },
}
_SCOPE: Final[Rule] = {
    "type": "object",
    "required": ["id", "purposes", "kinds", "categories", "recipients"],
    "additionalProperties": False,
    "properties": {
        "id": _TEXT,
        "purposes": _CODES,
        "kinds": _CODES,
        "categories": _CODES,
        "recipients": _SIRETS,
        "withdrawn_at": _TEXT,
    },
}
_CONVENTION: Final = {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}

MEMBERS: Final[dict[str, tuple[Rule, str, str]]] = {
    "about": (
        _UUID,
        "L'accord retiré, l'opposition ou l'effacement que dit la notification.",
        "What the notice is about.",
    ),
    "acted_by": (
        _SIRET,
        "L'organisation dont le logiciel a agi au nom de l'auteur.",
        "Whose software acted for the actor.",
    ),
    "adapter": (_CODE, "Le format du fichier.", "The format of the file."),
    "agreement_id": (_TEXT, "L'accord.", "The agreement."),
    "agreement_type": (_CODE, "La nature de l'accord.", "The kind of agreement."),
    "attachment_id": (_UUID, "La pièce jointe remise.", "The attachment handed over."),
    "by": (_CODE, "La liste parcourue : person, convention, partner ou all.", "The list gone through."),
    "bytes": (_COUNT, "La taille du fichier.", "The size of the file."),
    "carried": (
        {"const": True},
        "Gardée après un effacement, pour son seul usage.",
        "Kept after an erasure, for its sole use.",
    ),
    "case_reference": (_or_null(_TEXT), "La référence du dossier de l'auditeur.", "The auditor's case reference."),
    "cause": (_CODE, "La cause.", "The cause."),
    "change": (_CODE, "Ce qui a changé.", "What changed."),
    "channel": (_CODE, "La voie employée.", "The channel used."),
    "class": (_CODE, "La classe de conservation.", "The retention class."),
    "client_id": (_CODE, "Le logiciel qui a agi.", "The software that acted."),
    "code": (_CODE, "Le motif, en code.", "The reason, as a code."),
    "content": (_CODE, "Ce qui a été lu.", "What was read."),
    "convention_id": (_or_null(_CONVENTION), "La convention.", "The convention."),
    "day": ({"type": "string", "format": "date"}, "Le jour des événements.", "The day of the events."),
    "decision": (_DECIDED, "La décision, avec ses étapes et les champs permis.", "The decision, its steps and fields."),
    "decisions": (
        {"type": "array", "items": _DECIDED},
        "La décision pour chaque destinataire.",
        "The decision for each recipient.",
    ),
    "delivery_id": (_UUID, "La livraison.", "The delivery."),
    "destroyed": (
        {"type": "object", "additionalProperties": _COUNT},
        "Combien de chaque chose a été détruit.",
        "How many of each thing were destroyed.",
    ),
    "document_id": (_UUID, "Le document.", "The document."),
    "done": (
        {"enum": ["stopped", "erased"]},
        "Ce que le destinataire a fait de ce qu'il tenait.",
        "What the recipient did with what it held.",
    ),
    "due_at": (_INSTANT, "Le terme du délai.", "The end of the time limit."),
    "ended_at": (_INSTANT, "Quand l'accord est arrivé à son terme.", "When the agreement ended."),
    "event_id": (_UUID, "L'événement lu.", "The event that was read."),
    "events": (_COUNT, "Combien d'événements.", "How many events."),
    "exchange_id": (_UUID, "L'échange.", "The exchange."),
    "flow": (_or_null(_TEXT), "Le flux de la convention.", "The flow of the convention."),
    "from": (_INSTANT, "Début de la période, compris.", "Beginning of the period, included."),
    "hash": (_HEX, "L'empreinte de la convention.", "The hash of the convention."),
    "kind": (_CODE, "La nature du document.", "The kind of document."),
    "lease": (
        _UUID,
        "La remise, qui peut compter plusieurs livraisons.",
        "The hand-over, which may have several deliveries.",
    ),
    "left": (_POINTERS, "Ce qui est parti, champ par champ.", "What left, field by field."),
    "level": (_CODE, "Le niveau de preuve.", "The level of evidence."),
    "notice": (_or_null(_CODE), "La cause de la notification.", "The cause of the notice."),
    "notified": (_SIRETS, "Les organisations à prévenir.", "The organisations to tell."),
    "objection_id": (_UUID, "L'opposition.", "The objection."),
    "objections_kept": (_COUNT, "Combien d'oppositions sont gardées.", "How many objections are kept."),
    "opening_id": (_UUID, "L'accès d'urgence.", "The emergency access."),
    "origin": (_TEXT, "L'origine du journal.", "The origin of the log."),
    "outcome": (_CODE, "L'issue.", "The outcome."),
    "partner": (_SIRET, "L'organisation.", "The organisation."),
    "party": (_SIRET, "La partie prévenue.", "The party that was told."),
    "pseudonym": (
        {"type": ["string", "null"], "pattern": "^p-[0-9a-f]{32}$"},
        "La personne, telle que le destinataire la connaît.",
        "The person, as the recipient knows them.",
    ),
    "purpose": (_or_null(_CODE), "La finalité.", "The purpose."),
    "quarantine_id": (_UUID, "Le fichier mis de côté.", "The file set aside."),
    "quarantine_ids": ({"type": "array", "items": _UUID}, "Les fichiers supprimés.", "The files deleted."),
    "reason": (_or_null(_TEXT), "Le motif, en code.", "The reason, as a code."),
    "reasons": (_CODES, "Les motifs, en codes.", "The reasons, as codes."),
    "recipient": (_or_null(_SIRET), "Le destinataire.", "The recipient."),
    "reminders": (_COUNT, "Combien de rappels déjà.", "How many reminders already."),
    "replaces": ({"type": ["string", "null"]}, "L'accord remplacé.", "The agreement replaced."),
    "replay_of": (_UUID, "La livraison rejouée.", "The delivery replayed."),
    "review_due_at": (_INSTANT, "Avant quand l'accès doit être revu.", "By when the access must be reviewed."),
    "role": (_TEXT, "Le rôle.", "The role."),
    "root": (_HEX, "La racine de l'index.", "The root of the index."),
    "rows": (_COUNT, "Combien de lignes la réponse compte.", "How many rows the answer has."),
    "rules": (
        {"type": "string", "pattern": "^[0-9a-f]{16}$"},
        "L'empreinte des règles de décision.",
        "The digest of the rules of decision.",
    ),
    "scopes": (
        {"type": "array", "items": _SCOPE},
        "Les lignes de l'accord.",
        "The lines of the agreement.",
    ),
    "search_id": (_UUID, "La recherche.", "The search."),
    "sender": (_SIRET, "L'expéditeur.", "The sender."),
    "size": (_COUNT, "Combien d'entrées du journal l'index couvre.", "How many entries of the log the index covers."),
    "start": (_COUNT, "La première entrée couverte.", "The first entry covered."),
    "statement_sha256": (_HEX, "L'empreinte de la justification.", "The digest of the statement."),
    "subject_tag": (
        _HEX,
        "Lie l'événement à la liste de la personne, sans rien dire d'elle.",
        "Binds the event to the person's list, and says nothing of them.",
    ),
    "text": (_CODE, "Le texte présenté.", "The text that was shown."),
    "through": (_CODE, "Par où la lecture a été faite.", "Through what it was read."),
    "told": (_SIRETS, "Les parties à prévenir.", "The parties to tell."),
    "types": (_CODES, "Les types demandés.", "The types asked for."),
    "until": (_INSTANT, "Fin de la période, non comprise ; ou terme.", "End of the period, excluded; or term."),
    "version": ({"type": "integer", "minimum": 1}, "La version.", "The version."),
    "view": (_CODE, "Masqué (masked) ou ouvert (opened).", "Masked or opened."),
    "withheld": (_POINTERS, "Ce qui a été retenu, champ par champ.", "What was held back, field by field."),
}
"""By name: the schema, in French, in English."""
