"""
What is doubtful in a document is told and refuses nothing: keys, sexes and dates that disagree, places that do.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import schemas
from schemas import Kind, validate
from schemas.checking import check
from schemas.remarks import flagged, remarks

FOLDER = Path(schemas.__file__).parent
MINIMAL = json.loads((FOLDER / "status" / "v1" / "valid" / "minimal.json").read_bytes())
NIR = "284073999000162"
KNOWN = {"pseudonym": "7kZ2mQ9xT4vB1nR8sW5yD3"}
TRAITS = {"birth_name": "MARTINEAU-LÖWE", "given_names": ["Anaïs"], "birth_date": "1984-07-19"}


def said(**subject: Any) -> set[tuple[str, str]]:
    """The remarks on a status about this person, which is valid all the same."""
    document = MINIMAL | {"subject": subject}
    assert validate(Kind.STATUS, document) == []
    return {(remark.code, remark.pointer) for remark in remarks(Kind.STATUS, document)}


@pytest.mark.parametrize(
    ("subject", "code", "pointer"),
    [
        ({"nir": "284073999000163"}, "nir_key_wrong", "/nir"),
        (KNOWN | {"nia": "784073999000107"}, "nir_key_wrong", "/nia"),
        ({"nir": "269054958815780"}, "nir_specimen", "/nir"),
        ({"nir": "784073999000106"}, "nir_temporary", "/nir"),
        ({"nir": NIR, "sex": "male"}, "nir_sex", "/nir"),
        ({"nir": NIR, "title": "monsieur"}, "nir_sex", "/nir"),
        (KNOWN | {"nia": "784073999000106", "sex": "female"}, "nir_sex", "/nia"),
        ({"nir": NIR} | TRAITS | {"birth_date": "1985-07-19"}, "nir_birth_date", "/nir"),
        ({"nir": NIR} | TRAITS | {"birth_date": "1984-08-00"}, "nir_birth_date", "/nir"),
        ({"nir": NIR, "nir_flag": "specimen"}, "nir_flag", "/nir_flag"),
        ({"nir": "284073999000163", "nir_flag": "key_ok"}, "nir_flag", "/nir_flag"),
        ({"nir": NIR, "birth_place": {"cog_commune": "39990", "cog_country": "99352"}}, "birth_country_wins", "/birth_place/cog_country"),
        ({"nir": NIR, "birth_place": {"cog_commune": "99352"}}, "commune_is_country", "/birth_place/cog_commune"),
        ({"nir": NIR, "address": {"cog_commune": "99100"}}, "commune_is_country", "/address/cog_commune"),
    ],
)  # fmt: skip
def test_tells_what_disagrees(subject: dict[str, Any], code: str, pointer: str) -> None:
    """Each disagreement is told at its place, in French and in English, and the document stays valid."""
    assert (code, f"/subject{pointer}") in said(**subject)


@pytest.mark.parametrize(
    "subject",
    [
        KNOWN,
        {"nir": NIR, "sex": "female", "title": "madame"} | TRAITS,
        {"nir": NIR, "sex": "unknown"} | TRAITS | {"birth_date": "1984-00-00"},
        {"nir": NIR, "nir_flag": "key_added"},
        {"nir": NIR, "nir_flag": "key_wrong"},
        {"nir": "284073999000163", "nir_flag": "key_wrong", "birth_place": {"name": "Valombre"}},
        KNOWN | {"nia": "784073999000106", "nir_flag": "temporary", "sex": "male"},
        {"nir": "185012A00100110", "birth_place": {"cog_commune": "2A001", "cog_country": "99100"}},
        {"nir": "155029935001012"} | TRAITS | {"birth_date": "1955-02-00"},
        {"nir": NIR, "birth_place": {"cog_commune": "92352", "cog_country": "92352"}},
    ],
)
def test_says_nothing_of_what_agrees(subject: dict[str, Any]) -> None:
    """Numbers and traits that agree, that are presumed or not stated, or that the sender flagged, raise no doubt but the key."""
    assert {("nir_key_wrong", "/subject/nir")} >= said(**subject)
    assert (subject.get("nir") == "284073999000163") == bool(said(**subject))


def test_an_unknown_month_agrees_with_any() -> None:
    """Months 20 to 42 and 50 to 99 of a NIR mean that the month is not known: no date contradicts them."""
    for month in (*range(20, 43), *range(50, 100), 0):
        number = f"284{month:02}3999000100"
        assert ("nir_birth_date", "/subject/nir") not in said(nir=number, **TRAITS)


def test_a_remark_has_its_line_and_column() -> None:
    """Read from a text, a remark says where, and the check of a stream gives it beside what is wrong."""
    raw = json.dumps(MINIMAL | {"subject": {"nir": "284073999000163"}}, indent=1).encode()
    (remark,) = check(raw).remarks
    lines = raw.decode().splitlines()

    assert remark.line is not None
    assert lines[remark.line - 1].strip().startswith('"nir"')
    assert check(raw).issues == []


@pytest.mark.parametrize(
    "document", [None, [], {}, {"subject": None}, {"subject": {"nir": 1, "birth_place": "x", "address": []}}]
)
def test_survives_what_is_not_a_document(document: object) -> None:
    """Whatever is given, nothing is raised: what is wrong is said elsewhere."""
    assert remarks(Kind.REFERRAL, document) == []


@pytest.mark.parametrize(
    ("subject", "flag"),
    [
        ({"nir": NIR}, "key_ok"),
        ({"nir": "284073999000163"}, "key_wrong"),
        ({"nir": "284073999000163", "nir_flag": "key_ok"}, "key_wrong"),
        ({"nir": "269054958815780"}, "specimen"),
        ({"nia": "784073999000106"}, "temporary"),
        ({"nir": NIR, "nir_flag": "key_wrong"}, "key_wrong"),
        ({"nir": NIR, "nir_flag": "key_added"}, "key_added"),
        (KNOWN, None),
    ],
)
def test_a_number_gets_the_flag_it_deserves(subject: dict[str, Any], flag: str | None) -> None:
    """What the number shows wins, except that its sender alone knows the key that was received and mended."""
    given = dict(subject)

    assert flagged(subject).get("nir_flag") == flag
    assert subject == given
