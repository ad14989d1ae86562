"""
The offline verifier of an auditor's answer: every row is in the log, and none of those that were asked for is missing.

An answer is a file of JSON lines: what was asked; then pages, each with its proof and its rows. Dropping, adding, altering or
moving one line makes verification fail. Needs the standard library and `cryptography` only, like `consent.verify`.

What it cannot show is in `consent/ledger/README.md`: the lists are as honest as the gateway was on the day it wrote the
event, and each holder of a receipt can check that day's work.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from consent.answer import (
    Asked,
    Place,
    Refused,
    Row,
    Shown,
    hashes_of,
    numbered,
    place_of,
    read_row,
    whole_number,
)
from consent.ledger.checkpoint import OpenCheckpoint, open_checkpoint
from consent.ledger.findings import Finding
from consent.ledger.lists import (
    BUCKETS,
    PERSON,
    Covered,
    bucket_hash,
    bucket_of,
    key_of,
    list_hash,
    prefix_of,
    subject_tag,
)
from consent.ledger.merkle import ProofInvalid, leaf_hash, verify_consistency
from consent.ledger.note import COSIGNATURE, ED25519, NoteInvalid, Verifier, decode_base64
from consent.ledger.report import INVALID, UNUSABLE, VALID, Report
from consent.ledger.source import Source
from consent.ledger.subset import subset_root
from consent.ledger.summary import matches
from consent.standing import Head, standing

_BEGINS = b'{"answer":'


@dataclass(slots=True)
class _Tally:
    """What was seen so far; `cut` is the list in the middle of which the last page ended."""

    expected: Place | None
    cut: "Shown | None" = None
    opened: OpenCheckpoint | None = None
    heads: set[Head] = field(default_factory=set)
    start: int = 0
    size: int | None = None
    pages: int = 0
    rows: int = 0
    matching: int = 0
    disclosed: int = 0


def is_answer(path: Path) -> bool:
    """Whether a file is an answer, by its first bytes. Raises OSError."""
    with path.open("rb") as file:
        return file.read(len(_BEGINS)) == _BEGINS


def verify_answer(
    lines: Iterable[bytes], vkey: str, *, witnesses: Sequence[str] = (), source: Source | None = None
) -> Report:
    """
    Verify an answer, line by line: memory is that of one page.

    With `source`, the static log as everybody sees it, the answer must stand in it too (`consent.standing`).

    `vkey` is the log's public key, obtained elsewhere; `witnesses` those whose cosignatures are to be verified. The report is
    `unusable` for a key that is none, `invalid` for anything else that does not hold. Never raises for what the answer holds.
    """
    try:
        log, cosigners = _key(vkey, ED25519), [_key(each, COSIGNATURE) for each in witnesses]
    except NoteInvalid:
        return Report(UNUSABLE, (Finding("vkey_malformed"),))
    try:
        tally = _walk(numbered(lines), log, cosigners)
    except Refused as refused:
        return Report(INVALID, (refused.finding,))
    if tally.opened is None:
        return Report(UNUSABLE, (Finding("answer_empty"),))
    findings = () if source is None else tuple(standing(tally.heads, source, log))
    signed = tally.opened.checkpoint
    warnings = [Finding("answer_until", index=tally.size)]
    if tally.start:
        warnings.append(Finding("answer_since", index=tally.start))
    return Report(
        INVALID if findings else VALID,
        findings,
        tuple(warnings),
        origin=signed.origin,
        size=signed.size,
        root=signed.root.hex(),
        cosigned=tally.opened.cosigned,
        checked={
            "pages": tally.pages,
            "rows": tally.rows,
            "matching": tally.matching,
            "disclosed": tally.disclosed,
        },
    )


def _walk(lines: Iterator[tuple[int, Mapping[str, Any]]], log: Verifier, witnesses: Sequence[Verifier]) -> _Tally:
    number, first = next(lines, (1, {}))
    try:
        asked = Asked.read(first["answer"])
    except (KeyError, TypeError, ValueError):
        raise Refused("answer_malformed", number) from None
    tally = _Tally((asked.first_day, 0))
    for at, line in lines:
        try:
            page = line["page"]
            count = sum(whole_number(each["rows"]) for each in page["lists"]["shown"])
            rows = [read_row(each) for each in _rows(lines, count, at)]
            _check_page(asked, page, rows, tally, log, witnesses)
        except Refused:
            raise
        except NoteInvalid as error:
            raise Refused(error.code) from None
        except ProofInvalid:
            raise Refused("answer_incomplete", at) from None
        except (KeyError, TypeError, ValueError, AttributeError):
            raise Refused("answer_malformed", at) from None
        tally.pages += 1
        tally.rows += len(rows)
    if tally.expected is not None:
        raise Refused("answer_truncated", number if tally.pages == 0 else None)
    return tally


def _rows(
    lines: Iterator[tuple[int, Mapping[str, Any]]], count: int, page: int
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for _ in range(count):
        found = next(lines, None)
        if found is None or "row" not in found[1]:
            raise Refused("answer_incomplete", page if found is None else found[0])
        yield found[0], found[1]["row"]


def _check_page(
    asked: Asked,
    page: Mapping[str, Any],
    rows: Sequence[Row],
    tally: _Tally,
    log: Verifier,
    witnesses: Sequence[Verifier],
) -> None:
    """
    (1) the page begins where the one before ended, (2) the checkpoint is signed, (3) the rows and the root of the index are
    entries of the log, (4) the lists shown are neighbours that leave no room for another, (5) each list shows all its rows
    between the page's beginning and its end, (6) each row belongs there.
    """
    start, upto = place_of(page["start"]), None if page["next"] is None else place_of(page["next"])
    if start != tally.expected:  # (1)
        raise Refused("answer_gap")
    tally.opened = open_checkpoint(page["checkpoint"].encode(), log, witnesses)  # (2)
    covered = _check_entries(page, rows, tally.opened)  # (3)
    lists = [Shown.read(each) for each in page["lists"]["shown"]]
    _check_lists(asked, page, lists, covered)  # (4)
    last = asked.last_day if upto is None else upto[0]
    lower, upper = (key_of(prefix_of(asked.kind, asked.value), day) for day in (start[0], last))
    _check_enclosed(page, lists, lower, upper, ended=upto is None)
    found = {each.key: each for each in lists}
    if tally.cut is not None:
        _check_continued(tally.cut, found.get(tally.cut.key), page)
    rest = iter(rows)
    for each in lists:
        here = [next(rest) for _ in range(each.rows)]
        if lower <= each.key <= upper:
            each.check_rows(here, start, upto)  # (5)
        elif here:
            raise ProofInvalid("rows of a list that was not asked for")
        for row in here:  # (6)
            _check_row(asked, each, row, tally)
    tally.expected, tally.cut = upto, None if upto is None else found[upper]
    tally.start = max(tally.start, covered.start)
    signed = tally.opened.checkpoint
    tally.heads.add((signed.size, signed.root, page["covered"]["index"]))
    tally.size = covered.size if tally.size is None else min(tally.size, covered.size)


def _check_entries(page: Mapping[str, Any], rows: Sequence[Row], opened: OpenCheckpoint) -> Covered:
    """The rows and the root are in the log that the checkpoint describes, each at its place."""
    told = page["covered"]
    entry, index = decode_base64(told["entry"]), whole_number(told["index"])
    covered = Covered.parse(entry)
    if covered is None or covered.size > index:
        raise ProofInvalid("the entry given for the root of the index is none")
    leaves = {index: leaf_hash(entry)}
    for row in rows:
        hashed = leaf_hash(row.entry)
        if not covered.start <= row.index < covered.size or leaves.setdefault(row.index, hashed) != hashed:
            raise ProofInvalid("a row has no place of its own")
    signed = opened.checkpoint
    if subset_root(signed.size, leaves, hashes_of(page["inclusion"])) != signed.root:
        raise ProofInvalid("the rows are not those of the log")
    return covered


def _check_lists(asked: Asked, page: Mapping[str, Any], lists: Sequence[Shown], covered: Covered) -> None:
    """The lists are neighbours in their bucket, and the bucket is that of the index whose root is in the log."""
    first, count = whole_number(page["lists"]["first"]), whole_number(page["bucket"]["count"])
    shown = {first + i: list_hash(each.key, each.count, each.root) for i, each in enumerate(lists)}
    bucket = bucket_hash(count, subset_root(count, shown, hashes_of(page["lists"]["proof"])))
    number = bucket_of(prefix_of(asked.kind, asked.value))
    if subset_root(BUCKETS, {number: bucket}, hashes_of(page["bucket"]["proof"])) != covered.root:
        raise ProofInvalid("the lists are not those of the index")
    if any(one.key >= other.key for one, other in pairwise(lists)):
        raise ProofInvalid("the lists are not in order")


def _check_enclosed(
    page: Mapping[str, Any], lists: Sequence[Shown], lower: bytes, upper: bytes, *, ended: bool
) -> None:
    """Whatever lies between the two keys is shown: before and after stands another list, or the end of the bucket."""
    first, count = whole_number(page["lists"]["first"]), whole_number(page["bucket"]["count"])
    begins = first == 0 or (lists and lists[0].key < lower)
    ends = first + len(lists) == count or (lists and lists[-1].key > upper)
    if not begins or not ends or (not ended and all(each.key != upper for each in lists)):
        raise ProofInvalid("a list may be missing")


def _check_continued(cut: Shown, found: Shown | None, page: Mapping[str, Any]) -> None:
    """The list that was cut may have grown since, at its end and only there."""
    if found is None:
        raise ProofInvalid("the list that the page before began is gone")
    if (found.count, found.root) != (cut.count, cut.root):
        verify_consistency(cut.count, found.count, cut.root, found.root, hashes_of(page["grown"]))


def _check_row(asked: Asked, of: Shown, row: Row, tally: _Tally) -> None:
    if not asked.belongs(of.day, row.summary) or row.matches != matches(row.summary, asked.wanted):
        raise Refused("row_not_asked", row.line)
    tally.matching += row.matches
    if row.shown is None:
        return
    tally.disclosed += 1
    if asked.kind == PERSON:
        tag = subject_tag(bytes.fromhex(asked.value), row.shown["id"])
        if row.shown["body"].get("subject_tag") != tag:
            raise Refused("row_of_another", row.line)


def _key(vkey: str, kind: int) -> Verifier:
    key = Verifier.parse(vkey)
    if key.kind != kind:
        raise NoteInvalid("malformed", "the key of a witness for that of a log, or the other way round")
    return key
