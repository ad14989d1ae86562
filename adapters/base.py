"""
The contract of an adapter: a partner's bytes become shared documents, shared documents become a partner's bytes.

An adapter is pure: it opens no file of the partner, no socket and no clock; the same bytes and the same context always
give the same answer. What it cannot do by itself (an identifier, the hour, the sender) it gets from `Context`.
"""

import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, Final, Protocol, runtime_checkable

from adapters.report import Coverage, FieldRule
from adapters.tables import Table
from schemas import Document, Issue, Kind


@dataclass(frozen=True, slots=True)
class Context:
    """
    What a translation needs to know beside the bytes.

    `organisation` is the sender (`{siret, name}`), `purpose` a code of the list `purpose`, `now` carries its offset.
    `document_id` gives the identifier (a lower-case UUID) of a business key: always the same for the same key, and
    keyed by the gateway, so that the business key may hold a partner's number without the identifier revealing it.
    """

    organisation: Document
    purpose: str
    now: datetime
    document_id: Callable[[str], str]


def fictitious_id(key: str) -> str:
    """
    An identifier that depends on its business key alone, for samples and tries: the same at each run, in every document
    that names it. Never for what is sent, since whoever knows the key can compute it.
    """
    return str(uuid.uuid5(uuid.NAMESPACE_URL, key))


@dataclass(frozen=True, slots=True)
class Source:
    """
    Where a document was in the partner's file: a line (from 1) and a reference that names nobody, such as a rank.
    """

    line: int | None
    reference: str | None


@dataclass(frozen=True, slots=True)
class Translated:
    """
    One shared document and the place it comes from.
    """

    document: Document
    source: Source


@dataclass(frozen=True, slots=True)
class Unmapped:
    """
    A value of a table's column that has no shared code: how many times it came, and whether the table names it.

    `value` comes from the file: it is for the partner's own screen, never for a log, an answer or an issue.
    """

    table: str
    path: str
    value: str = field(repr=False)
    count: int
    known: bool


@dataclass(frozen=True, slots=True)
class Records:
    """
    What became of the records of a file: how many were read, gave a document, gave none for a reason told in an issue.

    `set_aside` is where each record was that no rule takes (a `when` that does not hold, an empty list): nothing else
    tells them. `read` is the sum of the three.
    """

    used: int
    refused: int
    set_aside: tuple[Source, ...]

    @property
    def read(self) -> int:
        """
        How many records the file has.
        """
        return self.used + self.refused + len(self.set_aside)

    @property
    def sentences(self) -> tuple[str, str]:
        """
        The counts as one sentence, in French and in English.
        """
        aside = len(self.set_aside)
        return (
            f"{self.read} enregistrement(s) lu(s) : {self.used} repris, {self.refused} refusé(s), {aside} écarté(s) par « when ».",
            f"{self.read} record(s) read: {self.used} used, {self.refused} refused, {aside} set aside by a “when”.",
        )

    def as_document(self, shown: int | None = None) -> dict[str, object]:
        """
        The same as plain values for JSON: `{message, message_en, read, used, refused, set_aside_count, set_aside: [{record, line}]}`;
        of those set aside, at most `shown` are named.
        """
        french, english = self.sentences
        return {
            "message": french,
            "message_en": english,
            "read": self.read,
            "used": self.used,
            "refused": self.refused,
            "set_aside_count": len(self.set_aside),
            "set_aside": [{"record": each.reference, "line": each.line} for each in self.set_aside[:shown]],
        }


@dataclass(frozen=True, slots=True)
class Translation:
    """
    What a whole file gave: its documents, what the sender should know, and what became of each element.

    An issue's `pointer` is the path of the partner's element (`/Racine/InfosFoyerRSA/…`, `/NOMNAI`), its `line` the
    line of the file. An issue never carries a value: neither a name nor a number of a person. `records` is None for an
    adapter that does not count them.
    """

    documents: tuple[Translated, ...]
    issues: tuple[Issue, ...]
    coverage: Coverage
    unmapped: tuple[Unmapped, ...] = ()
    records: Records | None = None


class Adapter(Protocol):
    """
    Translates one partner's format into the shared schemas, and back.

    `kinds_in` are the kinds that `to_shared` may give, `kinds_out` those that `to_partner` takes; either may be empty.
    `fields` declares every element of the format with its treatment, `tables` the correspondences of codes: the exam
    (`adapters.testing`) checks both.
    """

    @property
    def name(self) -> str:
        """
        The word of the address `/v1/inbound/{adapter}`, for instance `cnaf-rsa`.
        """

    @property
    def title(self) -> str:
        """
        The name shown to people, in French.
        """

    @property
    def media_types(self) -> tuple[str, ...]:
        """
        The media types accepted by `to_shared`.
        """

    @property
    def output_media_type(self) -> str:
        """
        The media type of what `to_partner` gives, with its charset.
        """

    @property
    def kinds_in(self) -> frozenset[Kind]:
        """
        The kinds read from the partner.
        """

    @property
    def kinds_out(self) -> frozenset[Kind]:
        """
        The kinds written to the partner.
        """

    @property
    def fields(self) -> Mapping[str, FieldRule]:
        """
        Every element of the partner's format, by path, and what becomes of it.
        """

    @property
    def tables(self) -> tuple[Table, ...]:
        """
        The tables of codes, each bound to the shared list whose codes it gives.
        """

    def to_shared(self, raw: bytes, context: Context) -> Translation:
        """
        Translate a whole file, or refuse it whole.

        Raises `FileRefused` when the file as such cannot be trusted (cut, wrong totals, not this format) and
        `AdapterError` when this adapter reads nothing at all. What concerns one record only is an issue of the answer,
        and the other records are translated.
        """

    def to_partner(self, documents: Sequence[Document]) -> bytes:
        """
        Write documents, possibly cut down to the permitted fields, as one file of the partner.

        A field that the gate cut is written empty. Raises `AdapterError` for a kind that the format cannot carry.
        """


@dataclass(frozen=True, slots=True)
class Record:
    """
    One record of a file that is read as it comes (a household of a flow): its line, its documents, and what is told of it.
    """

    line: int | None
    documents: tuple[Translated, ...]
    issues: tuple[Issue, ...]


@runtime_checkable
class Streaming(Protocol):
    """
    What an adapter does besides when its files may be too large for memory.
    """

    def records(self, source: BinaryIO, context: Context) -> Iterator[Record]:
        """
        Translate a file record by record, in its order; the same bytes and context always give the same records.

        Nothing may be used before the end was reached: only then is the file known to be whole. Raises `FileRefused`, at the
        end as anywhere before.
        """


class AdapterError(Exception):
    """
    A file or a document that an adapter cannot translate, told to the person who sent it.

        AdapterError            this format does not carry that
        └── FileRefused         the file as a whole cannot be trusted or is not what it should be

    Neither sentence holds a value of the file. `line` and `column` count from 1.
    """

    def __init__(
        self, code: str, message_fr: str, message_en: str, *, line: int | None = None, column: int | None = None
    ) -> None:
        super().__init__(f"{code}: {message_fr} / {message_en}")
        self.code = code
        self.message_fr = message_fr
        self.message_en = message_en
        self.line = line
        self.column = column


class FileRefused(AdapterError):
    """
    The whole file is refused: none of its records may be used.

    `quarantine` says whether its bytes may be kept aside, encrypted and for a short time, so that the partner can be
    helped (a cut file); it is false for what must never be stored (accounting, bank or health data).
    """

    def __init__(
        self,
        code: str,
        message_fr: str,
        message_en: str,
        *,
        quarantine: bool,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        super().__init__(code, message_fr, message_en, line=line, column=column)
        self.quarantine = quarantine


BIDI_CONTROLS: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""The invisible characters that reverse the reading order: a name or a cell that holds one reads otherwise than it is."""


def warning(code: str, pointer: str, message_fr: str, message_en: str, *, line: int | None = None) -> Issue:
    """
    An issue about the partner's element `pointer`, found at `line`; its sentences are fixed and hold no value.
    """
    return Issue(code=code, pointer=pointer, message_fr=message_fr, message_en=message_en, line=line)
