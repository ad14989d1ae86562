"""
The shared format as a file: one JSON document, or one document per line (NDJSON).

Nothing is translated; what is added is the place of each document in the file and the count of its properties
against those that the schemas name.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from adapters.base import AdapterError, Context, FileRefused, Records, Source, Translated, Translation
from adapters.report import FieldRule, Tally, Treatment, shown_name
from adapters.tables import Table
from schemas import Document, Kind, MalformedJson, fields, parse_json

_DOCUMENTS: Final = frozenset({Kind.REFERRAL, Kind.BILAN, Kind.CONSENT, Kind.STATUS})
_MAX_BYTES: Final = 50_000_000

_Branch = dict[str, "_Branch"]


class SharedJson:
    """
    The adapter `shared-json`. Whether a document is valid is the gateway's question, asked of every format alike.
    """

    name = "shared-json"
    title = "Format commun (JSON)"
    media_types: tuple[str, ...] = ("application/json", "application/x-ndjson")
    output_media_type = "application/x-ndjson"
    kinds_in = _DOCUMENTS
    kinds_out = _DOCUMENTS
    tables: tuple[Table, ...] = ()

    def __init__(self) -> None:
        paths = ((f"/{kind}{pattern}", pattern) for kind in sorted(_DOCUMENTS) for pattern in fields(kind))
        self.fields: Mapping[str, FieldRule] = {
            path: FieldRule(path, Treatment.MAPPED, pattern, "") for path, pattern in paths
        }
        self._known: _Branch = {}
        for path in self.fields:
            branch = self._known
            for name in path[1:].split("/"):
                branch = branch.setdefault(name, {})

    def to_shared(self, raw: bytes, context: Context) -> Translation:
        """
        Read one document, or one per line; see `Adapter.to_shared`.

        A line that is not strict JSON, or a document without a known kind, refuses the whole file.
        """
        del context
        if len(raw) > _MAX_BYTES:
            raise FileRefused(
                "too_large",
                f"Le fichier dépasse {_MAX_BYTES} octets. Découpez-le en plusieurs envois.",
                f"The file is larger than {_MAX_BYTES} bytes. Send it in several parts.",
                quarantine=False,
            )
        tally = Tally(self.fields)
        documents = []
        for line, value in _read(raw):
            kind = _kind_of(value, line)
            self._count(value, f"/{kind}", self._known[kind], tally)
            documents.append(Translated(value, Source(line, None)))
        return Translation(tuple(documents), (), tally.coverage(), records=Records(len(documents), 0, ()))

    def to_partner(self, documents: Sequence[Document]) -> bytes:
        """
        Write one document per line: a single document is plain JSON too.
        """
        if not all(str(document.get("kind")) in _DOCUMENTS for document in documents):
            raise AdapterError(
                "kind_not_carried",
                "Ce genre de document ne s'échange pas en format commun.",
                "This kind of document is not exchanged in the shared format.",
            )
        return b"".join(orjson.dumps(document) + b"\n" for document in documents)

    def _count(self, value: object, path: str, branch: _Branch, tally: Tally) -> None:
        if isinstance(value, dict):
            children = [(name, item) for name, item in value.items()]
        elif isinstance(value, list):
            children = [("*", item) for item in value]
        elif path in self.fields:
            tally.add(path)
            return
        else:
            tally.add_unknown(path)
            return
        for name, item in children:
            known = name if name in branch else "*"
            if known in branch:
                self._count(item, f"{path}/{known}", branch[known], tally)
            else:
                tally.add_unknown(f"{path}/{shown_name(name)}")


def _read(raw: bytes) -> Iterator[tuple[int, Any]]:
    """
    The values of the file, each with the line on which it starts.

    Lines are tried first: when the first one is a whole value, so must be the others.
    """
    lines = [(number, line) for number, line in enumerate(raw.split(b"\n"), 1) if line.strip()]
    if len(lines) > 1 and _is_whole(lines[0][1]):
        for number, line in lines:
            yield number, _parse(line, number)
    else:
        yield 1, _parse(raw, 1)


def _is_whole(line: bytes) -> bool:
    try:
        orjson.loads(line.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError:
        return False
    return True


def _parse(text: bytes, first_line: int) -> Any:
    try:
        return parse_json(text)
    except MalformedJson as error:
        raise FileRefused(
            error.code,
            error.message_fr,
            error.message_en,
            quarantine=False,
            line=first_line + error.line - 1,
            column=error.column,
        ) from None


def _kind_of(value: object, line: int) -> Kind:
    """
    The kind that a document says it is; raises `FileRefused` when it is none of those exchanged.
    """
    named = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(named, str) or named not in _DOCUMENTS:
        kinds = ", ".join(sorted(_DOCUMENTS))
        raise FileRefused(
            "kind_missing",
            f"Chaque document est un objet dont la propriété « kind » vaut l'un de : {kinds}.",
            f"Each document is an object whose property “kind” is one of: {kinds}.",
            quarantine=False,
            line=line,
        )
    return Kind(named)
