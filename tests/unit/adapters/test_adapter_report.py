"""
The coverage report counts what became of each element, and a file does not choose its size.
"""

import pytest

from adapters.report import FieldRule, Tally, Treatment, shown_name
from adapters.tables import Table, TableRefused

RULES = {
    path: FieldRule(path, treatment, "/x", "because")
    for path, treatment in (("/a", Treatment.MAPPED), ("/b", Treatment.IGNORED), ("/c", Treatment.KEPT))
}


def test_a_coverage_counts_by_treatment():
    """Each treatment has its total, and elements that were not there have no line."""
    tally = Tally(RULES)
    tally.add("/a", 3)
    tally.add("/b")
    tally.add_unknown("/z")
    coverage = tally.coverage()
    assert coverage.totals() == {"mapped": 3, "kept": 0, "ignored": 1, "group": 0, "unknown": 1}
    assert [line.path for line in coverage.lines] == ["/a", "/b", "/z"]
    assert coverage.as_document()["elements"][1] == {
        "path": "/b",
        "treatment": "ignored",
        "count": 1,
        "target": "/x",
        "reason": "because",
    }


def test_a_path_outside_the_list_cannot_be_counted_as_known():
    """Counting a stranger as known is a fault of the adapter."""
    with pytest.raises(KeyError):
        Tally(RULES).add("/z")


def test_a_hostile_file_does_not_choose_the_size_of_the_report():
    """A hundred different unknown names at most, each of bounded length; the rest is counted together."""
    tally = Tally(RULES)
    for number in range(5000):
        tally.add_unknown(f"/{number}" + "x" * 1000)
    unknown = tally.coverage().unknown
    assert (len(unknown), sum(line.count for line in unknown)) == (101, 5000)
    assert max(len(line.path) for line in unknown) == 200


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("NOUVEAU", "NOUVEAU"),
        ("used_name", "used_name"),
        ("2840299612034", "*"),
        ("a b", "*"),
        ("", "*"),
        ("x" * 50, "*"),
    ],
)
def test_a_name_that_is_no_name_is_not_shown(name, shown):
    """A partner may have put a number or a sentence where a name belongs."""
    assert shown_name(name) == shown


def test_a_table_tells_unknown_from_deliberately_unmapped(tmp_path):
    """An empty shared value is known and gives nothing; a value that is not there is not known."""
    source = tmp_path / "t.csv"
    source.write_text("partner_value,shared_value,note\nA,x,\nB,,seen\n", encoding="utf-8")
    table = Table.read(source, "reason")
    assert [(table.shared(value), table.knows(value)) for value in "ABC"] == [("x", True), (None, True), (None, False)]


def test_a_table_with_a_value_twice_is_not_read(tmp_path):
    """Which of the two would win is not left to chance."""
    source = tmp_path / "t.csv"
    source.write_text("partner_value,shared_value,note\nA,x,\nA,y,\n", encoding="utf-8")
    with pytest.raises(TableRefused, match="already there") as refused:
        Table.read(source, "reason")
    assert 3 == refused.value.line


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "windows-1252"])
@pytest.mark.parametrize("separator", [",", ";"])
def test_a_table_saved_by_a_spreadsheet_in_french_is_read(tmp_path, encoding, separator):
    """Windows-1252 or UTF-8 with its mark, semicolons, and the empty lines that a spreadsheet leaves at the end."""
    source = tmp_path / "t.csv"
    lines = ["partner_value,shared_value,note", "Hébergé,housing,", ",,"]
    source.write_bytes("\r\n".join(lines).replace(",", separator).encode(encoding))
    assert {"Hébergé": "housing"} == Table.read(source, "reason").rows


@pytest.mark.parametrize(
    ("raw", "said"),
    [(b"valeur;code\nA;x\n", "première ligne"), (b"\xff\x81\n", "enregistrez"), (b"", "première ligne")],
)
def test_a_table_that_is_none_says_what_to_do(tmp_path, raw, said):
    """A first line without the three names, an encoding that is neither, an empty file."""
    source = tmp_path / "t.csv"
    source.write_bytes(raw)
    with pytest.raises(TableRefused) as refused:
        Table.read(source, "reason")
    assert said in refused.value.message_fr
