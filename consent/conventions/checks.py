"""
Whether a document is a sound convention: what its schema says, then what a schema cannot say.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final, TypeAlias

from consent.conventions.mask import Rule, mask_of
from consent.conventions.structure import names
from schemas import Document, Issue, Kind, fields, validate

MAX_CANONICAL_BYTES: Final = 90_000
"""The largest canonical form: a JWS payload of that size still passes the limits of common JOSE libraries."""

Place: TypeAlias = tuple[int, int]
"""A line and a column, from 1."""

_CHANNELS: Final = (
    (
        frozenset({"api", "inbound", "sftp"}),
        "Aucun canal ne permet d'envoyer : ajoutez « api », « inbound » ou « sftp ».",
        "No channel lets anything be sent: add `api`, `inbound` or `sftp`.",
    ),
    (
        frozenset({"mailbox", "webhook", "sftp", "light"}),
        "Aucun canal ne permet de recevoir : ajoutez « mailbox », « webhook », « sftp » ou « light ».",
        "No channel lets anything be received: add `mailbox`, `webhook`, `sftp` or `light`.",
    ),
)
"""The ways in, then the ways out: a convention needs one of each."""

_NEVER_NIR: Final = frozenset({"association", "siae", "delegataire_rsa"})
"""The roles that no convention may entitle to the NIR; a choice of this project, to be checked by a lawyer."""


class ConventionRefused(ValueError):
    """
    The document is not a sound convention; `issues` says everything that is wrong with it.
    """

    def __init__(self, issues: list[Issue]) -> None:
        super().__init__("; ".join(f"{issue.pointer or '/'} : {issue.message_fr}" for issue in issues))
        self.issues = issues


def check(document: object, places: Mapping[str, Place] | None = None) -> list[Issue]:
    """
    Everything wrong with a convention's document; the empty list when it is sound.

    `places` gives the line and column of each pointer when the document was read from a file. The cross-checks only
    run on a document that its schema accepts.
    """
    issues = validate(Kind.CONVENTION, document)
    if not issues and isinstance(document, dict):
        issues = list(_crosschecks(document))
    return [_placed(issue, places or {}) for issue in issues]


def _placed(issue: Issue, places: Mapping[str, Place]) -> Issue:
    """
    The issue with its line and column, those of the nearest container when the pointer itself is not in the file.
    """
    pointer = issue.pointer
    while pointer and pointer not in places:
        pointer = pointer.rpartition("/")[0]
    line, column = places.get(pointer, (None, None))
    return replace(issue, line=line, column=column)


def _crosschecks(document: Document) -> Iterator[Issue]:
    yield from _size(document)
    yield from _unique_names(document)
    yield from _validity(document)
    for channels, message_fr, message_en in _CHANNELS:
        if channels.isdisjoint(document["channels"]):
            yield Issue("channel_missing", "/channels", message_fr, message_en)
    yield from _parties(document)
    for index, flow in enumerate(document["flows"]):
        yield from _flow(flow, f"/flows/{index}", document)


def _size(document: Document) -> Iterator[Issue]:
    # A little more than the canonical form, which costs much more to compute.
    if len(json.dumps(document, ensure_ascii=False).encode()) > MAX_CANONICAL_BYTES:
        yield Issue(
            "too_large",
            "",
            "La convention est trop longue pour être signée : raccourcissez ses textes.",
            "The convention is too long to be signed: shorten its texts.",
        )


def _unique_names(document: Document) -> Iterator[Issue]:
    for pointer, key in (("/parties", "siret"), ("/legal_bases", "id"), ("/flows", "id"), ("/retention", "class")):
        seen = set()
        for index, entry in enumerate(document.get(pointer[1:], [])):
            if entry[key] in seen:
                yield Issue(
                    "repeated",
                    f"{pointer}/{index}/{key}",
                    "Cette valeur est déjà celle d'une entrée précédente de la liste.",
                    "This value is already that of an earlier entry of the list.",
                )
            seen.add(entry[key])


def _validity(document: Document) -> Iterator[Issue]:
    if document["validity"]["until"] < document["validity"]["from"]:
        yield Issue(
            "validity_order",
            "/validity/until",
            "La convention prendrait fin avant d'avoir commencé.",
            "The convention would end before it has begun.",
        )


def _parties(document: Document) -> Iterator[Issue]:
    grounds = {entry["party"] for entry in document.get("nir", [])}
    for index, party in enumerate(document["parties"]):
        pointer = f"/parties/{index}"
        if party["nir_entitled"] != (party["siret"] in grounds):
            yield Issue(
                "nir_contradiction",
                f"{pointer}/nir_entitled",
                "L'habilitation au NIR et la liste « nir », qui en donne le fondement, se contredisent.",
                "The NIR entitlement and the list `nir`, which gives its ground, contradict each other.",
            )
        if party["nir_entitled"] and party["role"] in _NEVER_NIR:
            yield Issue(
                "nir_role",
                f"{pointer}/nir_entitled",
                "Une association, une SIAE ou un délégataire ne reçoit jamais le NIR.",
                "An association, a SIAE or a delegate never receives the NIR.",
            )
        if party.get("acts_for") == party["siret"]:
            yield Issue(
                "acts_for_itself",
                f"{pointer}/acts_for",
                "Une partie ne peut pas agir pour le compte d'elle-même.",
                "A party cannot act on behalf of itself.",
            )
    sirets = {party["siret"] for party in document["parties"]}
    for index, entry in enumerate(document.get("nir", [])):
        if entry["party"] not in sirets:
            yield _not_a_party(f"/nir/{index}/party")


def _flow(flow: Document, pointer: str, document: Document) -> Iterator[Issue]:
    parties = {party["siret"]: party for party in document["parties"]}
    bases = {basis["id"]: basis for basis in document["legal_bases"]}
    strangers = [end for end in ("from", "to") if flow[end] not in parties]
    yield from (_not_a_party(f"{pointer}/{end}") for end in strangers)
    if flow["from"] == flow["to"]:
        yield Issue(
            "flow_to_itself",
            f"{pointer}/to",
            "Un flux ne peut pas aller d'une organisation à elle-même.",
            "A flow cannot go from an organisation to itself.",
        )
    for index, purpose in enumerate(flow["purposes"]):
        if purpose not in document["purposes"]:
            yield Issue(
                "purpose_not_declared",
                f"{pointer}/purposes/{index}",
                "Cette finalité n'est pas dans les finalités de la convention.",
                "This purpose is not among those of the convention.",
            )
    basis = bases.get(flow["legal_basis"])
    if basis is None:
        yield Issue(
            "legal_basis_unknown",
            f"{pointer}/legal_basis",
            "Aucune base légale de la convention ne porte cet identifiant.",
            "No legal basis of the convention has this identifier.",
        )
    if basis is not None and not strangers:
        yield from _grounds(flow, pointer, basis)
        if "break_glass" in flow:
            yield from _break_glass(flow, f"{pointer}/break_glass", basis, parties[flow["to"]])
        yield from _patterns(flow, pointer, nir_entitled=parties[flow["to"]]["nir_entitled"])


def _grounds(flow: Document, pointer: str, basis: Document) -> Iterator[Issue]:
    """
    What the legal basis asks of the flow.
    """
    if basis["rgpd"] == "6.1.a" and flow["agreement"] != "required":
        yield Issue(
            "consent_without_agreement",
            f"{pointer}/agreement",
            "La base légale est le consentement : l'accord de la personne est alors obligatoire.",
            "The legal basis is consent: the person's agreement is then required.",
        )


def _break_glass(flow: Document, pointer: str, basis: Document, recipient: Document) -> Iterator[Issue]:
    """
    Whether an emergency access has a meaning: an agreement that it stands in for, and something of the flow to send.
    """
    if flow["agreement"] != "required":
        yield Issue(
            "break_glass_without_agreement",
            pointer,
            "L'accès d'urgence remplace un accord qui manque : ce flux n'en demande pas.",
            "Break-glass stands in for a missing agreement: this flow requires none.",
        )
    for index, category in enumerate(flow["break_glass"]["categories"]):
        if category not in flow["categories"]:
            yield Issue(
                "break_glass_category",
                f"{pointer}/categories/{index}",
                "L'urgence ne peut pas donner plus que l'accord : cette catégorie n'est pas dans celles du flux.",
                "An emergency cannot give more than an agreement: this category is not among those of the flow.",
            )
    covers = basis.get("special", "9.2.a") != "9.2.a"
    rule = Rule.of_flow(flow, nir_entitled=recipient["nir_entitled"], basis_covers_special=covers)
    mask = mask_of(rule)
    if not mask.says_something(mask.urgent(frozenset(flow["break_glass"]["categories"]))):
        yield Issue(
            "break_glass_says_nothing",
            f"{pointer}/categories",
            "Rien ne sortirait en urgence : les données particulières y demandent une base légale de l'article 9 autre que le consentement.",
            "Nothing would leave in an emergency: special data then need a legal basis of article 9 other than consent.",
        )


def _patterns(flow: Document, pointer: str, *, nir_entitled: bool) -> Iterator[Issue]:
    """
    Whether the categories and patterns of the flow leave something to say, and mean what their author hoped.
    """
    leaves = fields(Kind(flow["kind"]))
    mask = mask_of(Rule.of_flow(flow, nir_entitled=nir_entitled, basis_covers_special=True))
    for list_name in ("only", "except"):
        for index, pattern in enumerate(flow.get(list_name, [])):
            if not any(names(pattern, leaf) for leaf in leaves):
                yield Issue(
                    "pattern_unknown",
                    f"{pointer}/{list_name}/{index}",
                    "Ce chemin ne désigne aucune donnée de ce type de document.",
                    "This pattern names no data of this kind of document.",
                )
            elif list_name == "only" and not any(names(pattern, leaf) for leaf in mask.widest):
                yield Issue(
                    "pattern_without_effect",
                    f"{pointer}/{list_name}/{index}",
                    "Ce chemin ne laisse rien sortir : sa catégorie n'est pas dans le flux, ou il y manque un champ obligatoire voisin.",
                    "This pattern lets nothing leave: its category is not in the flow, or a required field beside it is missing.",
                )
    if not mask.says_something(mask.widest):
        yield Issue(
            "flow_says_nothing",
            f"{pointer}/categories",
            "Ce flux ne laisserait rien sortir d'un document de ce type.",
            "This flow would let nothing leave of a document of this kind.",
        )


def _not_a_party(pointer: str) -> Issue:
    return Issue(
        "not_a_party",
        pointer,
        "Cette organisation n'est pas une partie de la convention.",
        "This organisation is not a party of the convention.",
    )
