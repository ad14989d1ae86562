"""
What the record of an agreement must hold besides its schema: the evidence that each way of saying yes leaves, the rules
of a mandate, and the text that was shown.

These rules apply when a person says yes. A no needs no proof, and is never refused for want of one.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from consent import texts
from consent.agreement import DURATIONS
from schemas import Document, Issue

_LEVELS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "in_person": frozenset({"declared_by_professional", "document_kept", "confirmed_by_person"}),
        "paper": frozenset({"declared_by_professional", "document_kept"}),
        "sms": frozenset({"declared_by_professional"}),
        "oral_with_professional": frozenset({"declared_by_professional", "document_kept"}),
        "online": frozenset({"authenticated"}),
    }
)
"""The levels of evidence that may be declared for each channel; by SMS the gateway raises it when the reply comes."""

_EXPECTED: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "in_person": (
            "Pour un accord signé à l'écran devant un professionnel (in_person), donnez evidence.level : declared_by_professional ; "
            "document_kept si l'écrit est conservé ; ou confirmed_by_person avec evidence.confirmed_at.",
            "For an agreement signed on screen before a professional (in_person), give evidence.level: declared_by_professional; "
            "document_kept when the writing is kept; or confirmed_by_person with evidence.confirmed_at.",
        ),
        "paper": (
            "Pour un accord sur papier (paper), donnez evidence.level (document_kept, ou declared_by_professional) et evidence.sha256, "
            "l'empreinte SHA-256 de la copie du formulaire signé ; la copie reste chez vous.",
            "For an agreement on paper (paper), give evidence.level (document_kept, or declared_by_professional) and evidence.sha256, "
            "the SHA-256 digest of the copy of the signed form; you keep the copy.",
        ),
        "sms": (
            "Pour un accord par SMS (sms), donnez evidence.level : declared_by_professional et un seul numéro dans subject.phones ; la "
            "réponse, apportée à /v1/sms/replies, fait la preuve.",
            "For an agreement by text message (sms), give evidence.level: declared_by_professional and one number in subject.phones; "
            "the reply, brought to /v1/sms/replies, is the evidence.",
        ),
        "oral_with_professional": (
            "Pour un accord oral (oral_with_professional), donnez evidence.level : declared_by_professional, et dans collector le nom du "
            "professionnel, ou sa fonction et sa structure ; document_kept seulement avec un enregistrement : evidence.kind recording et "
            "evidence.sha256.",
            "For a spoken agreement (oral_with_professional), give evidence.level: declared_by_professional, and in collector the "
            "professional's name, or role and organisation; document_kept only with a recording: evidence.kind recording and "
            "evidence.sha256.",
        ),
        "online": (
            "Pour un accord en ligne (online), donnez evidence.level : authenticated et evidence.kind : sign_in.",
            "For an agreement given online (online), give evidence.level: authenticated and evidence.kind: sign_in.",
        ),
    }
)
"""What to give for each channel, in French and in English."""


def expected(channel: str) -> tuple[str, str]:
    """The evidence to give for a way of collecting an agreement, in a sentence; empty for an unknown one."""
    return _EXPECTED.get(channel, ("", ""))


def faults(document: Document) -> list[Issue]:
    """
    What a valid `consent` document lacks to be recorded as what a person said; the empty list when nothing does.
    """
    if document["state"] not in ("given", "refused"):
        return [
            Issue(
                "state_not_said",
                "/state",
                "Déclarez ce que la personne a dit : donné ou refusé. Un retrait s'enregistre à l'adresse de l'accord, /withdraw.",
                "Record what the person said: given or refused. A withdrawal is recorded at the agreement's own address, /withdraw.",
            )
        ]
    found = [issue for issue in (texts.fault(document["text"]),) if issue]
    if document["state"] == "given":
        found += _channel_faults(document)
        if document["agreement_type"] == "mandate":
            found += _mandate_faults(document)
    return found


def _channel_faults(document: Document) -> Iterator[Issue]:
    channel, evidence = document["channel"], document["evidence"]
    if evidence["level"] not in _LEVELS[channel]:
        yield _level_fault(channel)
    elif channel == "paper" and "sha256" not in evidence:
        yield Issue(
            "evidence_missing",
            "/evidence/sha256",
            "Un accord sur papier se prouve par la copie du formulaire signé : donnez son empreinte SHA-256.",
            "An agreement on paper is proven by the copy of the signed form: give its SHA-256 digest.",
        )
    elif channel == "sms":
        yield from _sms_faults(document)
    elif channel == "online" and evidence.get("kind") != "sign_in":
        yield Issue(
            "evidence_missing",
            "/evidence/kind",
            "Un accord en ligne se prouve par la connexion sécurisée de la personne : sign_in.",
            "An agreement given online is proven by the person's secure sign-in: sign_in.",
            suggestion="sign_in",
        )
    elif channel == "oral_with_professional":
        yield from _oral_faults(document)
    elif evidence["level"] == "confirmed_by_person" and "confirmed_at" not in evidence:
        yield Issue(
            "evidence_missing",
            "/evidence/confirmed_at",
            "Dites quand la personne a confirmé elle-même son accord.",
            "Say when the person confirmed the agreement in person.",
        )


def _sms_faults(document: Document) -> Iterator[Issue]:
    if len(document["subject"].get("phones", [])) != 1:
        yield Issue(
            "evidence_missing",
            "/subject/phones",
            "Donnez le numéro auquel le SMS est envoyé, et lui seul.",
            "Give the number that the text message is sent to, and no other.",
        )
    if document["text"]["version"] not in texts.texts() and "url" not in document["text"]:
        yield Issue(
            "evidence_missing",
            "/text/url",
            "Le SMS renvoie au texte complet : donnez l'adresse où la personne peut le lire.",
            "The text message refers to the full text: give the address where the person can read it.",
        )


def _oral_faults(document: Document) -> Iterator[Issue]:
    evidence, agent = document["evidence"], document.get("collector", {})
    if not (agent.get("name") or (agent.get("role") and agent.get("organisation"))):
        yield Issue(
            "evidence_missing",
            "/collector",
            "Un accord oral est attesté par un professionnel : donnez son nom, ou sa fonction et sa structure.",
            "A spoken agreement is attested by a professional: give the name, or the role and the organisation.",
        )
    if evidence["level"] == "document_kept" and not (evidence.get("kind") == "recording" and "sha256" in evidence):
        yield Issue(
            "evidence_missing",
            "/evidence",
            "Une parole n'est une preuve conservée que si elle est enregistrée : kind recording et son empreinte SHA-256. "
            "Sinon, le niveau est declared_by_professional.",
            "Spoken words are kept evidence only when recorded: kind recording, with its SHA-256 digest. "
            "Otherwise the level is declared_by_professional.",
        )


def _level_fault(channel: str) -> Issue:
    if channel == "sms":
        return Issue(
            "evidence_not_yet",
            "/evidence/level",
            "Par SMS, l'accord n'est donné qu'à la réponse « oui » : déclarez declared_by_professional, la passerelle inscrit la preuve.",
            "By text message the agreement is given only by the reply “oui”: state declared_by_professional, the gateway writes the evidence.",
            suggestion="declared_by_professional",
        )
    possible = ", ".join(sorted(_LEVELS[channel]))
    return Issue(
        "evidence_level",
        "/evidence/level",
        f"Ce niveau de preuve n'est pas celui de cette manière de recueillir l'accord. Possible ici : {possible}.",
        f"This level of evidence is not one of this channel. Possible here: {possible}.",
    )


def _mandate_faults(document: Document) -> Iterator[Issue]:
    """
    The rules of Aidants Connect's mandates: a usual duration, a named agent and matters, written or confirmed, and either
    no protective measure or the representative who acts.
    """
    mandate = document.get("mandate")
    if mandate is None:
        yield Issue(
            "mandate_incomplete",
            "/mandate",
            "Un mandat dit qui agit et pour quelles démarches : donnez mandate.agent et mandate.topics.",
            "A mandate says who acts and for which matters: give mandate.agent and mandate.topics.",
        )
        return
    if document.get("duration") not in DURATIONS:
        yield Issue(
            "mandate_duration",
            "/duration",
            "Un mandat dure un jour, un mois, six mois ou un an : one_day, one_month, six_months, one_year.",
            "A mandate lasts a day, a month, six months or a year: one_day, one_month, six_months, one_year.",
        )
    if mandate["agent"] != document["collected_by"]["siret"]:
        yield Issue(
            "mandate_agent",
            "/mandate/agent",
            "Le mandat est recueilli par l'organisation qui agira : mandate.agent est collected_by.",
            "A mandate is collected by the organisation that will act: mandate.agent is collected_by.",
        )
    if document["channel"] == "oral_with_professional":
        yield Issue(
            "mandate_spoken",
            "/channel",
            "Un mandat se donne par écrit, à l'écran, en ligne ou par SMS : une parole seule ne le prouve pas.",
            "A mandate is given in writing, on screen, online or by text message: spoken words alone do not prove it.",
        )
    if not mandate.get("no_protection_measure") and "representative" not in document:
        yield Issue(
            "mandate_protection",
            "/mandate/no_protection_measure",
            "La personne déclare qu'aucune mesure de protection ne la concerne ; sinon, nommez la personne qui la représente.",
            "The person declares to be under no protective measure; otherwise, name the representative.",
        )
