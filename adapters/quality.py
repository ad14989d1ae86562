"""
The quality of an adapter: bronze, silver, gold, each rule checked by program, each exemption with its reason.

`quality.toml` beside the adapter claims a level and lists the exemptions:

    level = "gold"

    [rules]
    both_ways = { exempt = "the flow goes one way only" }

    [lost]                       # what a round trip loses, and why
    "/subject/emails" = "the file has one cell for them"
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Final

from adapters.base import Adapter, AdapterError, Context
from adapters.own_readme import lacking
from adapters.report import Treatment
from adapters.round_trip import losses
from adapters.samples import Case
from adapters.tables import Table
from schemas import code_list

FILE: Final = "quality.toml"


class Level(StrEnum):
    """
    What an adapter is worth, from the least to the most.
    """

    NONE = "none"
    BRONZE = "bronze"
    SILVER = "silver"
    GOLD = "gold"

    @property
    def rank(self) -> int:
        """
        0 for none, 3 for gold.
        """
        return list(Level).index(self)


@dataclass(frozen=True, slots=True)
class Claims:
    """
    What `quality.toml` says: the level, the exemptions by rule, the losses of a round trip by pointer pattern.
    """

    level: Level
    done: frozenset[str]
    exempt: Mapping[str, str]
    lost: Mapping[str, str]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """
    What the rules look at.
    """

    adapter: Adapter
    folder: Traversable
    cases: Sequence[Case]
    context: Context
    claims: Claims


@dataclass(frozen=True, slots=True)
class Rule:
    """
    One rule of quality: what it asks, what to write to follow it, and the program that checks it.

    `faults` gives what is missing (names of elements, codes, pointers); nothing when the rule is followed.
    """

    level: Level
    title_fr: str
    title_en: str
    todo_fr: str
    todo_en: str
    faults: Callable[[Subject], list[str]]


def read_claims(folder: Traversable) -> Claims:
    """
    The claims of a folder; without a file, bronze and nothing exempt. Raises `ValueError` when it cannot be read.
    """
    file = folder / FILE
    found = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    rules = found.get("rules", {})
    return Claims(
        level=Level(found.get("level", Level.BRONZE)),
        done=frozenset(name for name, claim in rules.items() if claim == "done"),
        exempt={
            name: claim["exempt"] for name, claim in rules.items() if isinstance(claim, dict) and claim.get("exempt")
        },
        lost=found.get("lost", {}),
        unknown=tuple(name for name in rules if name not in RULES),
    )


def unmet(subject: Subject) -> dict[str, list[str]]:
    """
    The rules that are neither followed nor exempt, and what each misses.
    """
    found = {name: rule.faults(subject) for name, rule in RULES.items() if name not in subject.claims.exempt}
    return {name: faults for name, faults in found.items() if faults}


def level_of(missing: Mapping[str, Sequence[str]]) -> Level:
    """
    The level of an adapter that passes the exam, by the rules that it does not follow.
    """
    reached = Level.BRONZE
    for level in (Level.SILVER, Level.GOLD):
        if any(RULES[name].level is level for name in missing):
            break
        reached = level
    return reached


def _readme(subject: Subject) -> list[str]:
    return lacking(subject.folder)


def _elements_listed(subject: Subject) -> list[str]:
    return [] if subject.adapter.fields else ["elements"]


def _refusals_shown(subject: Subject) -> list[str]:
    shown = any(case.shared is None for case in subject.cases)
    return [] if shown or not subject.adapter.kinds_in else ["samples/refused-…"]


def _warnings_shown(subject: Subject) -> list[str]:
    shown = any(case.shared is not None and case.told.keys() - {"set_aside"} for case in subject.cases)
    return [] if shown or not subject.adapter.kinds_in else ["samples/warnings-…"]


def _value_tables(subject: Subject) -> list[str]:
    return [] if subject.adapter.tables else ["tables/…csv"]


def _both_ways(subject: Subject) -> list[str]:
    adapter = subject.adapter
    missing = adapter.kinds_in ^ adapter.kinds_out
    return sorted(missing) if adapter.kinds_in or adapter.kinds_out else ["kinds"]


def _round_trip(subject: Subject) -> list[str]:
    if not subject.adapter.kinds_in & subject.adapter.kinds_out:
        return ["back.*"]
    if not any(case.partner is not None and case.back is not None for case in subject.cases):
        return ["samples/…/back.*"]
    lost = losses(subject.adapter, subject.cases, subject.context)
    return [
        " ← ".join([pointer, *_elements_of(pointer, subject.adapter)][:4]) + f" ({case})"
        for pointer, case in lost.items()
        if pointer not in subject.claims.lost
    ]


def _elements_of(pointer: str, adapter: Adapter) -> list[str]:
    """
    The partner's elements (columns) that give a place of the shared document, or a part of it.
    """
    return [
        rule.path
        for rule in adapter.fields.values()
        if any(f"{target}/".startswith(f"{pointer}/") or f"{pointer}/".startswith(f"{target}/")
               for target in rule.target.split() if target != "/")
    ]  # fmt: skip


def _tables_total(subject: Subject) -> list[str]:
    return [f"{table.name}: {code}" for table in subject.adapter.tables for code in _holes(table, subject.adapter)]


def _holes(table: Table, adapter: Adapter) -> Iterator[str]:
    if table.partner_list:
        yield from (value for value in code_list(table.partner_list) if not table.knows(value))
    if adapter.kinds_out:
        said = {shared for shared in table.rows.values() if shared} | set(table.unwritten) | set(table.preferred)
        yield from (code for code in code_list(table.code_list) if code not in said)


def _elements_shown(subject: Subject) -> list[str]:
    if not subject.adapter.kinds_in:
        return []
    seen: set[str] = set()
    for case in subject.cases:
        if case.partner is not None and case.shared is not None:
            try:
                coverage = subject.adapter.to_shared(case.partner, subject.context).coverage
            except AdapterError:
                continue
            seen.update(line.path for line in coverage.lines)
    carried = {Treatment.MAPPED, Treatment.KEPT}
    return [path for path, rule in subject.adapter.fields.items() if rule.treatment in carried and path not in seen]


RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "elements_listed": Rule(
            Level.SILVER,
            "tous les éléments du format sont listés",
            "every element of the format is listed",
            "listez les éléments du format",
            "list the elements of the format",
            _elements_listed,
        ),
        "readme_in_both_languages": Rule(
            Level.SILVER,
            "un README en français et en anglais",
            "a README in French and English",
            "écrivez README.md avec « ## En français » et « ## In English », en remplaçant les phrases du modèle",
            "write README.md with “## En français” and “## In English”, replacing the template's sentences",
            _readme,
        ),
        "refusals_shown": Rule(
            Level.SILVER,
            "un exemple de fichier refusé",
            "a sample of a file that is refused",
            "ajoutez un cas sans shared.json, dont le fichier est refusé",
            "add a case without shared.json, whose file is refused",
            _refusals_shown,
        ),
        "value_tables": Rule(
            Level.SILVER,
            "les codes passent par des tables",
            "codes go through tables",
            "mettez les correspondances de codes dans tables/*.csv",
            "put the correspondences of codes in tables/*.csv",
            _value_tables,
        ),
        "warnings_shown": Rule(
            Level.SILVER,
            "un exemple de ce qui est signalé à l'émetteur",
            "a sample of what the sender is told",
            "ajoutez un cas avec shared.json et issues.json",
            "add a case with shared.json and issues.json",
            _warnings_shown,
        ),
        "both_ways": Rule(
            Level.GOLD,
            "chaque genre est lu et écrit",
            "each kind is read and written",
            "écrivez l'autre sens, ou dites pourquoi il n'existe pas",
            "write the other direction, or say why there is none",
            _both_ways,
        ),
        "elements_shown": Rule(
            Level.GOLD,
            "chaque élément repris est dans un exemple",
            "each carried element is in a sample",
            "ajoutez ces éléments à un exemple",
            "add these elements to a sample",
            _elements_shown,
        ),
        "round_trip": Rule(
            Level.GOLD,
            "l'aller-retour ne perd rien d'autre que ce qui est dit",
            "a round trip loses nothing but what is said",
            'reprenez ces champs dans les deux sens, ou dites-le dans quality.toml, sous [lost], avec la raison ("/subject/emails" = "…")',
            'carry these fields both ways, or say so in quality.toml, under [lost], with the reason ("/subject/emails" = "…")',
            _round_trip,
        ),
        "tables_total": Rule(
            Level.GOLD,
            "les tables sont complètes dans les deux sens",
            "the tables are total in both directions",
            "ajoutez ces codes à la table (valeur du partenaire vide : pas de mot chez lui, et pourquoi)",
            "add these codes to the table (empty partner's value: no word there, and why)",
            _tables_total,
        ),
    }
)
"""The rules of quality by name; bronze is the exam itself."""
