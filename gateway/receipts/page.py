"""
The receipt as a page to print (A4), and the public page that its QR code leads to.

Nothing comes from outside: the styles are in the page, the QR code is drawn in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Any, Final

import segno
from jinja2 import Template

from consent.agreement import Agreement, AgreementState
from consent.clock import PARIS, instant
from gateway.printing.html import self_contained
from gateway.receipts.content import Content
from gateway.templating import templates
from schemas import Document, code_list

_MONTHS: Final = (
    *("janvier", "février", "mars", "avril", "mai", "juin"),
    *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
)

_LEVELS: Final[Mapping[str, str]] = {
    "declared_by_professional": "Un professionnel atteste que vous avez donné votre accord.",
    "document_kept": "Un document que vous avez signé est conservé.",
    "confirmed_by_person": "Vous avez vous-même confirmé votre accord.",
    "authenticated": "Vous avez confirmé votre accord après une connexion sécurisée.",
}

_TITLES: Final[Mapping[str, str]] = {
    "consent": "Reçu de votre accord",
    "accord": "Reçu de votre accord",
    "mandate": "Reçu de votre mandat",
}


def receipt_page(content: Content) -> str:
    """The receipt of an agreement, in French, for the person."""
    document = content.document
    agreement = Agreement.from_document(document)
    state = agreement.state_at(content.issued)
    return _template("receipt.html").render(
        style=style(),
        title=_TITLES["consent" if state is AgreementState.REFUSED else document["agreement_type"]],
        holder=_holder(document["subject"]),
        state=state.value,
        standing=_standing(state, document, agreement),
        collector=_name(content, document["collected_by"]["siret"]),
        collected=_moment(instant(document["collected_at"])),
        channel=code_list("consent_channel")[document["channel"]].label_fr,
        level=code_list("evidence_level")[document["evidence"]["level"]].label_fr,
        meaning=_LEVELS[document["evidence"]["level"]],
        digest=document["evidence"].get("sha256"),
        lines=[_line(content, scope) for scope in document["scopes"]],
        since=_day(agreement.valid_from),
        until=_day(agreement.valid_until),
        mandate=_mandate(content),
        text=document["text"],
        desks=[_name(content, party["siret"]) for party in document["parties"]],
        identifier=document["id"],
        replaces=document.get("replaces"),
        index=content.index,
        origin=content.origin,
        proof=content.proof,
        qr=_qr(content.proof),
        issued=_moment(content.issued),
    )


def verification_page(identifier: str, address: str) -> str:
    """The public page: how to verify a receipt. The same for every identifier, known or not."""
    return _template("verification.html").render(style=style(), identifier=identifier, address=address)


def security_headers() -> dict[str, str]:
    """What a browser may do with these pages: show them, with the one style sheet that is in them."""
    return self_contained(style())


@cache
def style() -> str:
    """The style sheet of the pages."""
    return (files("gateway.receipts") / "style.css").read_text(encoding="utf-8")


@cache
def _template(name: str) -> Template:
    return templates("gateway.receipts").get_template(name)


def _qr(address: str) -> str:
    """An SVG drawing of the address, for a page in which its text stands too."""
    drawn = BytesIO()
    segno.make(address, error="m", micro=False).save(
        drawn, kind="svg", xmldecl=False, svgns=False, border=2, scale=1, omitsize=True, svgclass="qr", lineclass=None
    )
    return drawn.getvalue().decode()


def _line(content: Content, scope: Document) -> dict[str, Any]:
    categories = [code for code in scope["categories"] if code != "exchange"]
    return {
        "recipients": [_name(content, siret) for siret in scope["recipients"]],
        "categories": _labels("data_category", categories),
        "purposes": _labels("purpose", scope["purposes"]),
        "withdrawn": _day(instant(scope["withdrawn_at"])) if "withdrawn_at" in scope else None,
    }


def _mandate(content: Content) -> dict[str, Any] | None:
    mandate = content.document.get("mandate")
    if mandate is None or content.document["agreement_type"] != "mandate":
        return None
    return {
        "agent": _name(content, mandate["agent"]),
        "topics": _labels("mandate_topic", mandate["topics"]),
        "duration": code_list("duration")[content.document["duration"]].label_fr,
    }


def _standing(state: AgreementState, document: Document, agreement: Agreement) -> str:
    """Where the agreement stands, in a sentence."""
    until = _day(agreement.valid_until)
    if state is AgreementState.REFUSED:
        return "Vous avez refusé. Rien n'est transmis."
    if state is AgreementState.WITHDRAWN:
        ended = instant(document["withdrawal"]["at"]) if "withdrawal" in document else agreement.valid_until
        return f"Retiré le {_day(ended)}. Plus rien n'est transmis."
    if state is AgreementState.EXPIRED:
        return f"Terminé depuis le {until}. Plus rien n'est transmis."
    if state is AgreementState.NOT_STARTED:
        return f"Commence le {_day(agreement.starts)}, jusqu'au {until}."
    if state is AgreementState.PARTLY_WITHDRAWN:
        return f"En cours jusqu'au {until}, sauf ce que vous avez retiré."
    return f"En cours jusqu'au {until}."


def _holder(subject: Document) -> str | None:
    """How the receipt names the person; None when the organisation gave no name."""
    family = subject.get("used_name") or subject.get("birth_name")
    given = subject.get("given_names", [""])[0]
    return f"{given} {family}".strip() if family else None


def _name(content: Content, siret: str) -> str:
    for party in content.document["parties"]:
        if party["siret"] == siret and "name" in party:
            return str(party["name"])
    collector = content.document["collected_by"]
    own = collector.get("name") if collector["siret"] == siret else None
    return own or content.names.get(siret) or f"SIRET {siret}"


def _labels(codes: str, named: list[str]) -> list[str]:
    return [code_list(codes)[code].label_fr for code in named]


def _day(at: datetime) -> str:
    day = at.astimezone(PARIS)
    return f"{'1er' if day.day == 1 else day.day} {_MONTHS[day.month - 1]} {day.year}"


def _moment(at: datetime) -> str:
    return f"{_day(at)} à {at.astimezone(PARIS):%H\N{NO-BREAK SPACE}h\N{NO-BREAK SPACE}%M}"
