"""
The invented flows are format-true, always the same, and speak of the people that they say.
"""

import re

from adapters.cnaf_rsa.adapter import CnafRsa
from adapters.cnaf_rsa.fictitious import fictitious_flow, fictitious_people, fictitious_pieces
from adapters.testing import EXAM_CONTEXT
from schemas import Kind, validate
from schemas.identity import read_nir

ADAPTER = CnafRsa()


def test_the_same_seed_gives_the_same_bytes():
    """Two calls agree, another seed differs, and the pieces are the whole."""
    assert fictitious_flow(20, 5) == fictitious_flow(20, 5) == b"".join(fictitious_pieces(20, 5))
    assert fictitious_flow(20, 5) != fictitious_flow(20, 6)


def test_every_document_of_a_flow_is_valid_and_nothing_is_unknown():
    """Three hundred households give valid bilans and referrals, and a report without unknown elements."""
    translation = ADAPTER.to_shared(fictitious_flow(300, 5), EXAM_CONTEXT)
    faults = [
        issue for found in translation.documents for issue in validate(Kind(found.document["kind"]), found.document)
    ]
    assert (faults, translation.coverage.unknown) == ([], ())


def test_the_people_are_those_of_the_flow():
    """Each adult with duties is the subject of one referral, with the same names, birth date, sex and NIR."""
    translation = ADAPTER.to_shared(fictitious_flow(60, 5), EXAM_CONTEXT)
    expected = [
        (person.birth_name, list(person.given_names), person.birth_date, person.sex, person.nir)
        for person in fictitious_people(60, 5)
        if person.rights_and_duties
    ]
    subjects = [found.document["subject"] for found in translation.documents if found.document["kind"] == "referral"]
    names = ("birth_name", "given_names", "birth_date", "sex", "nir")
    assert expected == [tuple(subject[name] for name in names) for subject in subjects]


def test_the_flow_shows_what_real_ones_show():
    """Every state, reasons 06, 35 and a sanction, couples, lone parents, no claimant, presumed births, accents."""
    text = fictitious_flow(400, 5).decode("cp1252")
    for sought in ("06", "35", "CG"):
        assert f"<MOTISUSVERSRSA>{sought}<" in text
    assert set("0123456") == set(re.findall("<ETATDOSRSA>(.)<", text))
    assert {"N", "J", "O"} == set(re.findall("<TYPEDTNAI>(.)<", text))
    assert [word for word in ("É", "Œ", "'", "CG  <", "00000000</MATRICULE>") if word not in text] == []
    households = text.split("<InfosFoyerRSA>")[1:]
    assert any("<ROLEPERS>DEM" not in household for household in households)


def test_every_nir_is_unique_and_has_the_form_of_one():
    """Nobody shares a number, and each would be born in a country that does not exist."""
    numbers = [person.nir for person in fictitious_people(2000, 5) if person.nir]
    assert len(numbers) == len(set(numbers))
    assert {number[5:7] for number in numbers} == {"99"}
    assert all((read := read_nir(number)) and read.key_ok for number in numbers)


def test_the_declared_total_can_be_wrong_on_purpose():
    """So that a truncated delivery can be shown."""
    assert b"<NBTOTDOSRSATRANSM>00000011<" in fictitious_flow(10, 5, declared_total=11)
