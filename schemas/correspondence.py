"""
The crosswalks between code lists (`codes/crosswalks/{from}--{to}.csv`), readable in both directions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final

from schemas.vocabulary import UnknownCodeList, folder, read_table, tables

_SEPARATOR: Final = "--"
_BACKWARDS: Final = {"broader": "narrower", "narrower": "broader"}
_NEAREST: Final = ("exact", "close", "narrower", "broader", "related")


@dataclass(frozen=True, slots=True)
class Correspondence:
    """
    What a code becomes in another list.

    `relation` tells how `code` stands to the code it comes from, as in SKOS: "exact", "close", "broader" (it says less),
    "narrower" (it says more), "related" (neither replaces the other).
    """

    code: str
    relation: str
    note_fr: str = ""
    note_en: str = ""


def crosswalks() -> tuple[tuple[str, str], ...]:
    """
    The published crosswalks, as pairs (from, to), sorted. Each one can also be read backwards.
    """
    return tuple(sorted(_pair(name) for name in tables(folder() / "crosswalks")))


@cache
def crosswalk(source: str, target: str) -> Mapping[str, tuple[Correspondence, ...]]:
    """
    What each code of one list becomes in another, nearest first; a code without correspondence is absent.

    Reads the published table backwards when it goes the other way. Raises UnknownCodeList.
    """
    pairs = crosswalks()
    forwards = (source, target) in pairs
    if not forwards and (target, source) not in pairs:
        raise UnknownCodeList(_SEPARATOR.join((source, target)))
    ends = (source, target) if forwards else (target, source)
    found: dict[str, list[Correspondence]] = {}
    for row in read_table(folder() / "crosswalks", _SEPARATOR.join(ends)):
        relation = row["relation"]
        start, end = ("from_code", "to_code") if forwards else ("to_code", "from_code")
        relation = relation if forwards else _BACKWARDS.get(relation, relation)
        found.setdefault(row[start], []).append(Correspondence(row[end], relation, row["note_fr"], row["note_en"]))
    return MappingProxyType(
        {code: tuple(sorted(ways, key=lambda way: _NEAREST.index(way.relation))) for code, ways in found.items()}
    )


def _pair(name: str) -> tuple[str, str]:
    source, target = name.split(_SEPARATOR)
    return source, target
