"""
Checking documents as they were received: one JSON text, or one document a line (NDJSON), with the sentences of the API.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from schemas.issue import Issue, Kind
from schemas.malformed import MalformedJson
from schemas.messages import Rule, sentences, with_suggestion
from schemas.registry import validate
from schemas.remarks import remarks
from schemas.strict_json import MAX_BYTES, parse_json
from schemas.suggestion import Suggester

_KINDS: Final = frozenset(map(str, Kind))
_SUGGESTER: Final = Suggester({})
_TITLES: Final = ("Nature du document", "Kind of document")


class Lines(Protocol):
    """
    What lines are read from: a binary file, or anything that reads one line of at most `limit` bytes at a time.
    """

    def readline(self, limit: int, /) -> bytes:
        """The next line with its end, as much of it as the limit allows; empty at the end."""


@dataclass(frozen=True, slots=True)
class Checked:
    """
    One document once checked: the line where it begins (from 1), its kind unless it cannot be told, what is wrong, and what
    is only doubtful (`remarks`).
    """

    line: int
    kind: Kind | None
    issues: list[Issue]
    remarks: list[Issue] = field(default_factory=list)


def check(raw: bytes, kind: Kind | None = None, *, tolerant: bool = False, located: bool = True) -> Checked:
    """
    Read and validate one document, of the kind it says it is unless `kind` is given; never raises.

    What is not JSON is an issue like the others. `located` gives each issue its line and column, which costs another pass
    over the text; `tolerant` is that of `validate`.
    """
    try:
        document = parse_json(raw)
    except MalformedJson as error:
        issue = Issue(error.code, "", error.message_fr, error.message_en, line=error.line, column=error.column)
        return Checked(1, kind, [issue])
    said = kind or _kind_of(document)
    if isinstance(said, Issue):
        return Checked(1, None, [said])
    text = raw if located else None
    return Checked(1, said, validate(said, document, text, tolerant=tolerant), remarks(said, document, text))


def check_lines(
    stream: Lines, kind: Kind | None = None, *, tolerant: bool = False, located: int | None = None
) -> Iterator[Checked]:
    """
    Read and validate a stream of documents, one a line, in the memory of one line; blank lines are skipped.

    `located` is how many faulty or doubtful documents get the columns of their issues (all of them by default): the line is always
    there.
    """
    for number, raw in _lines(stream):
        checked = check(raw, kind, tolerant=tolerant, located=located is None or located > 0)
        if (checked.issues or checked.remarks) and located is not None:
            located -= 1
        found, doubts = ([replace(issue, line=number) for issue in each] for each in (checked.issues, checked.remarks))
        yield Checked(number, checked.kind, found, doubts)


def _lines(stream: Lines) -> Iterator[tuple[int, bytes]]:
    """
    The lines that are not blank, numbered; of a line over the limit only as much as shows that it is.
    """
    number = 0
    while raw := stream.readline(MAX_BYTES + 2):
        number += 1
        rest = raw
        while not rest.endswith(b"\n") and (rest := stream.readline(MAX_BYTES)):
            pass
        text = raw.removesuffix(b"\n").removesuffix(b"\r")
        if text.strip():
            yield number, text


def _kind_of(document: Any) -> Kind | Issue:
    if not isinstance(document, dict):
        return Issue("type", "", *sentences(Rule("type", {"types": ["object"]})))
    if "kind" not in document:
        return Issue("required", "/kind", *sentences(Rule("required", {"property": "kind"}, *_TITLES)))
    said = document["kind"]
    if isinstance(said, str) and said in _KINDS:
        return Kind(said)
    suggestion = _SUGGESTER.nearest(said, _KINDS)
    told = with_suggestion(sentences(Rule("enum", {"options": list(Kind)}, *_TITLES)), suggestion)
    return Issue("enum", "/kind", *told, suggestion)
