"""
The RSA flow as a file: cut, miscounted, hostile, wrongly declared, of another family; refused whole, quickly, in words.
"""

import io
import resource
import subprocess
import sys
import time

import pytest

from adapters.base import FileRefused
from adapters.cnaf_rsa.adapter import CnafRsa
from adapters.cnaf_rsa.fictitious import fictitious_flow, fictitious_people
from adapters.hardened_xml import Limits
from adapters.testing import EXAM_CONTEXT

ADAPTER = CnafRsa()
FLOW = fictitious_flow(8, seed=3)


def refusal(raw: bytes) -> FileRefused:
    with pytest.raises(FileRefused) as caught:
        ADAPTER.to_shared(raw, EXAM_CONTEXT)
    return caught.value


@pytest.mark.parametrize("end", range(1024, len(FLOW) - 8, 1024))
@pytest.mark.parametrize("tail", [b"", b"...."])
def test_a_cut_flow_is_refused_whole(end, tail):
    """Cut anywhere, with or without dots at the end: quarantined, with a line, and not one document."""
    found = refusal(FLOW[:end] + tail)
    assert (found.code, found.quarantine, found.line) == ("truncated", True, FLOW[:end].count(b"\n") + 1)


@pytest.mark.parametrize("end", [1, 20, 60, 200, len(FLOW) - 12, len(FLOW) - 3])
def test_a_flow_cut_near_its_ends_is_refused(end):
    """A cut in the declaration, in the root or in the last tag is a cut too."""
    assert refusal(FLOW[:end]).quarantine


def test_a_flow_cut_between_two_households_and_closed_again_is_refused():
    """Well-formed, but its total says that households are missing."""
    end = FLOW.index(b"</InfosFoyerRSA>") + len(b"</InfosFoyerRSA>")
    assert refusal(FLOW[:end] + FLOW[FLOW.index(b"<TransmissionFlux>") :]).code == "total_mismatch"


@pytest.mark.parametrize("declared", [0, 7, 9, 80])
def test_a_wrong_total_is_refused_whole(declared):
    """The trailer must equal the number of households; the sentence says both numbers."""
    found = refusal(fictitious_flow(8, seed=3, declared_total=declared))
    assert (found.code, found.quarantine) == ("total_mismatch", True)
    assert f"{declared} foyers" in found.message_fr and " 8." in found.message_fr


@pytest.mark.parametrize("total", [b"", b"eight", b"-8", b"9" * 5000, "８".encode()])
def test_a_total_that_is_no_number_is_refused(total):
    """Missing, in letters, negative, endless: nothing proves that the file is whole."""
    raw = FLOW.replace(b"windows-1252", b"UTF-8") if not total.isascii() else FLOW
    raw = raw.decode("cp1252").encode("utf-8") if not total.isascii() else raw
    assert refusal(raw.replace(b"00000008", total)).code == "total_missing"


def test_an_empty_flow_is_a_flow():
    """No household and a total of zero: nothing to translate, nothing wrong."""
    assert ADAPTER.to_shared(fictitious_flow(0, seed=1), EXAM_CONTEXT).documents == ()


@pytest.mark.parametrize(
    ("nature", "code"),
    [
        ("F", "flow_f_refused"),
        ("C", "flow_c_refused"),
        ("G", "flow_g_refused"),
        ("Z", "flow_unknown"),
    ],
)
def test_another_family_is_recognised_and_never_kept(nature, code):
    """By its NATFLUX, even when the file is cut just after: accounting, bank and health data are not stored."""
    raw = FLOW.replace(b"<NATFLUX>D", b"<NATFLUX>" + nature.encode())
    for data in (raw, raw[: raw.index(b"</IdentificationFlux>") + 400]):
        assert (refusal(data).code, refusal(data).quarantine) == (code, False)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"<DTREF>2026-10-31</DTREF>", b"", "header_incomplete"),
        (b"<DTCREAFLUX>2026-11-05", b"<DTCREAFLUX>2026-02-30", "header_incomplete"),
        (b"IdentificationFlux>", b"Autre>", "header_missing"),
        (b"Racine", b"Racines", "not_a_cnaf_flow"),
    ],
)
def test_a_flow_that_does_not_say_what_it_is_is_refused(old, new, code):
    """A header without dates, no header, another root."""
    assert refusal(FLOW.replace(old, new)).code == code


BOMBS = {
    "external entity": b'<!DOCTYPE Racine [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    "billion laughs": b'<!DOCTYPE Racine [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
    "external subset": b'<!DOCTYPE Racine SYSTEM "http://127.0.0.1:9/x.dtd">',
    "parameter entity": b'<!DOCTYPE Racine [<!ENTITY % p SYSTEM "http://127.0.0.1:9/p">%p;]>',
    "bare doctype": b"<!DOCTYPE Racine>",
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_any_doctype_is_refused(bomb):
    """Before the parser sees it, with its line."""
    found = refusal(FLOW.replace(b"<Racine ", bomb + b"\n<Racine ", 1))
    assert (found.code, found.quarantine, found.line) == ("doctype_refused", False, 2)


def test_a_doctype_across_two_pieces_is_refused():
    """The check does not depend on where the file is cut to be read."""
    for shift in range(32_760, 32_772):
        padding = b"<!--" + b"x" * 4000 + b"-->"
        start = b'<?xml version="1.0" encoding="UTF-8"?>\n' + padding * 8
        raw = start + b" " * (shift - len(start)) + b"<!DOCTYPE Racine><Racine/>"
        assert refusal(raw).code == "doctype_refused"


SHAPES = {
    "depth 100,000 under the root": (b"<InfosFoyerRSA>", b"<InfosFoyerRSA>" + b"<a>" * 100_000),
    "depth 100,000 in the header": (b"<APPLIEME>", b"<a>" * 100_000 + b"<APPLIEME>"),
    "200,000 attributes": (
        b"<InfosFoyerRSA>",
        b"<InfosFoyerRSA " + b" ".join(b'a%d="1"' % n for n in range(200_000)) + b">",
    ),
    "attributes behind a >": (
        b"<InfosFoyerRSA>",
        b"<InfosFoyerRSA z='>' " + b" ".join(b'a%d="1"' % n for n in range(200_000)) + b">",
    ),
    "a text of 20 MB": (b"<APPLIEME>CRI", b"<APPLIEME>" + b"C" * 20_000_000),
    "a million elements before the first household": (b"<InfosFoyerRSA>", b"<x/>" * 1_000_000 + b"<InfosFoyerRSA>"),
    "a million elements in one household": (b"<IdentificationRSA>", b"<x/>" * 1_000_000 + b"<IdentificationRSA>"),
}


@pytest.mark.parametrize(("old", "new"), SHAPES.values(), ids=SHAPES)
def test_a_monstrous_shape_is_refused_quickly(old, new):
    """Depth, attributes, texts and elements are bounded: under two seconds and without the memory they ask for."""
    raw = FLOW.replace(old, new, 1)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    refusal(raw)
    spent = time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert spent < (2.0, 60_000)
    assert spent[1] < 60_000


@pytest.mark.parametrize(
    ("declared", "written", "code"),
    [
        ("windows-1252", "utf-8", "encoding_mismatch"),
        ("ISO-8859-1", "utf-8", "encoding_mismatch"),
        ("ISO-8859-1", "cp1252", "encoding_mismatch"),
        ("UTF-8", "cp1252", "encoding_mismatch"),
        ("US-ASCII", "cp1252", "encoding_mismatch"),
        ("UTF-16", "cp1252", "encoding_not_accepted"),
        ("x-maison", "cp1252", "encoding_not_accepted"),
        ("utf-16", "utf-16", "encoding_not_accepted"),
        ("EBCDIC-CP-FR", "cp500", "not_xml"),
    ],
)
def test_a_wrong_declaration_is_refused_rather_than_guessed(declared, written, code):
    """`Ã©` for `é` would be a wrong name: bytes that contradict the declaration refuse the file."""
    text = fictitious_flow(40, seed=3).decode("cp1252").replace("windows-1252", declared)
    assert refusal(text.encode(written, errors="replace")).code == code


def test_a_byte_that_windows_1252_does_not_define_is_refused():
    """0x81 is nothing in windows-1252."""
    assert refusal(FLOW.replace(b"VALOMBRE", b"VAL\x81MBRE")).code == "malformed_xml"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"</NOM>", b"</NOMS>"),
        (b"<NOM>", b"<NOM>&nbsp;"),
        (b"<NOM>", b"<NOM>&#1;"),
        (b"<NOM>", b"<NOM>\x00"),
        (b"</Racine>", b"</Racine><Racine/>"),
    ],
)
def test_badly_formed_xml_is_quarantined_with_its_place(old, new):
    """A tag, an undeclared entity, a forbidden character, a second root."""
    raw = FLOW.replace(old, new, 1)
    found = refusal(raw)
    assert (found.code, found.quarantine, found.line) == ("malformed_xml", True, raw[: raw.index(new)].count(b"\n") + 1)


def test_a_malformed_household_in_the_middle_is_not_called_cut():
    """An error far from the end of a long file is an error, wherever the reading stops."""
    raw = fictitious_flow(60, seed=3).replace(b"</SITFAM>", b"</SITFAMS>", 1)
    assert refusal(raw).code == "malformed_xml"


def test_unknown_elements_and_attributes_are_named_and_counted(ordinary):
    """Under the root, in a household, inside a leaf, as an attribute: each is in the report, none is carried."""
    text = ordinary(
        ("\t<TransmissionFlux>", "<Inconnu><Dedans/></Inconnu>\t<TransmissionFlux>"),
        ("<SITFAM>DIV", "<NOUVEAU/><SITFAM>DIV"),
        ("<NUMCOM>39990", '<NUMCOM source="insee"><i/>39990'),
    )
    unknown = ADAPTER.to_shared(text.encode("cp1252"), EXAM_CONTEXT).coverage.unknown
    address = "/Racine/InfosFoyerRSA/DonneesAdministratives/Adresse/AdresseDetailleeFrance"
    assert {line.path: line.count for line in unknown} == {
        f"{address}/NUMCOM/@source": 2,
        f"{address}/NUMCOM/i": 2,
        "/Racine/InfosFoyerRSA/DonneesAdministratives/SituationFamille/NOUVEAU": 1,
        "/Racine/Inconnu": 1,
        "/Racine/Inconnu/Dedans": 1,
    }


def test_an_element_given_twice_is_told(ordinary):
    """The first counts; that there was a second is said."""
    text = ordinary(("<SITFAM>DIV</SITFAM>", "<SITFAM>DIV</SITFAM><SITFAM>MAR</SITFAM>"))
    translation = ADAPTER.to_shared(text.encode("cp1252"), EXAM_CONTEXT)
    assert [issue.code for issue in translation.issues] == ["element_repeated"]
    assert translation.documents[0].document["household"]["family_situation"] == "divorced"


def test_every_element_of_a_file_is_counted():
    """The report's counts add up to the number of elements of the file."""
    from lxml import etree

    totals = ADAPTER.to_shared(FLOW, EXAM_CONTEXT).coverage.totals()
    assert sum(1 for _ in etree.fromstring(FLOW).iter()) == sum(totals.values())


def test_no_refusal_names_anybody():
    """Whatever byte is damaged, what is said holds no name and no number of a person of the file."""
    people = fictitious_people(8, seed=3)
    words = {name for person in people for name in (person.birth_name, person.nir, person.nir[:13]) if len(name) > 3}
    told = ""
    for position in range(0, len(FLOW), 301):
        try:
            translation = ADAPTER.to_shared(FLOW[:position] + b"<" + FLOW[position + 1 :], EXAM_CONTEXT)
        except FileRefused as error:
            told += str(error)
        else:
            told += repr(translation.issues)
    assert [word for word in words if word in told] == []


def test_memory_stays_flat():
    """Reading four times as many households takes no more memory when the documents are not kept."""
    program = (
        "import io, resource, sys\n"
        "from adapters.cnaf_rsa.adapter import CnafRsa\n"
        "from adapters.cnaf_rsa.fictitious import fictitious_pieces\n"
        "from adapters.testing import EXAM_CONTEXT\n"
        "class Pieces(io.RawIOBase):\n"
        "    def __init__(self, pieces): self.pieces, self.left = pieces, b''\n"
        "    def readable(self): return True\n"
        "    def readinto(self, buffer):\n"
        "        self.left = self.left or next(self.pieces, b'')\n"
        "        taken = self.left[:len(buffer)]\n"
        "        buffer[:len(taken)] = taken\n"
        "        self.left = self.left[len(taken):]\n"
        "        return len(taken)\n"
        "source = io.BufferedReader(Pieces(fictitious_pieces(int(sys.argv[1]), 5)))\n"
        "print(sum(1 for _ in CnafRsa().read(source, EXAM_CONTEXT)), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", program, str(count)], capture_output=True, check=True, text=True
        ).stdout.split()
        for count in (1000, 4000)
    ]
    (few, small), (many, large) = ([int(number) for number in output] for output in outputs)
    assert many > 3 * few
    assert large - small < 10_000


def test_a_file_beyond_the_limit_is_refused_without_being_read_whole():
    """The limit on bytes is the adapter's own, whatever the door before it allows."""
    with pytest.raises(FileRefused) as caught:
        CnafRsa(Limits(total_bytes=len(FLOW) - 1)).to_shared(FLOW, EXAM_CONTEXT)
    assert (caught.value.code, caught.value.quarantine) == ("too_large", False)


def test_a_stream_gives_documents_before_it_knows_that_the_file_is_whole():
    """Hence its rule: what it gave may be used only once it has ended without a refusal."""
    given = []
    with pytest.raises(FileRefused) as caught:
        for translated in ADAPTER.read(io.BytesIO(fictitious_flow(30, seed=3, declared_total=31)), EXAM_CONTEXT):
            given.append(translated)
    assert (caught.value.code, len(given) >= 30) == ("total_mismatch", True)
