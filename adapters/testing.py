"""
The exam that every adapter sits, shipped so that a partner's own adapter sits it too.

    class TestAcme(AdapterContract):
        adapter = Acme()

Cases are files, one folder each in `samples/` beside the adapter: `partner.*` (what the partner sends), `shared.json`
(the documents it must become), `back.*` (what those documents must become again), `issues.json` (what the sender is
told: `{"refused": {…}, "issues": […], "unknown": {path: count}}`, each part optional). A case without `shared.json` is a file that is refused.

`pytest.register_assert_rewrite("adapters.testing")` in a conftest gives failures that show both sides.
"""

import inspect
import json
import re
import tomllib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from adapters.base import Adapter, AdapterError, Context, FileRefused, Translation
from adapters.mapping.engine import MappingAdapter
from adapters.report import Treatment
from schemas import Document, Issue, Kind, code_list, validate

EXAM_CONTEXT = Context(
    organisation={"siret": "99900001100018", "name": "CAF de Valombre"},
    purpose="inform_about_rights",
    now=datetime.fromisoformat("2026-11-23T08:00:00+01:00"),
    document_id=lambda key: str(uuid.uuid5(uuid.NAMESPACE_URL, key)),
)
"""A fictitious sender, a fixed hour, and identifiers that depend only on their key."""

HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "spaces": b" \n\t ",
    "nul bytes": b"\x00" * 4096,
    "noise": bytes(range(256)) * 64,
    "lone byte order mark": b"\xef\xbb\xbf",
    "utf-16": "<?xml version='1.0' encoding='utf-16'?><Racine/>".encode("utf-16"),
    "external entity": b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><Racine>&x;</Racine>',
    "billion laughs": (
        b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "lol">'
        + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
        + b"]><Racine>&j;</Racine>"
    ),
    "depth 100,000": b"<Racine>" + b"<a>" * 100_000,
    "200,000 attributes": b"<Racine " + b" ".join(b'a%d="1"' % n for n in range(200_000)) + b"/>",
    "nested arrays": b"[" * 100_000,
    "NaN": b'{"kind": NaN}',
    "quote never closed": b'"' + b"a;" * 10_000,
    "formula": b"=cmd|'/c calc'!A1;+1;-1;@x\n",
    "executable": b"MZ" + b"\x90\x00" * 1024,
    "zip": b"PK\x03\x04" + b"\x00" * 1024,
}
"""What no adapter may answer otherwise than by refusing it: any other exception is a fault."""


def run_case(adapter: Adapter, raw: bytes, context: Context) -> tuple[Translation | None, FileRefused | None]:
    """
    Translate, and give either the translation or the refusal.
    """
    try:
        return adapter.to_shared(raw, context), None
    except FileRefused as refusal:
        return None, refusal


class AdapterContract:
    """
    The questions asked of every adapter; subclass it and name the adapter.
    """

    adapter: ClassVar[Adapter]
    context: ClassVar[Context] = EXAM_CONTEXT

    @classmethod
    def folder(cls) -> Path:
        """
        The folder of the adapter's own file, where its samples, tables and README are.
        """
        if isinstance(cls.adapter, MappingAdapter):
            return Path(str(cls.adapter.folder))
        return Path(inspect.getfile(type(cls.adapter))).parent

    @classmethod
    def _cases(cls) -> list[Path]:
        samples = cls.folder() / "samples"
        return sorted(path for path in samples.iterdir() if path.is_dir()) if samples.is_dir() else []

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """
        Give each test that asks for it what the partner sends in each sample, or hostile bytes.
        """
        if "inbound" in metafunc.fixturenames:
            found = [case for case in self._cases() if _file(case, "partner")]
            metafunc.parametrize("inbound", found, ids=[case.name for case in found])
        if "hostile" in metafunc.fixturenames:
            metafunc.parametrize("hostile", list(HOSTILE.values()), ids=list(HOSTILE))

    def test_there_is_a_sample_for_every_kind(self) -> None:
        """
        (1) What an adapter announces, in and out, is shown by at least one sample.
        """
        read, written = set(), set()
        for case in self._cases():
            if not (case / "shared.json").is_file():
                continue
            kinds = {Kind(document["kind"]) for document in _documents(case)}
            read |= kinds if _file(case, "partner") else set()
            written |= kinds if _file(case, "back") else set()
        assert (set(self.adapter.kinds_in), set(self.adapter.kinds_out)) == (read, written)

    def test_partner_bytes_become_exactly_the_shared_documents(self, inbound: Path) -> None:
        """
        (2) A sample gives its `shared.json`; a sample without one is refused.
        """
        translation, _ = run_case(self.adapter, _bytes(inbound, "partner"), self.context)
        expected = _documents(inbound) if (inbound / "shared.json").is_file() else None
        assert expected == (translation and [translated.document for translated in translation.documents])

    def test_shared_documents_are_valid(self, inbound: Path) -> None:
        """
        (3) What comes out is valid for its schema.
        """
        if (inbound / "shared.json").is_file():
            problems = [
                issue for document in _documents(inbound) for issue in validate(Kind(document["kind"]), document)
            ]
            assert problems == []

    def test_shared_documents_become_the_partner_file_again(self) -> None:
        """
        (4) Each `back.*` is reproduced byte for byte; an adapter that writes nothing says so.
        """
        cases = [case for case in self._cases() if _file(case, "back")]
        expected = {case.name: _bytes(case, "back") for case in cases}
        assert expected == {case.name: self.adapter.to_partner(_documents(case)) for case in cases}
        if not self.adapter.kinds_out:
            with pytest.raises(AdapterError):
                self.adapter.to_partner([])

    def test_the_sender_is_told_exactly_what_is_wrong(self, inbound: Path) -> None:
        """
        (5) A sample gives its `issues.json`, nothing when there is none.
        """
        translation, refusal = run_case(self.adapter, _bytes(inbound, "partner"), self.context)
        told: dict[str, Any] = {}
        if refusal:
            told["refused"] = {
                name: getattr(refusal, name)
                for name in ("code", "message_fr", "message_en", "line", "column", "quarantine")
            }
        if translation and translation.issues:
            told["issues"] = [plain_issue(issue) for issue in translation.issues]
        expected = {name: part for name, part in _expected_to_be_told(inbound).items() if name != "unknown"}
        assert expected == told

    def test_nothing_is_lost_in_silence(self, inbound: Path) -> None:
        """
        (6) An element of a sample is in the format's list, with a reason when it is dropped, or it is named as unknown.
        """
        unreasoned = [
            rule.path
            for rule in self.adapter.fields.values()
            if rule.treatment is Treatment.IGNORED and not rule.reason
        ]
        assert unreasoned == []
        translation, _ = run_case(self.adapter, _bytes(inbound, "partner"), self.context)
        unknown = {line.path: line.count for line in translation.coverage.unknown} if translation else {}
        assert _expected_to_be_told(inbound).get("unknown", {}) == unknown

    def test_the_same_input_gives_the_same_output(self, inbound: Path) -> None:
        """
        (7) Twice the same bytes, twice the same documents, issues, coverage, or refusal.
        """
        first, second = (run_case(self.adapter, _bytes(inbound, "partner"), self.context) for _ in range(2))
        assert (first[0], repr(first[1])) == (second[0], repr(second[1]))

    def test_every_shared_value_of_a_table_exists(self) -> None:
        """
        (8) A table gives only codes of the shared list that it is bound to, and every table file is declared.
        """
        strangers = [
            (table.name, shared)
            for table in self.adapter.tables
            for shared in table.rows.values()
            if shared and shared not in code_list(table.code_list)
        ]
        files = {path.stem for path in (self.folder() / "tables").glob("*.csv")} - {"elements"}
        assert ([], {table.name for table in self.adapter.tables}) == (strangers, files)

    def test_hostile_input_is_refused_and_nothing_else(self, hostile: bytes) -> None:
        """
        (9) Bombs, entities, noise: an adapter's own refusal, never another exception.
        """
        with pytest.raises(AdapterError):
            self.adapter.to_shared(hostile, self.context)

    def test_a_cut_sample_never_raises_anything_else(self, inbound: Path) -> None:
        """
        (9) A sample cut at every kilobyte, or with a byte changed, is translated or refused, and nothing else.
        """
        raw = _bytes(inbound, "partner")
        for damaged in _damaged(raw):
            run_case(self.adapter, damaged, self.context)

    def test_no_sentence_holds_a_value_of_the_file(self, inbound: Path) -> None:
        """
        (9) What the sender is told names no person: no issue and no refusal holds a word of the subject.
        """
        raw = _bytes(inbound, "partner")
        told = "".join(_sentences(self.adapter, damaged, self.context) for damaged in (raw, *_damaged(raw)))
        subjects = (
            [document["subject"] for document in _documents(inbound)] if (inbound / "shared.json").is_file() else []
        )
        assert [value for subject in subjects for value in _identifying(subject) if value in told] == []

    def test_the_quality_file_is_truthful(self) -> None:
        """
        (10) `quality.toml` answers every rule by `done`, then its program agrees, or by `exempt` with a reason.
        """
        claims = tomllib.loads((self.folder() / "quality.toml").read_text(encoding="utf-8"))["rules"]
        measured = self._measured_quality()
        assert set(measured) == set(claims)
        false_claims = [name for name, claim in claims.items() if claim == "done" and not measured[name]]
        unreasoned = [name for name, claim in claims.items() if claim != "done" and not claim.get("exempt")]
        assert (false_claims, unreasoned) == ([], [])

    def _measured_quality(self) -> dict[str, bool]:
        cases = self._cases()
        readme = self.folder() / "README.md"
        text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
        return {
            "both_ways": self.adapter.kinds_in == self.adapter.kinds_out != frozenset(),
            "elements_listed": bool(self.adapter.fields),
            "readme_in_both_languages": "## En français" in text and "## In English" in text,
            "refusals_shown": any(not (case / "shared.json").is_file() for case in cases),
            "round_trip": any(_file(case, "partner") and _file(case, "back") for case in cases),
            "value_tables": bool(self.adapter.tables),
            "warnings_shown": any(
                (case / "shared.json").is_file() and (case / "issues.json").is_file() for case in cases
            ),
        }


def plain_issue(issue: Issue) -> dict[str, object]:
    """
    An issue as it is written in `issues.json`: without its empty parts.
    """
    return {name: value for name, value in asdict(issue).items() if value is not None}


def _documents(case: Path) -> list[Document]:
    documents: list[Document] = json.loads((case / "shared.json").read_bytes())
    return documents


def _expected_to_be_told(case: Path) -> dict[str, Any]:
    path = case / "issues.json"
    told: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    return told


def _file(case: Path, name: str) -> Path | None:
    return next(iter(sorted(case.glob(f"{name}.*"))), None)


def _bytes(case: Path, name: str) -> bytes:
    found = _file(case, name)
    assert found is not None
    return found.read_bytes()


def _damaged(raw: bytes) -> Iterator[bytes]:
    for end in range(0, len(raw), 1024):
        yield raw[:end]
    for position in range(0, len(raw), 997):
        yield raw[:position] + b"\xff" + raw[position + 1 :]


def _sentences(adapter: Adapter, raw: bytes, context: Context) -> str:
    translation, refusal = run_case(adapter, raw, context)
    if refusal:
        return str(refusal)
    issues: Sequence[Issue] = translation.issues if translation else ()
    return "".join(f"{issue.pointer} {issue.message_fr} {issue.message_en} {issue.suggestion}" for issue in issues)


def _identifying(subject: Document) -> Iterator[str]:
    names = [subject.get("birth_name"), subject.get("used_name"), *subject.get("given_names", ())]
    numbers = [subject.get("nir"), *(identifier["value"] for identifier in subject.get("identifiers", ()))]
    for value in (*names, *numbers, subject.get("birth_date")):
        if isinstance(value, str) and len(re.sub(r"\W", "", value)) > 3:
            yield value
