"""
The functions of a mapping: what each reads, repairs with a warning, refuses, and writes again.
"""

from collections.abc import Sequence
from typing import Any

import pytest

from adapters.mapping.notes import Number, Reason, Unreadable
from adapters.mapping.steps import FUNCTIONS, make_step


class Heard:
    """Where a step tells its repairs: their codes are kept."""

    def __init__(self) -> None:
        self.codes: list[str] = []

    def warn(self, reason: Reason) -> None:
        self.codes.append(reason.code)

    def document_id(self, kind: str, key: Sequence[str]) -> str:
        return f"{kind}:{'/'.join(key)}"


def read(function: Any, text: str) -> tuple[Any, list[str]]:
    """What a function gives for a text, and the codes of what it tells."""
    name, parameter = function if isinstance(function, tuple) else (function, None)
    heard = Heard()
    return make_step(name, parameter).read(text, heard), heard.codes


@pytest.mark.parametrize(
    ("function", "text", "value"),
    [
        ("date_fr", "25/05/1998", "1998-05-25"),
        ("date_fr", "22-04-1997", "1997-04-22"),
        ("date_fr", "1982-02-01 00:00:00.0", "1982-02-01"),
        ("date_naissance", "00/03/1972", "1972-03-00"),
        ("date_naissance", "1972", "1972-00-00"),
        (("date", "AAAAMMJJ"), "19980525", "1998-05-25"),
        (("date", "JJ.MM.AAAA"), "25.05.1998", "1998-05-25"),
        ("date_heure", "25/05/2026 14:30", "2026-05-25T14:30:00+02:00"),
        ("date_heure", "2026-11-25 14:30:08.123", "2026-11-25T14:30:08+01:00"),
        ("date_heure", "2024-08-15 19:30:08 +0200", "2024-08-15T19:30:08+02:00"),
        ("date_heure", "2024-08-15T19:30:08Z", "2024-08-15T19:30:08+00:00"),
        (("date_heure", "Indian/Reunion"), "25/05/2026 à 14h30", "2026-05-25T14:30:00+04:00"),
        ("minuit", "25/05/2026", "2026-05-25T00:00:00+02:00"),
        ("siret", "999 000 011 00018", "99900001100018"),
        ("nir", "1 85 01 2A 001 001 10", "185012A00100110"),
        ("nir", "185012A001001", "185012A00100110"),
        ("nir_marque", "185012A00100111", "key_wrong"),
        ("telephone", "01 99 00 01 23", "+33199000123"),
        ("telephone", "0033199000123", "+33199000123"),
        ("courriel", "mailto:zoe@exemple.test", "zoe@exemple.test"),
        ("code_postal", "01000", "01000"),
        ("commune", "2a004", "2A004"),
        (("zeros", 7), "0055990", "0055990"),
        (("sans_zeros", 7), "55990", "0055990"),
        ("oui_non", "O", True),
        ("oui_non", "Non", False),
        ("oui_non", "0", False),
        (("oui_non", ["Actif", "Clos"]), "clos", False),
        ("nombre_fr", "1 234,56", 1234.56),
        ("nombre_fr", "1\u202f234 €", 1234),
        ("entier", "-12", -12),
        ("majuscules", "émile", "ÉMILE"),
        ("minuscules", "ÉMILE", "émile"),
        (("prefixe", "IODAS-"), "IODAS-12", "12"),
        (("prefixe", "IODAS-"), "12", "12"),
        (("ajouter", "dora--"), "12", "dora--12"),
        ("uuid", "3F1C2B7A-8D4E-4A6B-9C1D-5E2F7A8B9C0D", "3f1c2b7a-8d4e-4a6b-9c1d-5e2f7a8b9c0d"),
        (("identifiant_de", "referral"), "A-12", "referral:A-12"),
        (("couper", 5), "court", "court"),
    ],
)
def test_a_function_reads_what_partners_write(function: Any, text: str, value: Any) -> None:
    """Each form met in partners' files gives the shared value, and nothing is told."""
    assert (value, []) == read(function, text)


@pytest.mark.parametrize(
    ("function", "text", "value", "code"),
    [
        ("siret", "99900001100018.0", "99900001100018", "decimal_removed"),
        ("siret", "9990000300007", "09990000300007", "zero_restored"),
        ("nir", "155029935001012.0", "155029935001012", "decimal_removed"),
        ("nir", "155029935001013", "155029935001012", "nir_key_wrong"),
        ("telephone", "199000123", "+33199000123", "zero_restored"),
        ("code_postal", "1000", "01000", "zero_restored"),
        ("code_postal", "1000.0", "01000", "decimal_removed zero_restored"),
        ("commune", "1004", "01004", "zero_restored"),
        (("zeros", 7), "55990", "0055990", "zero_restored"),
        (("couper", 5), "trop long", "trop", "text_cut"),
        ("date_fr", Number("35940"), "1998-05-25", "date_serial"),
        ("date_naissance", Number("35940.0"), "1998-05-25", "date_serial"),
        ("date_heure", "26/10/2025 02:30", "2025-10-26T02:30:00+02:00", "hour_ambiguous"),
    ],
)
def test_a_certain_damage_is_repaired_and_told(function: Any, text: str, value: str, code: str) -> None:
    """What a spreadsheet did and only one value explains is undone, with a warning."""
    assert (value, code.split()) == read(function, text)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("date_fr", "19970-04-22"),
        ("date_fr", "30/02/1998"),
        ("date_fr", "00/03/1972"),
        ("date_fr", "35940"),  # a text, not a number of the file: it may be anything
        ("date_fr", Number("2003")),  # a year, or a count of days?
        ("date_naissance", Number("2003")),
        (("date", "AAAAMMJJ"), "980525"),
        ("date_heure", "24/12/2026"),
        ("date_heure", "29/03/2026 02:30"),  # that hour does not exist in Paris
        ("minuit", "bientôt"),
        ("siret", "99900001100019"),
        ("siret", "9,99E+13"),
        ("nir", "12345678901234"),
        ("nir", "1,55E+14"),
        ("telephone", "12"),
        ("telephone", "6,12E+08"),
        ("courriel", "zoe chez exemple.test"),
        ("courriel", "zoe@exemple"),
        ("code_postal", "100"),
        ("code_postal", "VALOMBRE"),
        ("commune", "99100"[:3]),
        (("zeros", 7), "12345678"),
        (("zeros", 7), "12A"),
        ("oui_non", "peut-être"),
        ("nombre_fr", "1,2,3"),
        ("nombre_fr", "9" * 30),
        ("entier", "1,5"),
        ("uuid", "12"),
    ],
)
def test_what_would_be_a_guess_is_refused(function: Any, text: str) -> None:
    """Nothing is invented: the value is left out, with a sentence in French and English that does not hold it."""
    with pytest.raises(Unreadable) as refused:
        read(function, text)
    reason = refused.value.reason
    assert reason.message_fr and reason.message_en and text not in f"{reason.message_fr} {reason.message_en}"


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        ("date_fr", "1998-05-25", "25/05/1998"),
        ("date_naissance", "1972-03-00", "00/03/1972"),
        ("date_iso", "1972-03-00", "1972-03-00"),
        (("date", "AAAAMMJJ"), "1998-05-25", "19980525"),
        ("date_heure", "2026-05-25T12:30:00+00:00", "25/05/2026 14:30:00"),
        ("minuit", "2026-05-25T00:00:00+02:00", "25/05/2026"),
        (("nir", 13), "155029935001012", "1550299350010"),
        ("telephone", "+33199000123", "0199000123"),
        ("telephone", "+262692000123", "0692000123"),
        ("telephone", "+4412345678", "004412345678"),
        (("sans_zeros", 7), "0055990", "55990"),
        ("oui_non", True, "Oui"),
        (("oui_non", ["O", "N"]), False, "N"),
        ("nombre_fr", 1234.5, "1234,5"),
        (("prefixe", "IODAS-"), "12", "IODAS-12"),
        (("ajouter", "dora--"), "dora--12", "12"),
    ],
)
def test_a_function_writes_the_partner_s_form_again(function: Any, value: Any, text: str) -> None:
    """Backwards, each function gives what the partner's software expects."""
    name, parameter = function if isinstance(function, tuple) else (function, None)
    assert text == make_step(name, parameter).write(value)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_says_what_it_does(name: str) -> None:
    """Each is described in French and in English, for the documentation and for editors."""
    assert FUNCTIONS[name].help_fr and FUNCTIONS[name].help_en


@pytest.mark.parametrize(("name", "parameter"), [("date", "AAAA"), ("date_heure", "Paris"), ("minuit", "../etc")])
def test_a_parameter_that_means_nothing_is_refused(name: str, parameter: str) -> None:
    """A form without a month, a time zone that does not exist: refused when the file is read, not at the first row."""
    with pytest.raises(ValueError, match=":"):
        make_step(name, parameter)
