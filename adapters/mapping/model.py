"""
A mapping file as it was understood: what is read, what it becomes, what is left out and why.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from adapters.mapping.targets import Target
from adapters.tables import Table
from schemas import Kind

Format = Literal["csv", "xlsx", "json", "xml", "fixed"]
FLAT: Final = frozenset({"csv", "xlsx", "fixed"})
ITSELF: Final = "."
"""The source of a rule whose value is the item being read: a part of a cell that `each` cut, an element of a list."""


@dataclass(frozen=True, slots=True)
class SourceFormat:
    """
    How the partner's file is written; what a format does not use keeps its default.

    `separator` may be several characters: a file has the one that its first line holds most, and the first is written.
    `columns` are in the order of the file; `places` gives each column of a fixed-width line its start (from 1) and length.
    """

    format: Format
    encoding: str | None = None
    separator: str = ";"
    header: bool = True
    skip: int = 0
    sheet: str | None = None
    lines: bool = False
    single: bool = False
    records: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    optional: frozenset[str] = frozenset()
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    places: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    nothing: frozenset[str] = frozenset({"", "NULL", "null"})
    open_end: bool = False
    trimmed: bool = False
    short_rows: bool = False
    line_end: str = "\n"
    bom: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """
    What must hold for a rule or a document to be used: the value of `source` is one of `values` (or is not, when
    `wanted` is false); with `values` None, there is one (or none).
    """

    source: str
    values: frozenset[str] | None
    wanted: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """
    One line of a mapping: where a value comes from, what is done to it, where it goes.

    Exactly one of `sources`, `const`, `context`, `expression` and `fields` says where it comes from; `fields` with `each`
    makes an object of each item of a list, without it one object of the same record.
    `path` is where the rule is in the file, `line` its line.
    """

    target: Target
    path: str
    line: int
    sources: tuple[str, ...] = ()
    join: str | None = None
    const: Any = None
    context: str | None = None
    expression: str | None = None
    each: str | None = None
    fields: tuple["Rule", ...] = ()
    split: tuple[str, ...] = ()
    steps: tuple[tuple[str, Any], ...] = ()
    table: str | None = None
    default: Any = None
    required: bool = False
    when: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentRule:
    """
    One document that a record, or each item of a list in it, becomes: its kind, its business key, its rules.
    """

    kind: Kind
    key: tuple[str, ...]
    each: str | None
    when: tuple[Condition, ...]
    fields: tuple[Rule, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Written:
    """
    A cell that `to_partner` writes and that no rule gives backwards: a place of the document, a constant or an expression.
    """

    source: str
    target: Target | None
    const: str | None
    expression: str | None
    steps: tuple[tuple[str, Any], ...]
    table: str | None


@dataclass(frozen=True, slots=True)
class MappingFile:
    """
    A whole `mapping.yaml`, with the tables beside it.
    """

    name: str
    title: str
    reads: bool
    writes: bool
    source: SourceFormat
    tables: Mapping[str, Table]
    documents: tuple[DocumentRule, ...]
    ignored: Mapping[str, str]
    write: tuple[Written, ...]
