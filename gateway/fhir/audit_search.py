"""
Searching AuditEvents by address: its parameters, and the Bundle of a page. Nothing of a person is ever in an address.

Source: HL7 FHIR R4 (4.0.1), RESTful API, search; the `date`, `agent` and `subtype` parameters of AuditEvent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from fhir.resources.R4B.bundle import Bundle

from consent.ledger.event import EventType
from gateway.audit.criteria import Criteria, View, cursor_of, read_cursor
from gateway.audit.search import Found
from gateway.errors import Problem
from gateway.fhir.audit_event import audit_event
from gateway.fhir.elements import Element, written
from gateway.store.database import instant
from schemas.identity import siret_is_valid

_KNOWN: Final = frozenset({"date", "agent", "subtype", "reason", "case", "_count", "cursor", "_format"})
_MOST: Final = 500


def criteria_of(parameters: Sequence[tuple[str, str]]) -> Criteria:
    """Read the parameters of an address; raises `Problem` malformed_request for one that is unknown, repeated or ill formed."""
    said = dict(parameters)
    dates = [value for name, value in parameters if name == "date"]
    if not said.keys() <= _KNOWN or len(parameters) != len(said) + max(len(dates) - 1, 0) or len(dates) > 2:
        raise _wrong("les paramètres possibles sont : " + ", ".join(sorted(_KNOWN)))
    criteria = Criteria(
        view=View.read(None, said.get("reason"), said.get("case")),
        partner=_agent(said.get("agent")),
        types=_types(said.get("subtype")),
        cursor=read_cursor(said.get("cursor")),
        limit=_count(said.get("_count", "50")),
    )
    for date in dates:
        criteria = _bounded(criteria, date)
    return criteria


def bundle(found: Found, criteria: Criteria, address: str) -> Element:
    """The Bundle of a page, with the address of the next one. Raises NotFhir."""
    rows = [row for row in found.rows if row["matches"]]
    links = [{"relation": "self", "url": _address(criteria, address)}]
    upto = None if found.page is None else found.page.next
    if upto is not None:
        links.append({"relation": "next", "url": _address(replace(criteria, cursor=upto), address)})
    entries = [
        {
            "fullUrl": f"{address}/fhir/R4/AuditEvent/{row['id']}",
            "resource": audit_event(row, address),
            "search": {"mode": "match"},
        }
        for row in rows
    ]
    return written(Bundle, {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries})


def _address(criteria: Criteria, address: str) -> str:
    said = [
        ("date", criteria.since and f"ge{instant(criteria.since)}"),
        ("date", criteria.until and f"lt{instant(criteria.until)}"),
        ("agent", criteria.partner),
        ("subtype", ",".join(criteria.types) if criteria.types else None),
        ("reason", criteria.view.reason),
        ("case", criteria.view.case),
        ("_count", str(criteria.limit)),
        ("cursor", cursor_of(criteria.cursor)),
    ]
    return f"{address}/fhir/R4/AuditEvent?" + urlencode([(name, value) for name, value in said if value])


def _bounded(criteria: Criteria, date: str) -> Criteria:
    try:
        moment = datetime.fromisoformat(date[2:].replace(" ", "+"))  # a plus sign that was not encoded
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        instant(moment)
    except (ValueError, OverflowError):
        raise _wrong("date s'écrit ge2026-11-23 ou lt2026-11-24T00:00:00+01:00") from None
    if date[:2] == "ge" and criteria.since is None:
        return replace(criteria, since=moment)
    if date[:2] == "lt" and criteria.until is None and (criteria.since is None or criteria.since < moment):
        return replace(criteria, until=moment)
    raise _wrong("date s'écrit avec ge puis lt, et le premier précède le second")


def _agent(text: str | None) -> str | None:
    siret = None if text is None else text.rpartition("|")[2]
    if siret is not None and not siret_is_valid(siret):
        raise _wrong("agent est le SIRET d'une organisation")
    return siret


def _types(text: str | None) -> tuple[str, ...] | None:
    types = None if text is None else tuple(sorted({each.rpartition("|")[2] for each in text.split(",")}))
    if types is not None and not set(types) <= set(EventType):
        raise _wrong("subtype est un type du catalogue des événements")
    return types


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 5 and int(text) >= 1):
        raise _wrong("_count est un nombre positif")
    return min(int(text), _MOST)


def _wrong(what: str) -> Problem:
    return Problem("malformed_request", f"Recherche : {what}.", "Search: see /fhir/R4/metadata for the parameters.")
