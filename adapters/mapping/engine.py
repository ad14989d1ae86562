"""
An adapter made of a folder: `mapping.yaml`, `tables/*.csv`, no program.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any, Final

from adapters.base import AdapterError, Context, Records, Source, Translated, Translation
from adapters.mapping.elements import field_rules, used_sources
from adapters.mapping.flat import FlatReader
from adapters.mapping.json_tree import JsonReader
from adapters.mapping.loading import load_mapping
from adapters.mapping.model import FLAT, MappingFile, Rule, SourceFormat
from adapters.mapping.reading import Compiler, translate
from adapters.mapping.records import Reader
from adapters.mapping.run import ENCODING_GUESSED, Run
from adapters.mapping.writing import write_documents
from adapters.mapping.xml_tree import XmlReader
from adapters.report import FieldRule, Tally
from adapters.tables import Table
from schemas import Document, Issue, Kind

_MEDIA_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "csv": ("text/csv",),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",),
    "json": ("application/json",),
    "xml": ("application/xml", "text/xml"),
    "fixed": ("text/plain",),
}


@dataclass(frozen=True, slots=True)
class Given:
    """
    A value that a rule gave, for `tdu adapter try`: the target, the value, where the rule is in the file.
    """

    target: str
    value: Any
    rule: str
    line: int
    source: str


@dataclass(frozen=True, slots=True)
class Explained:
    """
    What one record became: what was read, each document with the values its rules gave, what is told. `set_aside` says that no
    rule took it.
    """

    record: Any
    line: int | None
    documents: tuple[Document, ...]
    given: tuple[Given, ...]
    issues: tuple[Issue, ...]
    set_aside: bool


class MappingAdapter:
    """
    The adapter that a folder describes; its name is the folder's, `_` becoming `-`.

    Raises `MappingRefused`, with lines and sentences, when the files cannot be used. `missing`: see `load_mapping`.
    """

    def __init__(self, folder: Traversable, name: str | None = None, missing: list[str] | None = None) -> None:
        self.folder = folder
        self.name = name or folder.name.replace("_", "-")
        self.mapping: MappingFile = load_mapping(folder, self.name, missing)
        self.title = self.mapping.title
        self.tables: tuple[Table, ...] = tuple(self.mapping.tables.values())
        self.fields: Mapping[str, FieldRule] = field_rules(self.mapping)
        kinds = frozenset(document.kind for document in self.mapping.documents)
        self.kinds_in: frozenset[Kind] = kinds if self.mapping.reads else frozenset()
        self.kinds_out: frozenset[Kind] = kinds if self.mapping.writes else frozenset()
        source = self.mapping.source
        self.media_types = ("application/x-ndjson",) if source.lines else _MEDIA_TYPES[source.format]
        self.output_media_type = _output_media_type(source)
        self._used = used_sources(self.mapping)

    def to_shared(self, raw: bytes, context: Context) -> Translation:
        """
        See `Adapter.to_shared`.
        """
        if not self.mapping.reads:
            raise AdapterError("not_read", "Ce format ne se lit pas, il s'écrit.", "This format is written, not read.")
        reader = self._reader(raw)
        run = Run(self.name, reader, context)
        if reader.guessed_encoding:
            run.warn(ENCODING_GUESSED)
        compiler = Compiler(self.mapping, reader)
        rules = [compiler.document(rule) for rule in self.mapping.documents]
        documents: list[Translated] = []
        used = refused = 0
        set_aside: list[Source] = []
        for rank, record in enumerate(reader.records(), 1):
            documents_before, left_out_before = len(documents), run.left_out
            source = Source(record.line, f"{rank}")
            run.begin_record()
            for rule in rules:
                run.begin_document()
                documents += (Translated(document, source) for document in translate(rule, record, run))
            if len(documents) > documents_before:
                used += 1
            elif run.left_out > left_out_before:
                refused += 1
            else:
                set_aside.append(source)
        tally = Tally(self.fields)
        reader.count(tally)
        counted = Records(used, refused, tuple(set_aside))
        return Translation(tuple(documents), tuple(run.issues), tally.coverage(), run.unmapped(), counted)

    def explain(self, raw: bytes, context: Context, row: int) -> Explained | None:
        """
        What the record of that rank (from 1) becomes, and which rule gave each value; None when there are fewer.

        What is read and what is told hold values of the file: for the partner's own screen. Raises as `to_shared`.
        """
        reader = self._reader(raw)
        run = Run(self.name, reader, context)
        compiler = Compiler(self.mapping, reader)
        rules = [compiler.document(rule) for rule in self.mapping.documents]
        given: list[Given] = []

        def trace(rule: Rule, value: Any) -> None:
            if not rule.fields:
                given.append(Given(rule.target.text, value, rule.path, rule.line, ", ".join(rule.sources)))

        for rank, record in enumerate(reader.records(), 1):
            if rank == row:
                made: list[Document] = []
                for rule in rules:
                    run.begin_document()
                    made += translate(rule, record, run, trace)
                return Explained(
                    reader.plain(record),
                    record.line,
                    tuple(made),
                    tuple(given),
                    tuple(run.issues),
                    set_aside=not made and not run.left_out,
                )
        return None

    def to_partner(self, documents: Sequence[Document]) -> bytes:
        """
        See `Adapter.to_partner`.
        """
        if not self.mapping.writes:
            raise AdapterError(
                "not_written", "Ce format se lit, il ne s'écrit pas.", "This format is read, not written."
            )
        if any(document.get("kind") not in self.kinds_out for document in documents):
            raise AdapterError(
                "kind_not_carried",
                "Ce format ne porte pas ce genre de document.",
                "This format does not carry this kind.",
            )
        return write_documents(self.mapping, documents)

    def _reader(self, raw: bytes) -> Reader:
        source = self.mapping.source
        if source.format in FLAT:
            return FlatReader(raw, source, self._used)
        return JsonReader(raw, source) if source.format == "json" else XmlReader(raw, source)


def _output_media_type(source: SourceFormat) -> str:
    if source.lines:
        return "application/x-ndjson"
    media_type = _MEDIA_TYPES[source.format][0]
    charset = source.encoding or "utf-8"
    return {"csv": f"{media_type}; charset={charset}; header={'present' if source.header else 'absent'}",
            "fixed": f"{media_type}; charset={charset}"}.get(source.format, media_type)  # fmt: skip
