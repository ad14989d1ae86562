"""
The two tables of the demonstration: what left for one person, and the indicators at the end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rich.table import Table

from consent.reasons import CATALOGUE
from gateway.titles import grouped
from ops.demo.figures import Figures
from schemas import Kind

_INDEX = re.compile(r"/[0-9]+(?=/|$)")
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Passage:
    """What one recipient got of a document and what was kept from it: JSON pointers, from the ledger's event."""

    left: frozenset[str]
    withheld: frozenset[str]

    @classmethod
    def of(cls, event: Mapping[str, list[str]]) -> Passage:
        """Read the body of a disclosure's event; two items of a list count as one field."""
        return cls(*(frozenset(_INDEX.sub("/*", pointer) for pointer in event[word]) for word in ("left", "withheld")))


def fields_table(kind: Kind, passages: Mapping[str, Passage]) -> Table:
    """One document, seen by each recipient (by name): by category of data, how many fields left, and which did not."""
    table = Table()
    table.add_column("Catégorie")
    for recipient in passages:
        table.add_column(recipient)
    every = {pattern for passage in passages.values() for pattern in passage.left | passage.withheld}
    for group in grouped(kind, every):
        inside = [grouped_fields(kind, group.category, passage) for passage in passages.values()]
        table.add_row(group.label, *(_cell(left, withheld) for left, withheld in inside))
    return table


def grouped_fields(kind: Kind, category: str, passage: Passage) -> tuple[list[str], list[str]]:
    """The titles of the fields of one category that left, and of those that were withheld."""
    found = []
    for patterns in (passage.left, passage.withheld - passage.left):
        groups = [group for group in grouped(kind, patterns) if group.category == category]
        found.append([title for group in groups for titles in group.fields.values() for title in titles])
    return found[0], found[1]


def _cell(left: list[str], withheld: list[str]) -> str:
    gone = f"[green]{len(left)} transmis[/green]" if left else "rien"
    if not withheld:
        return gone
    return f"{gone} ; [red]retenu :[/red] {', '.join(withheld[:_NAMED])}{', …' if len(withheld) > _NAMED else ''}"


def indicators_table(figures: Figures) -> Table:
    """The figures at the end, each counted; refusals by reason."""
    table = Table(title="Indicateurs (comptés pendant cette démonstration)", title_justify="left")
    table.add_column("Indicateur")
    table.add_column("Nombre", justify="right")
    rows: list[tuple[str, int | str]] = [
        ("Foyers du flux RSA", figures.households),
        ("Personnes du flux", figures.people),
        ("Orientations prises en charge", figures.referrals),
        ("Bilans de droits pris en charge", figures.bilans),
        ("Transmissions refusées", figures.refused),
        *((f"  {CATALOGUE[code].message_fr}", count) for code, count in figures.refusals.most_common()),
        ("Remises aux partenaires", figures.delivered),
        ("Remises acquittées", figures.acknowledged),
        ("Droits ouverts", figures.rights_opened),
        ("Retraits acquittés", figures.withdrawals_acknowledged),
        ("Événements au journal", figures.ledger_size),
        ("Journal vérifié hors ligne", "oui" if figures.ledger_verified else "NON"),
        ("Altération détectée", "oui" if figures.tampering_detected else "NON"),
    ]
    for name, value in rows:
        table.add_row(name, str(value))
    return table
