"""
From partners' records to shared documents: what each key of a rule does, and what is told, with its place.
"""

from collections.abc import Callable
from typing import Any

import pytest

from adapters.base import FileRefused
from adapters.exam import EXAM_CONTEXT

Make = Callable[..., Any]


def read(adapter: Any, text: str | bytes) -> Any:
    """The translation of a file given as text."""
    return adapter.to_shared(text.encode() if isinstance(text, str) else text, EXAM_CONTEXT)


def row(adapter: Any, columns: str, *cells: str) -> dict[str, Any]:
    """The only document of a CSV of one row, its person being complete."""
    text = f"ID;NOM;DN;{columns}\nA;OLIVARDE;1961-05-12;{';'.join(cells)}\n"
    (translated,) = read(adapter, text).documents
    return translated.document


@pytest.mark.parametrize(
    ("rules", "columns", "cells", "pointer", "value"),
    [
        (["notes: A"], "A", ["x  y"], "notes", "x y"),
        (["notes: {from: [A, B]}"], "A;B", ["", "y"], "notes", "y"),
        (["notes: {from: [A, B], join: ' - '}"], "A;B", ["x", "y"], "notes", "x - y"),
        (["notes: {const: toujours}"], "A", ["x"], "notes", "toujours"),
        (["notes: {from: A, default: rien}"], "A", [""], "notes", "rien"),
        (["notes: {from: A, when: {from: B, is: [O, P]}}"], "A;B", ["x", "P"], "notes", "x"),
        (["notes: {from: A, when: {from: B, is: O}}"], "A;B", ["x", "N"], "notes", None),
        (["notes: {from: A, when: {from: B, not: N}}"], "A;B", ["x", ""], "notes", "x"),
        (["notes: {from: A, when: {from: B, filled: false}}"], "A;B", ["x", ""], "notes", "x"),
        (["notes: {from: A, when: [{from: B, filled: true}, {from: B, not: N}]}"], "A;B", ["x", "N"], "notes", None),
        (["requirements[]: {from: [A, B]}"], "A;B", ["x", "y"], "requirements", ["x", "y"]),
        (["requirements[]: {from: A, split: [',', /]}"], "A", ["x, y/z,"], "requirements", ["x", "y", "z"]),
        (["requirements[]: [A, {from: B, do: majuscules}]"], "A;B", ["x", "y"], "requirements", ["x", "Y"]),
        (["reasons[scheme=reason].code: {from: A, split: ','}"], "A", ["housing,debt"], "reasons",
         [{"scheme": "reason", "code": "housing"}, {"scheme": "reason", "code": "debt"}]),
        (["reasons[]: {each: A, split: ',', fields: {scheme: {const: reason}, code: ., label: B}}"], "A;B", ["debt", "x"],
         "reasons", [{"scheme": "reason", "code": "debt", "label": "x"}]),
        (["reasons[]: [{fields: {scheme: {const: reason}, code: {from: A, required: true}, label: B}}]"], "A;B", ["", "x"],
         "reasons", None),
        (["rights[1].right: {from: A, do: minuscules}", "rights[1].note: B", "rights[2].right: C"], "A;B;C", ["RSA", "x", "ppa"],
         "rights", [{"right": "rsa", "note": "x"}, {"right": "ppa"}]),
        (["deadline: {context: today}"], "A", [""], "deadline", "2026-11-23"),
        (["notes: {jsonata: '$uppercase(A) & $string($count($split(B, \",\")))', from: [A, B]}"], "A;B", ["x", "1,2"], "notes", "X2"),
        (["requirements[]: {jsonata: '[A, B]', from: [A, B]}"], "A;B", ["x", "y"], "requirements", ["x", "y"]),
        (["notes: {from: A, do: texte_long}"], "A", ['"x\ny"'], "notes", "x\ny"),
    ],
)  # fmt: skip
def test_what_each_key_of_a_rule_does(
    rule: Make, rules: list[str], columns: str, cells: list[str], pointer: str, value: Any
) -> None:
    """Sources, constants, defaults, conditions, lists, numbered items, expressions."""
    document = row(rule(*rules, direction="in"), columns, *cells)
    assert document.get(pointer) == value


def test_the_envelope_is_the_gateway_s(rule: Make) -> None:
    """Kind, version, sender, purpose and date come from the context; the identifier from the business key alone."""
    adapter = rule("notes: A")
    first, second = row(adapter, "A", "x"), row(adapter, "A", "y")
    assert first["id"] == second["id"]
    assert ("referral", "1.0", EXAM_CONTEXT.purpose) == tuple(
        first[name] for name in ("kind", "schema_version", "purpose")
    )
    assert first["sender"] == EXAM_CONTEXT.organisation and first["created_at"] == EXAM_CONTEXT.now.isoformat()


def test_what_is_wrong_has_its_line_its_column_and_its_name(rule: Make) -> None:
    """The place is a line and a character of the file, also after a cell of several lines."""
    adapter = rule("subject.phones[]: {from: TEL, do: telephone}", "notes: A")
    text = 'ID;NOM;DN;A;TEL\nA;X;1961-05-12;"a;b\nc";12\nB;Y;1961-05-12;;0199000123\nC;Z;demain;;\n'
    issues = [(issue.code, issue.pointer, issue.line, issue.column) for issue in read(adapter, text).issues]
    assert issues == [
        ("cell_unreadable", "/TEL", 2, 24),
        ("cell_unreadable", "/DN", 5, 5),
    ]


def test_a_required_value_that_is_missing_leaves_the_record_out(rule: Make) -> None:
    """The other records are translated, and the sender knows which one is not, and why."""
    adapter = rule("notes: {from: A, required: true}")
    found = read(adapter, "ID;NOM;DN;A\nA;X;1961-05-12;\nB;Y;1961-05-12;y\n")
    assert [("required_missing", "/A", 2)] == [(issue.code, issue.pointer, issue.line) for issue in found.issues]
    assert ["y"] == [each.document["notes"] for each in found.documents]


def test_a_record_without_its_key_is_left_out(rule: Make) -> None:
    """Without the reference that recognises a case, two sendings would make two cases of it."""
    found = read(rule(), "ID;NOM;DN\n;X;1961-05-12\n")
    assert ([], ["key_missing"]) == (list(found.documents), [issue.code for issue in found.issues])


def test_an_unknown_code_is_told_counted_and_kept(rule: Make) -> None:
    """The partner's word survives beside the shared ones; the most frequent comes first; known and unmapped is not told."""
    adapter = rule(
        "reasons[scheme=reason].code: {from: M, split: ',', table: motif}", tables={"motif": "LOG,housing,\nINT,,vu\n"}
    )
    found = read(adapter, "ID;NOM;DN;M\nA;X;1961-05-12;LOG,FAIM\nB;Y;1961-05-12;INT,FAIM\n")
    assert ["FAIM", "FAIM"] == [each.document["local"]["fields"]["M"] for each in found.documents]
    assert ["code_unknown", "code_unknown"] == [issue.code for issue in found.issues]
    assert [("FAIM", 2, False), ("INT", 1, True)] == [(each.value, each.count, each.known) for each in found.unmapped]
    assert "FAIM" not in repr(found.unmapped) and not any("FAIM" in issue.message_fr for issue in found.issues)


def test_an_unknown_code_takes_its_declared_parent(rule: Make) -> None:
    """With a row `*`, a partner adds a word without asking anybody: it is told, kept, and has a general meaning."""
    adapter = rule("reasons[scheme=reason].code: {from: M, table: motif}", tables={"motif": "LOG,housing,\n*,other,\n"})
    document = row(adapter, "M", "NOUVEAU")
    assert [{"scheme": "reason", "code": "other"}] == document["reasons"]
    assert {"fields": {"M": "NOUVEAU"}} == document["local"]


def test_a_value_that_the_schema_refuses_is_left_out_and_told(rule: Make) -> None:
    """Too long, or outside a list: the document stays valid without it."""
    found = read(rule("subject.sex: S", "prescriber.role: R"), f"ID;NOM;DN;S;R\nA;X;1961-05-12;homme;{'x' * 200}\n")
    assert ["value_not_allowed", "value_not_allowed"] == [issue.code for issue in found.issues]
    assert "sex" not in found.documents[0].document["subject"] and "prescriber" not in found.documents[0].document


def test_columns_are_found_whatever_their_case_and_spaces(make: Make) -> None:
    """Line breaks, capitals, another known name: the same column; twice is refused, missing is refused."""
    adapter = make(
        """
        title: Essai
        source: {format: csv, aliases: {Téléphone: [Tél.]}, optional: [Ville]}
        documents:
          - kind: referral
            key: N° dossier
            fields:
              subject.identifiers[scheme=partner].value: N° dossier
              subject.birth_name: Nom
              subject.birth_date: {from: Date de naissance, do: date_naissance}
              subject.phones[]: {from: Téléphone, do: telephone}
              subject.address.commune: Ville
        """
    )
    text = '"N°\n DOSSIER";nom;"Date de\nNaissance ";TÉL.\nA;X;1961-05-12;0199000123\n'
    assert ["+33199000123"] == read(adapter, text).documents[0].document["subject"]["phones"]
    for header, code in (
        ("N° dossier;Nom;Tél.\n", "columns_missing"),
        ("N° dossier;Nom;NOM;Date de naissance;Tél.\n", "columns_twice"),
    ):
        with pytest.raises(FileRefused) as refused:
            read(adapter, header)
        assert code == refused.value.code and "Nom" in refused.value.message_fr + "Nom"


@pytest.mark.parametrize(
    ("encoding", "written", "accepted"),
    [
        (None, "utf-8", True),
        (None, "utf-8-sig", True),
        (None, "cp1252", True),
        ("windows-1252", "cp1252", True),
        ("windows-1252", "utf-8", False),
        ("utf-8", "cp1252", False),
        ("iso-8859-15", "iso-8859-15", True),
        (None, "utf-16", False),
    ],
)
def test_an_encoding_is_declared_or_found_never_guessed(
    make: Make, encoding: str | None, written: str, accepted: bool
) -> None:
    """As declared, else BOM, strict UTF-8, windows-1252; what contradicts the declaration is refused."""
    said = f", encoding: {encoding}" if encoding else ""
    adapter = make(
        f"title: Essai\nsource: {{format: csv{said}}}\ndocuments:\n  - kind: referral\n    key: ID\n    fields:\n"
        "      subject.birth_name: NOM\n      subject.birth_date: DN\n      subject.identifiers[scheme=partner].value: ID\n"
    )
    raw = "ID;NOM;DN\nA;BRÛLEBOIS é;1961-05-12\n".encode(written)
    if accepted:
        found = read(adapter, raw)
        assert "BRÛLEBOIS é" == found.documents[0].document["subject"]["birth_name"]
        assert (["encoding_guessed"] if (encoding, written) == (None, "cp1252") else []) == [
            i.code for i in found.issues
        ]
    else:
        with pytest.raises(FileRefused):
            read(adapter, raw)


def test_a_file_without_header_and_lines_to_skip(make: Make) -> None:
    """The columns are then those that the mapping declares, in order; or the header comes after a title."""
    text = "title: Essai\nsource: {{format: csv, {}}}\ndocuments:\n  - kind: referral\n    key: ID\n    fields: {{subject.birth_name: NOM, subject.birth_date: DN, 'subject.identifiers[scheme=partner].value': ID}}\n"
    bare = make(text.format("header: false, columns: [ID, NOM, DN], separator: ','"))
    assert 1 == len(read(bare, "A,X,1961-05-12\n").documents)
    titled = make(text.format("skip: 2"))
    assert [4] == [
        each.source.line for each in read(titled, "Export du 3;;\n;x;\nID;NOM;DN\nA;X;1961-05-12\n").documents
    ]


@pytest.mark.parametrize(("written", "read_as"), [(",", ",;"), (";", ",;"), ("|", ",;|"), (";", ";,")])
def test_a_file_has_the_separator_that_its_first_line_holds_most(make: Make, written: str, read_as: str) -> None:
    """The same mapping reads what HubEE and a département write; a remark still names the right character."""
    text = "title: Essai\nsource: {{format: csv, separator: '{}'}}\ndocuments:\n  - kind: referral\n    key: ID\n    fields: {{subject.birth_name: NOM, subject.birth_date: {{from: DN, do: date_iso}}, 'subject.identifiers[scheme=partner].value': ID}}\n"
    raw = "ID;NOM;DN\nA;X;1961-05-12\nB;Y;1961-02-30\n".replace(";", written)
    found = read(make(text.format(read_as)), raw)
    assert "X" == found.documents[0].document["subject"]["birth_name"]
    assert [("cell_unreadable", 3, 5)] == [(issue.code, issue.line, issue.column) for issue in found.issues]


def test_a_column_that_also_makes_an_identifier_is_a_key_as_it_stands(make: Make) -> None:
    """Two requests in a row of the same file are two documents, although the key's column has a function elsewhere."""
    adapter = make(
        "title: Essai\nsource: {format: csv}\ndocuments:\n  - kind: status\n    key: ID\n    fields:\n"
        "      subject.identifiers[scheme=partner].value: ID\n      referral_id: {from: ID, do: {identifiant_de: referral}}\n"
        "      status: {const: received}\n      sequence: {const: 1}\n      occurred_at: {context: now}\n"
    )
    found = read(adapter, "ID\nA\nB\n").documents
    assert 2 == len({each.document["id"] for each in found})


def test_a_cut_file_is_refused_whole_unless_the_mapping_allows_it(make: Make) -> None:
    """A last line that is not ended may be half a name; the cure is named where that line has all its cells."""
    text = "title: Essai\nsource: {{format: csv{}}}\ndocuments:\n  - kind: referral\n    key: ID\n    fields: {{subject.birth_name: NOM, subject.birth_date: DN, 'subject.identifiers[scheme=partner].value': ID}}\n"
    raw = "ID;NOM;DN\nA;X;1961-05-12"
    for cut, code in (
        (raw, "last_line_open"),
        ("ID;NOM;DN\nA;X", "truncated"),
        ('ID;NOM;DN\nA;X;"1961', "truncated"),
        ("ID;NOM;DN", "truncated"),
    ):
        with pytest.raises(FileRefused) as refused:
            read(make(text.format("")), cut)
        assert (code, True, cut.count("\n") + 1) == (refused.value.code, refused.value.quarantine, refused.value.line)
    assert 1 == len(read(make(text.format(", open_end: true")), raw).documents)


XML = """
title: Essai
source: {format: xml, records: Flux/Dossier}
documents:
  - kind: referral
    each: Personnes/Personne
    when: {from: Etat, not: Clos}
    key: [../@num, Nom, Prenom]
    fields:
      reference: ../@num
      created_at: {from: /Flux/Entete/Date, do: date_heure}
      subject.birth_name: Nom
      subject.given_names[]: Prenom
      subject.birth_date: {from: Naissance, do: date_fr}
      subject.address.commune: "../Adresse[Rang=1]/Ville"
ignored:
  ../../Note: Note interne
  /Flux/Entete/Version: Version de l'export
"""

FLUX = """<?xml version="1.0"?>
<Flux xmlns="urn:x"><Entete><Date>2026-11-01T10:00:00</Date><Version>3</Version></Entete>
<Dossier num="A1"><Etat>Ouvert</Etat>
 <Adresse><Rang>2</Rang><Ville>Autre</Ville></Adresse><Adresse><Rang>1</Rang><Ville>Valombre</Ville></Adresse>
 <Personnes><Personne><Nom>OLIVARDE</Nom><Prenom>Zoé</Prenom><Prenom>Ana</Prenom><Naissance>25/05/1998</Naissance></Personne>
 <Personne><Nom>OLIVARDE</Nom><Prenom>Luc</Prenom><Naissance>demain</Naissance><Secret>1</Secret></Personne></Personnes>
</Dossier>
<Dossier num="A2"><Etat>Clos</Etat><Personnes><Personne><Nom>Z</Nom></Personne></Personnes></Dossier>
</Flux>
"""


def test_a_tree_is_read_by_paths(make: Make) -> None:
    """Attributes, the record above an item, the root, a predicate, repeated elements, namespaces; lines of elements."""
    found = read(make(XML), FLUX)
    (document,) = (each.document for each in found.documents)
    assert ("A1", "2026-11-01T10:00:00+01:00") == (document["reference"], document["created_at"])
    assert ["Zoé", "Ana"] == document["subject"]["given_names"]
    assert "Valombre" == document["subject"]["address"]["commune"]
    assert [("cell_unreadable", 6), ("record_invalid", 6)] == [(issue.code, issue.line) for issue in found.issues]


def test_every_element_of_a_tree_is_counted_as_known_left_or_unknown(make: Make) -> None:
    """Elements around the records too; what predicates and conditions read is known."""
    coverage = read(make(XML), FLUX).coverage
    assert ["/Flux/Dossier/Personnes/Personne/Secret"] == [line.path for line in coverage.unknown]
    assert coverage.totals()["ignored"] == 1
    assert {"/Flux/Dossier/Adresse/Rang", "/Flux/Dossier/Etat", "/Flux/Entete/Date"} <= {
        line.path for line in coverage.lines
    }


def test_json_records_places_and_strictness(make: Make) -> None:
    """A list at a path, native types, lines and columns; a repeated key or NaN refuses the file."""
    adapter = make(
        """
        title: Essai
        source: {format: json, records: data/users}
        documents:
          - kind: referral
            key: id
            fields:
              subject.identifiers[scheme=partner].value: ref
              subject.birth_name: nom
              subject.birth_date: {from: naissance, do: date_iso}
              contact_preference.discreet: discret
              situation.children_count: enfants
              subject.phones[]: {from: contact/telephones, do: telephone}
        """
    )
    text = '{"data": {"users": [\n {"id": 7, "ref": "R", "nom": "X", "naissance": "1961-05-12", "discret": true, "enfants": 2,\n  "contact": {"telephones": [199000123, "12"]}},\n {"id": 8, "nom": ["Y"], "naissance": {"a": 1}}]}, "page": 1}'
    found = read(adapter, text)
    (document,) = (each.document for each in found.documents)
    assert (True, 2) == (document["contact_preference"]["discreet"], document["situation"]["children_count"])
    assert ["+33199000123"] == document["subject"]["phones"]
    assert [("zero_restored", 3), ("cell_unreadable", 3), ("value_not_allowed", 4), ("record_invalid", 4)] == [
        (issue.code, issue.line) for issue in found.issues
    ]
    assert ["/page"] == [line.path for line in found.coverage.unknown]
    for bad in (
        '{"data": {"users": [{"id": 1, "id": 2}]}}',
        '{"data": {"users": NaN}}',
        '{"data": 3}',
        '{"data": {"users": [3]}}',
    ):
        with pytest.raises(FileRefused):
            read(adapter, bad)


def test_one_json_object_a_line(make: Make) -> None:
    """Each line is a record; a line that is not ended, or is not JSON, refuses the file."""
    adapter = make(
        "title: Essai\nsource: {format: json, lines: true}\ndocuments:\n  - kind: referral\n    key: id\n"
        "    fields: {subject.birth_name: nom, 'subject.identifiers[scheme=partner].value': id}\n"
    )
    text = '{"id": 1, "nom": "X"}\n\n{"id": 2, "nom": "Y"}\n'
    assert [1, 3] == [each.source.line for each in read(adapter, text).documents]
    for bad in (text[:-1], text + "{\n", ""):
        with pytest.raises(FileRefused):
            read(adapter, bad)


def test_one_record_gives_several_kinds(make: Make) -> None:
    """A bilan and a referral from the same row, each with its own identifier and its own condition."""
    adapter = make(
        """
        title: Essai
        source: {format: csv}
        documents:
          - kind: referral
            when: {from: SUIVI, is: O}
            key: ID
            fields: &person
              subject.identifiers[scheme=partner].value: ID
              subject.birth_name: NOM
              subject.birth_date: DN
          - kind: bilan
            key: ID
            fields:
              <<: *person
              established_at: {from: DATE, do: minuit}
              lines[]:
                - fields: {right: {const: rsa}, concerns: {const: person}, state: {from: RSA, required: true},
                           as_of: {from: DATE, do: date_fr}, source: {const: declared}}
                - fields: {right: {const: ppa}, concerns: {const: person}, state: {from: AAH, required: true},
                           as_of: {from: DATE, do: date_fr}, source: {const: declared}}
        """
    )
    text = (
        "ID;NOM;DN;SUIVI;DATE;RSA;AAH\nA;X;1961-05-12;O;01/02/2026;to_request;\nB;Y;1961-05-12;N;01/02/2026;;refused\n"
    )
    documents = [each.document for each in read(adapter, text).documents]
    assert ["referral", "bilan", "bilan"] == [document["kind"] for document in documents]
    assert documents[0]["id"] != documents[1]["id"]
    assert [["rsa"], ["ppa"]] == [[line["right"] for line in document["lines"]] for document in documents[1:]]


def test_the_number_of_remarks_is_bounded(rule: Make) -> None:
    """A file in which everything is wrong does not choose the size of the answer."""
    rows = "".join(f"{n};X;demain\n" for n in range(10_001))
    issues = read(rule(), "ID;NOM;DN\n" + rows).issues
    assert 10_001 == len(issues) and "too_many_issues" == issues[-1].code
