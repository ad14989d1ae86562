"""
From shared documents to partners' files: the rules read backwards, what is written besides, and what no spreadsheet runs.
"""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import openpyxl
import pytest

from adapters.base import AdapterError
from adapters.exam import EXAM_CONTEXT

Make = Callable[..., Any]


def back(adapter: Any, raw: bytes) -> bytes:
    """What a file becomes again once it was read."""
    return adapter.to_partner([each.document for each in adapter.to_shared(raw, EXAM_CONTEXT).documents])


def cells(adapter: Any, document: dict[str, Any]) -> dict[str, str]:
    """The row that a document becomes, by column."""
    (found,) = csv.DictReader(
        io.StringIO(adapter.to_partner([{"kind": "referral", **document}]).decode()), delimiter=";"
    )
    return found


@pytest.mark.parametrize(
    ("rules", "document", "expected"),
    [
        (["subject.phones[]: {from: [T1, T2], do: telephone}"], {"subject": {"phones": ["+33199000123", "+33199000124"]}},
         {"T1": "0199000123", "T2": "0199000124"}),
        (["subject.given_names[]: {from: P, split: ' '}"], {"subject": {"given_names": ["Zoé", "Ana"]}}, {"P": "Zoé Ana"}),
        (["requirements[]: {from: R, split: [',', ';']}"], {"requirements": ["a", "b"]}, {"R": "a, b"}),
        (["reasons[scheme=reason].code: {from: M, split: ',', table: m}"],
         {"reasons": [{"scheme": "reason", "code": "housing"}, {"scheme": "need", "code": "x"}, {"scheme": "reason", "code": "debt"}]},
         {"M": "LOG, DET"}),
        (["reasons[scheme=reason].code: {from: M, table: m}"], {"local": {"fields": {"M": "FAIM"}}}, {"M": "FAIM"}),
        (["reasons[]: {each: M, split: ',', fields: {scheme: {const: reason}, code: {from: ., table: m}}}"],
         {"reasons": [{"scheme": "reason", "code": "housing"}, {"scheme": "reason", "code": "debt"}]}, {"M": "LOG, DET"}),
        (["subject.nir: {from: NIR, do: {nir: 13}}"], {"subject": {"nir": "155029935001012"}}, {"NIR": "1550299350010"}),
        (["rights[1].right: R1", "rights[2].right: R2"], {"rights": [{"right": "rsa"}, {"right": "ppa"}]}, {"R1": "rsa", "R2": "ppa"}),
        (["subject.emails[]: {from: E, do: courriel}"], {"subject": {}}, {"E": ""}),
        (["notes: {jsonata: A, from: A}"], {"notes": "x"}, {"A": ""}),
    ],
)  # fmt: skip
def test_each_rule_is_read_backwards(
    rule: Make, rules: list[str], document: dict[str, Any], expected: dict[str, str]
) -> None:
    """Columns of a list, cells that were cut, tables, items chosen by a constant, words kept beside, cut fields."""
    tables = {"m": "LOG,housing,\nDET,debt,\n*,other,\n"} if "table" in rules[0] else {}
    found = cells(rule(*rules, tables=tables), document)
    assert expected == {name: found[name] for name in expected}


def test_what_no_rule_gives_is_written_besides(rule: Make) -> None:
    """A place, a constant, an expression on the document; columns that only writing has come last."""
    adapter = rule(
        after="write:\n  REF: id\n  TYPE: {const: A}\n  AGE: {jsonata: '$substring(subject.birth_date, 0, 4)'}\n"
        "  NE: {from: subject.birth_date, do: date_fr}\n"
    )
    found = cells(adapter, {"id": "x", "subject": {"birth_date": "1961-05-12"}})
    assert {"REF": "x", "TYPE": "A", "AGE": "1961", "NE": "12/05/1961"} == {
        name: found[name] for name in ("REF", "TYPE", "AGE", "NE")
    }
    assert ["ID", "NOM", "DN", "REF", "TYPE", "AGE", "NE"] == list(found)


def test_a_kind_or_a_direction_that_the_format_has_not_is_refused(rule: Make) -> None:
    """A format that is read only does not write, and no format writes another kind."""
    with pytest.raises(AdapterError):
        rule(direction="in").to_partner([])
    with pytest.raises(AdapterError):
        rule().to_partner([{"kind": "bilan"}])
    with pytest.raises(AdapterError):
        rule(direction="out").to_shared(b"ID;NOM;DN\n", EXAM_CONTEXT)


@pytest.mark.parametrize("text", ["=1+1", "+33", "-1", "@x", " =1", "＝1", "|x", "%x", "'=1"])
def test_a_cell_that_a_spreadsheet_would_run_is_disarmed_and_read_again(rule: Make, text: str) -> None:
    """An apostrophe before it, taken away again by reading."""
    adapter = rule()
    raw = adapter.to_partner(
        [{"kind": "referral", "subject": {"birth_name": text, "identifiers": [{"scheme": "partner", "value": "A"}]}}]
    )
    assert f";'{text}" in raw.decode().splitlines()[1] or f";\"'{text}" in raw.decode()
    (again,) = adapter.to_shared(raw, EXAM_CONTEXT).documents
    assert text.strip() == again.document["subject"]["birth_name"]


TREE = """
title: Essai
direction: both
source: {%s}
documents:
  - kind: bilan
    key: "%s"
    fields:
      reference: "%s"
      subject.birth_name: personne/nom
      subject.given_names[]: personne/prenoms
      subject.identifiers[scheme=partner].value: personne/numero
      subject.birth_date: {from: personne/naissance, do: date_iso}
      established_at: {from: date, do: date_heure}
      lines[]:
        each: droits/droit
        fields:
          right: code
          concerns: {const: person}
          state: {from: etat, default: to_request}
          as_of: {from: ../jour, do: date_fr}
          source: {const: declared}
          actions[]: {each: actions, fields: {action: quoi, by: qui}}
"""


def test_json_is_written_as_a_tree(make: Make) -> None:
    """Lists stay lists even of one item, objects nest, what an item takes from its record goes back to the record."""
    adapter = make(TREE % ("format: json, records: dossiers", "id", "id"))
    record = {
        "id": "A",
        "personne": {"nom": "X", "prenoms": ["Zoé"], "numero": "12", "naissance": "1961-05-12"},
        "date": "01/02/2026 10:00:00",
        "jour": "01/02/2026",
        "droits": {
            "droit": [
                {"code": "rsa", "etat": "requested", "actions": [{"quoi": "gather_documents", "qui": "person"}]},
                {"code": "ppa", "etat": "to_request"},
            ]
        },
    }
    raw = json.dumps({"dossiers": [record]}).encode()
    found = adapter.to_shared(raw, EXAM_CONTEXT)
    assert [] == list(found.issues)
    assert {"dossiers": [record]} == json.loads(back(adapter, raw))


def test_xml_is_written_as_a_tree(make: Make) -> None:
    """Elements and attributes in the order of the rules; what was written is read as the same documents."""
    adapter = make(TREE % ("format: xml, records: flux/dossier", "@id", "@id"))
    raw = (
        b'<?xml version="1.0"?><flux><dossier id="A"><personne><nom>X &amp; Y</nom><prenoms>Zo</prenoms><prenoms>Ana</prenoms>'
        b"<naissance>1961-05-12</naissance></personne><date>01/02/2026 10:00</date><jour>01/02/2026</jour><droits><droit>"
        b"<code>rsa</code><etat>requested</etat></droit><droit><code>ppa</code></droit></droits></dossier></flux>"
    )
    documents = [each.document for each in adapter.to_shared(raw, EXAM_CONTEXT).documents]
    written = back(adapter, raw)
    assert documents and documents == [each.document for each in adapter.to_shared(written, EXAM_CONTEXT).documents]
    assert b"<nom>X &amp; Y</nom>" in written and b'<dossier id="A">' in written


def test_a_workbook_holds_texts_and_depends_on_its_content_alone(make: Make) -> None:
    """Identifiers keep their zeros, a formula is a text, and the same documents give the same bytes."""
    adapter = make(
        "title: Essai\ndirection: both\nsource: {format: xlsx, sheet: Suivi}\ndocuments:\n  - kind: referral\n    key: ID\n"
        "    fields: {subject.birth_name: NOM, 'subject.identifiers[scheme=partner].value': ID}\n"
    )
    documents = [
        {"kind": "referral", "subject": {"birth_name": "=1+1", "identifiers": [{"scheme": "partner", "value": "007"}]}}
    ]
    raw = adapter.to_partner(documents)
    sheet = openpyxl.load_workbook(io.BytesIO(raw))["Suivi"]
    assert [("ID", "s"), ("NOM", "s")] == [(cell.value, cell.data_type) for cell in sheet[1]]
    assert [("007", "s"), ("'=1+1", "s")] == [(cell.value, cell.data_type) for cell in sheet[2]]
    assert b"1980-01-01" in b"".join(_entries(raw)) and raw == adapter.to_partner(documents)
    (again,) = adapter.to_shared(raw, EXAM_CONTEXT).documents
    assert ("=1+1", "007") == (
        again.document["subject"]["birth_name"],
        again.document["subject"]["identifiers"][0]["value"],
    )


def _entries(raw: bytes) -> list[bytes]:
    import zipfile

    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return [archive.read(name) for name in archive.namelist()]


def test_fixed_width_lines_keep_their_columns(make: Make) -> None:
    """Each column at its place, filled with spaces, in the declared encoding and line ends."""
    adapter = make(
        "title: Essai\ndirection: both\nsource: {format: fixed, encoding: windows-1252, line_end: crlf, columns: {ID: [3, 4], NOM: [8, 10]}}\n"
        "documents:\n  - kind: referral\n    key: ID\n"
        "    fields: {'subject.identifiers[scheme=partner].value': ID, subject.birth_name: NOM}\n"
    )
    raw = "  A-1  BRÛLEBOIS \r\n".encode("cp1252")
    assert raw == back(adapter, raw)


def test_a_file_for_spreadsheets_has_its_mark_and_its_line_ends(make: Make) -> None:
    """With `bom` and `crlf`, Excel opens the accents and the lines as they are."""
    adapter = make(
        "title: Essai\ndirection: both\nsource: {format: csv, separator: ',', bom: true, line_end: crlf}\ndocuments:\n  - kind: referral\n"
        "    key: ID\n    fields: {'subject.identifiers[scheme=partner].value': ID, subject.birth_name: NOM}\n"
    )
    raw = b"\xef\xbb\xbfID,NOM\r\nA,\xc3\x89mile\r\n"
    assert raw == back(adapter, raw)
