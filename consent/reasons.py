"""
Why the gate refused: every reason it can give, its article, and one sentence for the person who reads it.

The French sentence is written for a social worker, the English one says the same thing. None ever holds a value of
a document or an identifier of a person: a reason may be logged, counted and sent to the partner as it stands.
The articles are those of the project's reading of the law; a lawyer must confirm them before production.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Reason:
    """
    One reason for a refusal: a stable `code` for programs, the article it applies, and the sentence in two languages.
    """

    code: str
    article: str
    message_fr: str
    message_en: str


PURPOSE_NOT_ALLOWED: Final = Reason(
    "purpose_not_allowed",
    "CRPA L114-8 II",
    "Cette finalité n'est pas de celles qui permettent un échange : informer d'un droit, l'attribuer, évaluer la situation, suivre l'accompagnement.",
    "This purpose is not one that allows an exchange: inform about rights, award a right, social evaluation, follow-up.",
)
NO_CONVENTION: Final = Reason(
    "no_convention",
    "RGPD art. 5(2)",
    "Aucune convention ne prévoit que vous transmettiez ce type de document à ce destinataire.",
    "No convention provides for your sending this kind of document to this recipient.",
)
CONVENTION_NOT_SIGNED: Final = Reason(
    "convention_not_signed",
    "RGPD art. 5(2)",
    "La convention n'est pas encore signée par toutes ses parties.",
    "The convention is not yet signed by all its parties.",
)
CONVENTION_REJECTED: Final = Reason(
    "convention_rejected",
    "RGPD art. 5(2)",
    "La convention a été rejetée par une de ses parties.",
    "The convention was rejected by one of its parties.",
)
CONVENTION_SUSPENDED: Final = Reason(
    "convention_suspended",
    "RGPD art. 5(2)",
    "La convention est suspendue : aucun échange n'est possible tant qu'elle n'est pas rétablie.",
    "The convention is suspended: no exchange is possible until it is resumed.",
)
CONVENTION_REVOKED: Final = Reason(
    "convention_revoked",
    "RGPD art. 5(2)",
    "La convention a été dénoncée par une de ses parties.",
    "The convention was revoked by one of its parties.",
)
CONVENTION_NOT_STARTED: Final = Reason(
    "convention_not_started",
    "RGPD art. 5(2)",
    "La convention n'est pas encore entrée en vigueur.",
    "The convention is not in force yet.",
)
CONVENTION_EXPIRED: Final = Reason(
    "convention_expired",
    "RGPD art. 5(2)",
    "La convention a pris fin : il faut la renouveler et la signer.",
    "The convention has come to its end: it must be renewed and signed.",
)
CONVENTION_SUPERSEDED: Final = Reason(
    "convention_superseded",
    "RGPD art. 5(2)",
    "Une version plus récente de la convention l'a remplacée et ne prévoit pas cet échange.",
    "A newer version of the convention has replaced it and does not provide for this exchange.",
)
PURPOSE_NOT_IN_CONVENTION: Final = Reason(
    "purpose_not_in_convention",
    "RGPD art. 5(1)(b)",
    "La convention ne prévoit pas cet envoi pour cette finalité.",
    "The convention does not provide for this transmission for this purpose.",
)
CHANNEL_NOT_ALLOWED: Final = Reason(
    "channel_not_allowed",
    "RGPD art. 32 ; CRPA R114-9-6",
    "La convention ne prévoit pas ce moyen de transmission (ses « channels ») : passez par un de ceux qu'elle nomme.",
    "The convention does not provide for this channel (its `channels`): use one that it names.",
)
LEGAL_BASIS_MISSING: Final = Reason(
    "legal_basis_missing",
    "RGPD art. 6(1)",
    "La convention n'indique aucune base légale pour cet envoi.",
    "The convention states no legal basis for this transmission.",
)
OBJECTION: Final = Reason(
    "objection",
    "RGPD art. 21 ; CRPA L114-8 II",
    "La personne s'est opposée à cet échange : rien ne peut être transmis.",
    "The person objected to this exchange: nothing may be sent.",
)
AGREEMENT_MISSING: Final = Reason(
    "agreement_missing",
    "RGPD art. 7",
    "L'accord de la personne pour ce destinataire est nécessaire et n'a pas été recueilli.",
    "The person's agreement for this recipient is required and was not collected.",
)
AGREEMENT_REFUSED: Final = Reason(
    "agreement_refused",
    "RGPD art. 7",
    "La personne a refusé de donner son accord.",
    "The person refused to give their agreement.",
)
AGREEMENT_WITHDRAWN: Final = Reason(
    "agreement_withdrawn",
    "RGPD art. 7(3)",
    "La personne a retiré son accord.",
    "The person withdrew their agreement.",
)
AGREEMENT_EXPIRED: Final = Reason(
    "agreement_expired",
    "RGPD art. 7",
    "L'accord de la personne est arrivé à son terme : il faut le lui redemander.",
    "The person's agreement has run out: it must be asked for again.",
)
AGREEMENT_NOT_STARTED: Final = Reason(
    "agreement_not_started",
    "RGPD art. 7",
    "L'accord de la personne ne prend effet qu'à une date ultérieure.",
    "The person's agreement only takes effect at a later date.",
)
AGREEMENT_OTHER_PURPOSE: Final = Reason(
    "agreement_other_purpose",
    "RGPD art. 7 ; art. 5(1)(b)",
    "L'accord de la personne ne concerne pas cette finalité.",
    "The person's agreement does not cover this purpose.",
)
AGREEMENT_OTHER_KIND: Final = Reason(
    "agreement_other_kind",
    "RGPD art. 7",
    "L'accord de la personne ne concerne pas ce type de document.",
    "The person's agreement does not cover this kind of document.",
)
AGREEMENT_OTHER_TYPE: Final = Reason(
    "agreement_other_type",
    "RGPD art. 7 ; CASF L121-6-2",
    "L'accord recueilli n'est pas de la nature que la convention demande (consentement, accord de partage ou mandat).",
    "The agreement collected is not of the type that the convention asks for (consent, agreement to share or mandate).",
)
AGREEMENT_EVIDENCE_TOO_WEAK: Final = Reason(
    "agreement_evidence_too_weak",
    "RGPD art. 7(1)",
    "La preuve de l'accord ne suffit pas pour cet envoi : la convention demande un écrit ou une confirmation de la personne.",
    "The proof of the agreement is not enough for this transmission: the convention asks for a document or for the person's confirmation.",
)
NOTHING_PERMITTED: Final = Reason(
    "nothing_permitted",
    "RGPD art. 5(1)(c)",
    "Aucune information de ce document n'est autorisée pour ce destinataire : il ne resterait rien à transmettre.",
    "No information of this document is permitted for this recipient: nothing would be left to send.",
)

CATALOGUE: Final[Mapping[str, Reason]] = MappingProxyType(
    {
        reason.code: reason
        for reason in (
            PURPOSE_NOT_ALLOWED,
            NO_CONVENTION,
            CONVENTION_NOT_SIGNED,
            CONVENTION_REJECTED,
            CONVENTION_SUSPENDED,
            CONVENTION_REVOKED,
            CONVENTION_NOT_STARTED,
            CONVENTION_EXPIRED,
            CONVENTION_SUPERSEDED,
            PURPOSE_NOT_IN_CONVENTION,
            CHANNEL_NOT_ALLOWED,
            LEGAL_BASIS_MISSING,
            OBJECTION,
            AGREEMENT_MISSING,
            AGREEMENT_REFUSED,
            AGREEMENT_WITHDRAWN,
            AGREEMENT_EXPIRED,
            AGREEMENT_NOT_STARTED,
            AGREEMENT_OTHER_PURPOSE,
            AGREEMENT_OTHER_KIND,
            AGREEMENT_OTHER_TYPE,
            AGREEMENT_EVIDENCE_TOO_WEAK,
            NOTHING_PERMITTED,
        )
    }
)
"""Every reason by its code."""
