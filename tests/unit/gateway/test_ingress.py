"""What is stopped at the door: private notes, bank details, social security numbers out of their place."""

from __future__ import annotations

import json
import time
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ingress import cleaned
from schemas import Kind, fields
from schemas.identity import nir_key

NIR = "284073999000162"
IBAN = "FR7630006000011234567890189"
CARRIED = (Kind.REFERRAL, Kind.BILAN, Kind.STATUS, Kind.CONSENT)

NIRS = {
    "alone": NIR,
    "in a sentence": f"Son numéro est {NIR}, à vérifier.",
    "as on the card": "2 84 07 39 990 001 62",
    "with dots": "2.84.07.39.990.001.62",
    "cut anywhere": "28407399 9000162",
    "against a word": f"NIR{NIR}",
    "in full width": "".join(chr(ord(figure) + 0xFEE0) for figure in NIR),
    "without key": NIR[:13],
    "without key, as on the card": "2 84 07 39 990 001",
    "without key, against a word": f"ns{NIR[:13]}",
    "from Corsica": "2840720990001" + nir_key("2840720990001"),
    "from Corsica with its letter": "284072A990001" + nir_key("284072A990001"),
    "behind a plus": f"+{NIR}",
    "after another number": f"12 {NIR}",
}

IBANS = {
    "alone": IBAN,
    "in groups": "FR76 3000 6000 0112 3456 7890 189",
    "in a sentence": "virement sur le fr76 3000 6000 0112 3456 7890 189 svp",
    "with hyphens": "IBAN:FR76-3000-6000-0112-3456-7890-189",
    "from elsewhere": "DE89370400440532013000",
    "the shortest": "NO93 8601 1117 947",
}

HARMLESS = {
    "a SIRET": "99900001100018",
    "a wrong key": "284073999000163",
    "two phones": "06 12 34 56 78 / 07 12 34 56 78",
    "a phone of thirteen digits": "+2250712345678",
    "a date and hours": "le 23/11/2026 de 09:00 à 12:30, puis le 24/11/2026",
    "a reference": "VAL-2026-000123",
    "a digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "a UUID": "28407399-9000-1621-8407-399900016228",
    "a pseudonym that looks like an IBAN": "p-ae599dc0471b31da0d2846b609c5fdbb",
    "a pseudonym that looks like a NIR": "p-dd23594df2fed1310914072912ef5a04",
    "a date with offset": "2026-11-23T09:00:00.123456+01:00",
    "an IBAN with a wrong key": "FR7730006000011234567890189",
    "a country that has none": "XX7630006000011234567890189",
    "amounts": "1 284 € puis 739 €, soit 2 023 € en 2026",
}


def found(text: str) -> list[tuple[str, str]]:
    """What is found in the notes of a referral: code and pointer."""
    _, issues = cleaned(Kind.REFERRAL, {"kind": "referral", "notes": text})
    return [(issue.code, issue.pointer) for issue in issues]


@pytest.mark.parametrize("case", NIRS)
def test_a_social_security_number_is_found_however_it_is_written(case: str) -> None:
    """It is told by its place, never repeated."""
    assert [("nir_out_of_place", "/notes")] == found(NIRS[case])
    _, [issue] = cleaned(Kind.REFERRAL, {"notes": NIRS[case]})
    assert "28407" not in str(issue)


@pytest.mark.parametrize("case", IBANS)
def test_bank_details_are_found_however_they_are_written(case: str) -> None:
    """Any country's IBAN whose key is right."""
    assert [("bank_details", "/notes")] == found(IBANS[case])


@pytest.mark.parametrize("case", HARMLESS)
def test_other_figures_pass(case: str) -> None:
    """A document is not refused for numbers that are nobody's."""
    assert [] == found(HARMLESS[case])


def test_a_number_passes_where_it_belongs_and_nowhere_else() -> None:
    """In subject.nir it is expected; in a reference, an identifier, a label or a free property it is not."""
    document = {
        "reference": NIR,
        "subject": {"nir": NIR, "identifiers": [{"scheme": "caf_matricule", "value": NIR}]},
        "reasons": [{"scheme": "s", "code": "c", "label": f"né {NIR}"}],
        "local": {"fields": {"numero": NIR, NIR: "x"}},
    }
    _, issues = cleaned(Kind.REFERRAL, document)
    assert {
        "/reference",
        "/subject/identifiers/0/value",
        "/reasons/0/label",
        "/local/fields/*",
    } == {issue.pointer for issue in issues}
    assert 5 == len(issues)
    assert NIR not in str(issues)


@pytest.mark.parametrize("kind", CARRIED)
def test_every_secret_property_is_left_out(kind: Kind) -> None:
    """What a schema calls secret is gone, everything else is untouched, and the document given is not changed."""
    name = f"schemas/{kind.value}/v1/valid/full.json".split("/", 1)[1]
    given_text = (files("schemas") / name).read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(given_text)
    secret = [pattern for pattern, label in fields(kind).items() if label.category == "secret"]
    assert ["/private_notes"] == secret and "private_notes" in document
    kept, issues = cleaned(kind, document)
    assert [] == issues
    assert {key: value for key, value in document.items() if key != "private_notes"} == kept
    assert json.loads(given_text) == document


@given(st.from_regex(r"[12][0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[1-8][0-9])[0-9]{6}", fullmatch=True), st.text(max_size=20))
def test_any_number_with_a_right_key_is_found_in_any_text(first13: str, around: str) -> None:
    """Between spaces, whatever stands around."""
    text = f"{around.rstrip('0123456789+')} ; {first13}{nir_key(first13)} ; {around}"
    assert ("nir_out_of_place", "/notes") in found(text)


@pytest.mark.parametrize("hostile", ["1 ", "FR76 ", "284073999000163 ", "a1b2c3d4 ", "2 84 07 39 990 001 6 "])
def test_a_text_made_to_be_slow_is_not(hostile: str) -> None:
    """The longest text of a schema is looked at in a moment, whatever it holds."""
    begun = time.perf_counter()
    found(hostile * (10_000 // len(hostile)))
    assert time.perf_counter() - begun < 0.5
