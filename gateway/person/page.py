"""
The account as a French page to print; nothing in it comes from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import Template

from consent.agreement import Agreement, AgreementState
from consent.clock import PARIS, instant
from gateway.receipts.page import style
from gateway.store.database import moment
from gateway.templating import templates
from gateway.titles import field_codes, field_titles
from schemas import Kind, code_list

_KINDS = {
    "referral": "Orientation",
    "bilan": "Bilan de droits",
    "status": "Suivi",
    "consent": "Accord ou notification",
    "attachment": "Pièce jointe",
}
_STATES = {
    AgreementState.GIVEN: "en cours",
    AgreementState.NOT_STARTED: "pas encore commencé",
    AgreementState.PARTLY_WITHDRAWN: "retiré en partie",
    AgreementState.WITHDRAWN: "retiré",
    AgreementState.EXPIRED: "arrivé à son terme",
    AgreementState.REFUSED: "refusé",
}
_TITLES = {"consent": "Consentement", "accord": "Accord", "mandate": "Mandat"}


def account_page(told: Mapping[str, Any]) -> str:
    """The page of what `gateway.person.account` told."""
    names: Mapping[str, str] = told["organisations"]

    def name(siret: str) -> str:
        return names.get(siret, f"SIRET {siret}")

    return _template().render(
        style=style(),
        made=_day(told["made_at"]),
        months=told["trace_months"],
        ledger=told["ledger"],
        operator=name(told["operator"]),
        disclosures=[
            {
                **each,
                "at": _hour(each["at"]),
                "recipient": name(each["recipient"]),
                "sender": name(each["sender"]) if each["sender"] else "",
                "kind": _KINDS[each["kind"]],
                "purpose": code_list("purpose")[each["purpose"]].label_fr if each["purpose"] else "",
            }
            for each in told["disclosures"]
        ],
        readings=[
            {**each, "at": _hour(each["occurred_at"]), "actor": name(each["actor"])} for each in told["readings"]
        ],
        events=[{**each, "at": _hour(each["occurred_at"]), "actor": name(each["actor"])} for each in told["events"]],
        agreements=[_agreement(each, told, name) for each in told["agreements"]],
        objections=[
            {
                "since": _day(each["since"]),
                "until": _day(each["until"]),
                "recipient": each["recipient"] and name(each["recipient"]),
            }
            for each in told["objections"]
        ],
        documents=[
            {
                "kind": _KINDS[each["kind"]],
                "received": _day(each["received_at"]),
                "sender": name(each["sender"]),
                "lines": list(_lines(Kind(each["kind"]), each["content"])),
            }
            for each in told["documents"]
        ],
    )


def _agreement(document: Mapping[str, Any], told: Mapping[str, Any], name: Any) -> dict[str, Any]:
    state = Agreement.from_document(dict(document)).state_at(moment(told["made_at"]))
    recipients = dict.fromkeys(siret for scope in document["scopes"] for siret in scope["recipients"])
    return {
        "title": _TITLES[document["agreement_type"]],
        "since": _written(instant(document["collected_at"])),
        "state": _STATES[state],
        "recipients": [name(siret) for siret in recipients],
    }


def _lines(kind: Kind, value: Any, pattern: str = "") -> Iterator[tuple[str, str]]:
    """The leaves of a document with their French titles, in its order."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _lines(kind, item, f"{pattern}/{key}")
    elif isinstance(value, list):
        for item in value:
            yield from _lines(kind, item, f"{pattern}/*")
    else:
        title = field_titles(kind).get(pattern)
        yield (
            (", ".join([*title.within, title.title]) if title else pattern),
            _said(value, field_codes(kind).get(pattern)),
        )


def _said(value: Any, codes: str | None) -> str:
    if isinstance(value, bool):
        return "oui" if value else "non"
    if codes and value in (listed := code_list(codes)):
        return listed[value].label_fr
    return "" if value is None else str(value)


def _day(text: str) -> str:
    return _written(moment(text))


def _written(at: datetime) -> str:
    return f"{at.astimezone(PARIS):%d/%m/%Y}"


def _hour(text: str) -> str:
    return f"{moment(text).astimezone(PARIS):%d/%m/%Y à %H h %M}"


@cache
def _template() -> Template:
    return templates("gateway.person").get_template("account.html")
