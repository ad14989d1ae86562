"""
WebRSA's orientation CSV: its layout, its damage, and cells that are no formulas.
"""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.base import AdapterError, FileRefused
from adapters.cnaf_rsa.adapter import CnafRsa
from adapters.cnaf_rsa.fictitious import fictitious_flow, fictitious_people
from adapters.csv_cells import guard_cell, read_cell, read_rows, write_rows
from adapters.testing import EXAM_CONTEXT
from adapters.webrsa_orientation.adapter import COLUMNS, WebrsaOrientation
from schemas import Kind, validate

ADAPTER = WebrsaOrientation()
HEADER = (
    "MATRICULE;CIVILITE;NOM;NOMNAI;PRENOM;DTNAI;ORGANISME_ORIENTATION_REFERENT;ORGANISME_ORIENTATION_SIRET;"
    "NATURE_ORIENTATION;NOM_REFERENT;PRENOM_REFERENT;DATE_DEBUT_ORIENTATION;CIBLE;EMAIL;TELEPHONE_FIXE;TELEPHONE_PORTABLE;ID_CD"
)


def file_of(**cells):
    """A file of one row, with a sufficient identity."""
    row = dict.fromkeys(COLUMNS, "") | {"NOMNAI": "OLIVARDE", "PRENOM": "Zoé", "DTNAI": "1984-02-19"} | cells
    return write_rows(COLUMNS, [list(row.values())])


def read(raw):
    translation = ADAPTER.to_shared(raw, EXAM_CONTEXT)
    return [found.document for found in translation.documents], [
        (issue.code, issue.pointer) for issue in translation.issues
    ]


def test_the_layout_is_webrsas():
    """The seventeen columns in their order, `;`, UTF-8 without a mark, LF, a header even without rows."""
    assert ADAPTER.to_partner([]) == HEADER.encode() + b"\n"


def test_the_referrals_of_a_flow_become_one_file():
    """A CAF's referrals, one row each, without a NIR and with the matricule as WebRSA prints it."""
    flow = CnafRsa().to_shared(fictitious_flow(50, 5), EXAM_CONTEXT)
    referrals = [found.document for found in flow.documents if found.document["kind"] == "referral"]
    written = ADAPTER.to_partner(referrals).decode("utf-8")
    rows = list(csv.DictReader(io.StringIO(written), delimiter=";", strict=True))
    assert [row["ID_CD"] for row in rows] == [referral["id"] for referral in referrals]
    numbers = [next(each["value"] for each in referral["subject"]["identifiers"]) for referral in referrals]
    assert [row["MATRICULE"] for row in rows] == [str(int(number)) for number in numbers]
    assert [person.nir for person in fictitious_people(50, 5) if person.nir and person.nir[:13] in written] == []


def test_a_file_read_and_written_again_is_the_same():
    """Both ways: what was read can be given back, row by row."""
    flow = CnafRsa().to_shared(fictitious_flow(50, 5), EXAM_CONTEXT)
    referrals = [found.document for found in flow.documents if found.document["kind"] == "referral"]
    written = ADAPTER.to_partner(referrals)
    found, issues = read(written)
    assert (ADAPTER.to_partner(found), issues) == (written, [])
    assert [issue for document in found for issue in validate(Kind.REFERRAL, document)] == []


@pytest.mark.parametrize(("cell", "number"), [("7", "0000007"), ("45120", "0045120"), ("2055990", "2055990")])
def test_a_matricule_gets_its_left_zeros_back(cell, number):
    """WebRSA strips the zeros on the left, the opposite side from the XML padding."""
    found, _ = read(file_of(MATRICULE=cell))
    assert found[0]["subject"]["identifiers"] == [{"scheme": "caf_matricule", "value": number}]
    assert ADAPTER.to_partner(found).decode().splitlines()[1].startswith(f"{cell};")


def test_a_number_longer_than_a_matricule_is_not_carried():
    """Thirteen or fifteen digits can be a NIR."""
    found, issues = read(file_of(MATRICULE="2840299612034"))
    assert ("identifiers" in found[0]["subject"], issues) == (False, [("cell_unreadable", "/MATRICULE")])


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("ORGANISME_ORIENTATION_SIRET", "99900003700014"),
        ("ORGANISME_ORIENTATION_SIRET", "99900003700013.0"),
        ("DATE_DEBUT_ORIENTATION", "2026-02-30"),
        ("DATE_DEBUT_ORIENTATION", "46342"),
        ("EMAIL", "personne"),
        ("TELEPHONE_FIXE", "12"),
        ("ID_CD", "é" * 3),
    ],
)
def test_a_damaged_cell_is_told_and_left_out(column, cell):
    """A wrong SIRET, a float, a date that is none, a serial number, no e-mail, no phone: never guessed."""
    found, issues = read(file_of(**{column: cell}))
    assert (issues, cell in str(found)) == ([("cell_unreadable", f"/{column}")], False)


def test_an_unknown_nature_is_kept_and_told():
    """Its literal is held back in `local`."""
    found, issues = read(file_of(NATURE_ORIENTATION="PROFESSIONNEL"))
    assert (found[0]["local"]["fields"], issues) == (
        {"NATURE_ORIENTATION": "PROFESSIONNEL"},
        [("code_unknown", "/NATURE_ORIENTATION")],
    )


@pytest.mark.parametrize("nothing", ["", " ", "NULL", "null", "\u00a0"])
def test_the_ways_of_saying_nothing(nothing):
    """Empty, blank or the word of a database: a missing value, without a warning."""
    assert read(file_of(CIBLE=nothing, EMAIL=nothing)) == read(file_of())


def test_line_ends_and_a_byte_order_mark_do_not_matter():
    """What a spreadsheet saves reads like what a database exports."""
    raw = file_of(CIBLE="Parcours")
    assert read(raw) == read(b"\xef\xbb\xbf" + raw.replace(b"\n", b"\r\n"))


def test_columns_may_come_in_another_order_and_be_more():
    """They are found by their names; one more is counted as unknown."""
    names = [*reversed(COLUMNS), "COMMENTAIRE"]
    cells = {"NOMNAI": "OLIVARDE", "PRENOM": "Zoé", "DTNAI": "1984-02-19", "COMMENTAIRE": "x"}
    raw = write_rows(names, [[cells.get(name, "") for name in names]])
    translation = ADAPTER.to_shared(raw, EXAM_CONTEXT)
    assert [found.document for found in translation.documents] == read(file_of())[0]
    assert [(line.path, line.count) for line in translation.coverage.unknown] == [("/COMMENTAIRE", 1)]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (HEADER.replace(";ID_CD", "").encode() + b"\n", "columns_missing"),
        (HEADER.encode() + b";CIBLE\n", "columns_missing"),
        (HEADER.replace(";", ",").encode() + b"\n", "columns_missing"),
        (HEADER.encode() + b"\n1;2\n", "row_length"),
        (HEADER.encode() + b"\n" + b'";' * 17 + b"\n", "truncated"),
        (file_of()[:-1], "truncated"),
        (HEADER.encode("utf-16"), "encoding_not_accepted"),
        (b"\x81\xff\x00", "encoding_not_accepted"),
        (file_of(CIBLE="abc\u202edef"), "bidi_control"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused_whole(raw, code):
    """Missing or doubled columns, another separator, a short row, an open quote, an unfinished line, another encoding."""
    with pytest.raises(FileRefused) as refusal:
        ADAPTER.to_shared(raw, EXAM_CONTEXT)
    assert refusal.value.code == code


def test_the_line_told_is_that_of_the_file_even_after_cells_of_several_lines():
    """A quoted cell with line breaks does not shift what follows."""
    row = file_of().decode().splitlines()[1]
    raw = f"{HEADER}\n{row.replace(';OLIVARDE', ';' + chr(34) + 'OLI' + chr(10) + 'VARDE' + chr(34), 1)}\n{row.replace('1984-02-19', 'hier')}\n"
    translation = ADAPTER.to_shared(raw.encode(), EXAM_CONTEXT)
    assert {issue.line for issue in translation.issues} == {4}


def test_only_referrals_are_written():
    """A status has no place in this file."""
    with pytest.raises(AdapterError) as error:
        ADAPTER.to_partner([{"kind": "status"}])
    assert error.value.code == "kind_not_carried"


@given(st.text(max_size=40))
def test_a_guarded_cell_is_no_formula_and_reads_back(text):
    """Whatever the text, its cell starts no formula, and reading gives the text without the spaces around it."""
    cell = guard_cell(text)
    assert not cell.lstrip(" \x00\u00a0\u3000").startswith(
        ("=", "+", "-", "@", "|", "%", "\t", "\r", "\n", "＝", "＋", "－", "＠")
    )
    assert read_cell(cell) == text.strip()


@given(
    st.lists(
        st.lists(
            st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12),
            min_size=3,
            max_size=3,
        ),
        max_size=5,
    )
)
def test_rows_written_are_rows_read(rows):
    """Quotes, separators and line breaks inside cells survive, as LF; the spaces around them do not."""
    text = write_rows(["a", "b", "c"], rows).decode("utf-8")
    _, *found = [cells for _, cells in read_rows(text, ["a", "b", "c"])]
    assert found == [[cell.replace("\r\n", "\n").replace("\r", "\n").strip() for cell in row] for row in rows]
