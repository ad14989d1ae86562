"""
What a printed convention says, in French, computed from its file: one content for the HTML page and for the PDF.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from consent.conventions.convention import Convention, Flow, LegalBasis, Limits
from gateway.titles import Group, grouped
from schemas import code_list, fields

_SIGNED: Final = "Chaque requête qui envoie ou relève au titre de la convention est signée (RFC 9421)."

_MONTHS: Final = (
    *("janvier", "février", "mars", "avril", "mai", "juin"),
    *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
)

NEVER: Final = (
    "Les notes internes et tout ce qu'un émetteur marque comme secret.",
    "Le NIR, sauf vers une partie que cette convention y dit habilitée.",
    "Les données sur la santé et les autres données de l'article 9 du RGPD, sauf dans un flux qui les admet expressément.",
    "Les coordonnées bancaires et tout champ que les schémas partagés ne décrivent pas.",
    "Les données d'une personne qui s'est opposée à l'échange.",
)
"""What leaves under no flow, whatever the categories named."""

RIGHTS: Final = (
    "Chaque personne est informée, au plus tard dans le premier message qui lui est adressé, de ce qui est transmis, à qui et pourquoi (RGPD art. 13 et 14).",
    "Elle peut accéder à ses données et à la trace des échanges, les faire rectifier ou effacer, auprès de n'importe laquelle des parties (RGPD art. 15 à 17 ; CRPA R114-9-7).",
    "Elle peut s'opposer à tout moment (RGPD art. 21) et reprendre son accord aussi simplement qu'elle l'a donné (RGPD art. 7(3)) : les destinataires en sont prévenus et en accusent réception (RGPD art. 19).",
)
"""What is owed to people under every convention."""


@dataclass(frozen=True, slots=True)
class PartySheet:
    """A party as it is printed; `nir_ground` is empty when it is not entitled to the NIR."""

    name: str
    siret: str
    role: str
    acts_for: str
    nir_ground: str
    dpo: str
    dpo_email: str


@dataclass(frozen=True, slots=True)
class FlowSheet:
    """A flow as it is printed; `groups` are the most that may ever leave, by category."""

    id: str
    document: str
    sender: str
    recipient: str
    purposes: tuple[str, ...]
    basis: str
    agreement: str
    special: str
    emergency: str
    count: int
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table with two columns and a remark."""

    name: str
    value: str
    remark: str = ""


@dataclass(frozen=True, slots=True)
class SignatureSheet:
    """A party that signs, with its signature if there is one: when, and with which key."""

    party: str
    signed: str = ""
    kid: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Everything that a printed convention says."""

    id: str
    version: int
    hash: str
    title: str
    territory: str
    since: str
    until: str
    parties: tuple[PartySheet, ...]
    purposes: tuple[str, ...]
    bases: tuple[Row, ...]
    flows: tuple[FlowSheet, ...]
    retention: tuple[Row, ...]
    channels: tuple[str, ...]
    signed_requests: str
    volumes: str
    signatures: tuple[SignatureSheet, ...]


def sheet(convention: Convention, signatures: Sequence[Mapping[str, str]] = ()) -> Sheet:
    """
    Write a convention in French; `signatures` are those kept by the gateway (`party`, `kid`, `signed_at`), none by default.
    """
    document = convention.document
    return Sheet(
        id=convention.id,
        version=convention.version,
        hash=convention.hash,
        title=document["title"],
        territory=document.get("territory", ""),
        since=day(document["validity"]["from"]),
        until=day(document["validity"]["until"]),
        parties=tuple(_party(party, convention) for party in document["parties"]),
        purposes=tuple(label("purpose", code) for code in document["purposes"]),
        bases=tuple(_basis(basis, convention) for basis in document["legal_bases"]),
        flows=tuple(_flow(flow, convention) for flow in convention.flows),
        retention=tuple(
            Row(label("retention_class", rule["class"]), months(rule["months"]), rule.get("justification", ""))
            for rule in document["retention"]
        ),
        channels=tuple(label("channel", code) for code in document["channels"]),
        signed_requests=_SIGNED if convention.signed_requests else "",
        volumes=_volumes(convention.limits),
        signatures=_signatures(convention, signatures),
    )


def day(text: str) -> str:
    """An ISO day as it is written in French: `1er janvier 2026`."""
    found = date.fromisoformat(text[:10])
    number = "1er" if found.day == 1 else str(found.day)
    return f"{number} {_MONTHS[found.month - 1]} {found.year}"


def months(number: int) -> str:
    """A retention in months as people say it: `12 mois (1 an)`."""
    if number == 0:
        return "détruites aussitôt"
    years = {12: "1 an"} | {12 * some: f"{some} ans" for some in range(2, 51)}
    return f"{number} mois" + (f" ({years[number]})" if number in years else "")


def label(codes: str, code: str) -> str:
    """The French label of a code of a list of the schemas."""
    return code_list(codes)[code].label_fr


def siret(text: str) -> str:
    """A SIRET in groups, with spaces that never break the line."""
    return "\N{NO-BREAK SPACE}".join((text[:3], text[3:6], text[6:9], text[9:]))


def _party(party: Mapping[str, Any], convention: Convention) -> PartySheet:
    grounds = {entry["party"]: entry["ground"] for entry in convention.document.get("nir", ())}
    acts_for = party.get("acts_for")
    known = convention.parties.get(acts_for or "")
    dpo = party["contacts"]["dpo"]
    return PartySheet(
        name=party["name"],
        siret=siret(party["siret"]),
        role=label("partner_role", party["role"]),
        acts_for=(known.name if known else siret(acts_for)) if acts_for else "",
        nir_ground=grounds.get(party["siret"], "") if party["nir_entitled"] else "",
        dpo=dpo["name"],
        dpo_email=dpo["email"],
    )


def _volumes(limits: Limits) -> str:
    units = ((limits.per_day, "par jour"), (limits.per_minute, "par minute"))
    said = [f"{number:,} documents {unit}".replace(",", "\N{NO-BREAK SPACE}") for number, unit in units if number]
    return f"Chaque émetteur transmet au plus {' et '.join(said)}." if said else ""


def _basis(basis: Mapping[str, Any], convention: Convention) -> Row:
    points = [f"{basis['rgpd']} : {label('rgpd_basis', basis['rgpd'])}"]
    if "special" in basis:
        points.append(f"{basis['special']} : {label('rgpd_art9', basis['special'])}")
    used = [flow.id for flow in convention.flows if flow.basis is not None and flow.basis.id == basis["id"]]
    return Row(f"{basis['text']}, {basis['article']}", " ; ".join(points), ", ".join(used))


def _flow(flow: Flow, convention: Convention) -> FlowSheet:
    return FlowSheet(
        id=flow.id,
        document=label("document_kind", flow.kind),
        sender=convention.parties[flow.sender].name,
        recipient=convention.parties[flow.recipient].name,
        purposes=tuple(label("purpose", code) for code in code_list("purpose") if code in flow.purposes),
        basis=flow.basis.citation if flow.basis else "",
        agreement=_agreement(flow),
        special=_special(flow, flow.basis),
        emergency=_emergency(flow),
        count=len(flow.mask.widest),
        # What is about the person first, the technical envelope last.
        groups=tuple(sorted(grouped(flow.kind, flow.mask.widest), key=lambda group: group.category == "exchange")),
    )


def _agreement(flow: Flow) -> str:
    if not flow.agreement_required:
        return "N'est pas demandé : la base légale suffit. La personne est informée et peut s'opposer."
    types = [code for code in code_list("agreement_type") if code in flow.agreement_types]
    names = " ou ".join(_inside(label("agreement_type", code)) for code in types)
    level = _inside(label("evidence_level", flow.evidence_level)) if flow.evidence_level else ""
    proof = f" Preuve au moins : {level}." if level else ""
    return f"Nécessaire{f' ({names})' if names else ''} : seules sortent les données que l'accord nomme.{proof}"


def _inside(text: str) -> str:
    """A label inside a sentence."""
    return text[0].lower() + text[1:]


def _special(flow: Flow, basis: LegalBasis | None) -> str:
    labels = fields(flow.kind)
    if not any(labels[pattern].sensitivity == "special" for pattern in flow.mask.widest):
        return ""
    if basis is not None and basis.covers_special:
        return "Admises dans ce flux, sur le fondement de sa base légale (RGPD art. 9)."
    return "Admises dans ce flux si l'accord de la personne les nomme (RGPD art. 9)."


def _emergency(flow: Flow) -> str:
    if flow.emergency is None:
        return ""
    names = [label("data_category", code) for code in code_list("data_category") if code in flow.emergency.categories]
    hours, days = flow.emergency.hours, flow.emergency.review_days
    return (
        f"Sans l'accord, si un danger ne permet pas de le demander et si la personne n'a rien refusé : {', '.join(names)}. "
        f"Ouvert par un professionnel nommé, pour {hours} heures au plus, annoncé aux délégués à la protection des données, "
        f"revu par une autre partie sous {days} jours. {flow.emergency.ground}."
    )


def _signatures(convention: Convention, signatures: Sequence[Mapping[str, str]]) -> tuple[SignatureSheet, ...]:
    found = {signature["party"]: signature for signature in signatures}
    return tuple(
        SignatureSheet(party.name, day(found[code]["signed_at"]), found[code]["kid"])
        if code in found
        else SignatureSheet(party.name)
        for code, party in convention.parties.items()
    )
