"""
Identifiers are read as partners write them, flagged when doubtful, and never shown.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import identity
from schemas.identity import BirthDate, NirReading

VALID = ["185012A00100110", "285122B03302552", "155029935001012", "784037510100132", "300017500000171"]


@pytest.mark.parametrize("nir", VALID)
def test_reads_the_known_numbers(nir: str) -> None:
    """
    Published test numbers, Corsica and a birth abroad included, have the right key with and without it.
    """
    with_key, without_key = identity.read_nir(nir), identity.read_nir(nir[:13])

    assert with_key is not None
    assert without_key is not None
    assert (nir, 15, True) == (with_key.nir, with_key.received_length, with_key.key_ok)
    assert (nir, 13, None) == (without_key.nir, without_key.received_length, without_key.key_ok)
    assert nir[13:] == identity.nir_key(nir[:13])


@pytest.mark.parametrize(
    ("nir", "kind"),
    [("185012A001001", "nir"), ("2850175001001", "nir"), ("3000175000001", "nia"), ("4850175001001", "nia"),
     ("7840375101001", "temporary"), ("8840375101001", "temporary")],
)  # fmt: skip
def test_tells_numbers_of_people_being_registered(nir: str, kind: str) -> None:
    """
    The first digit tells a final number from one given while the person is being registered.
    """
    reading = identity.read_nir(nir)

    assert kind == (reading and reading.kind)


def test_reads_numbers_as_people_type_them() -> None:
    """
    Spaces, dots, lower case and full-width digits do not prevent a NIR from being read.
    """
    expected = NirReading("185012A00100110", 15, True, "nir")

    written = [
        "1 85 01 2A 001 001 10",
        "1.85.01.2a.001.001.10",
        " 185012A00100110\n",
        "１85012A00100110",
        "1 85 01 2A 001 001 10",
    ]

    assert [expected] * len(written) == [identity.read_nir(text) for text in written]


def test_flags_a_wrong_key() -> None:
    """
    A number whose key is wrong is kept, with the right key, and says so.
    """
    assert NirReading("185012A00100110", 15, False, "nir") == identity.read_nir("185012A00100111")


def test_flags_the_specimen() -> None:
    """
    The number printed on sample cards is arithmetically right and identifies nobody.
    """
    reading = identity.read_nir("269054958815780")

    assert NirReading("269054958815780", 15, True, "nir", specimen=True) == reading


@pytest.mark.parametrize("month", ["00", "01", "12", "20", "42", "50", "99"])
def test_reads_months_that_are_not_months(month: str) -> None:
    """
    Months 20 to 42 and 50 to 99 mean an unknown or foreign month; 00 is met in test data.
    """
    assert identity.read_nir(f"285{month}75001001") is not None


@pytest.mark.parametrize(
    "text",
    ["", "2", "2851375001001", "2854375001001", "2854975001001", "5850175001001", "0850175001001", "28501750010012", "285012C001001",
     "2850175001001X", "1850175001001١٠", "٢٨٥٠١٧٥٠٠١٠٠١", "185012A0010011 0 1"],
)  # fmt: skip
def test_refuses_what_has_not_the_form_of_a_nir(text: str) -> None:
    """
    A wrong length, month, first digit or letter, and digits that are not ASCII, make it something else.
    """
    assert identity.read_nir(text) is None


def test_never_shows_a_number() -> None:
    """
    Neither a reading nor an error of key shows the number.
    """
    reading = identity.read_nir(VALID[0])

    with pytest.raises(ValueError, match="13 characters") as caught:
        identity.nir_key("18501XX001001")

    assert "185012A" not in repr(reading)
    assert "18501XX" not in str(caught.value)
    assert "1985" not in repr(identity.read_birth_date("1985-01-02"))


@given(st.from_regex(r"[12][0-9]{4}(?:[0-9]{2}|2[AB])[0-9]{6}", fullmatch=True))
def test_the_key_is_the_complement_to_97(first13: str) -> None:
    """
    With its key, any number read is a multiple of 97 once Corsica is read as 19 and 18.
    """
    reading = identity.read_nir(first13)
    if reading is not None:
        number = reading.nir.replace("2A", "19").replace("2B", "18")

        assert (int(number[:13]) + int(number[13:])) % 97 == 0


@pytest.mark.parametrize(
    ("siret", "valid"),
    [
        ("99900001100018", True),
        ("99900002900010", True),
        ("99900003700013", True),
        ("99900004500016", True),
        ("99900009400014", True),
        ("99900001100019", False),
        ("35600000000048", True),  # La Poste, head office: the ordinary rule
        ("35600000049837", True),  # La Poste, an establishment: digits add up to a multiple of 5
        ("35600000049838", False),
        ("00000000000000", False),  # what software writes for want of a number; its digits do add up
        ("9990000110001", False),
        ("999000011000188", False),
        ("999 000 011 00018", False),
        ("٩٩٩٠٠٠٠١١٠٠٠١٨", False),
        ("99900001100018\n", False),
    ],
)
def test_checks_a_siret(siret: str, valid: bool) -> None:
    """
    A SIRET has 14 ASCII digits and its check digits, La Poste having a rule of its own.
    """
    assert valid == identity.siret_is_valid(siret)


def test_reads_a_siret_with_separators() -> None:
    """
    A SIRET typed with spaces is read; one whose check digit is wrong is not.
    """
    assert identity.read_siret(" 999 000 011 00018") == "99900001100018"
    assert identity.read_siret("999 000 011 00019") is None


@pytest.mark.parametrize(
    ("code", "commune", "country"),
    [("75101", True, False), ("2A004", True, False), ("2B033", True, False), ("97411", True, False), ("92352", True, True),
     ("39990", True, False), ("99100", True, True), ("99352", True, True), ("20004", False, False), ("2C001", False, False),
     ("1053", False, False), ("75101\n", False, False), ("٧٥١٠١", False, False)],
)  # fmt: skip
def test_checks_cog_codes(code: str, commune: bool, country: bool) -> None:
    """
    Codes of the official geographic register, Corsica, overseas and French Algeria included.
    """
    assert (commune, country) == (identity.commune_is_valid(code), identity.country_is_valid(code))


@pytest.mark.parametrize(
    ("text", "said", "date", "precision"),
    [
        ("1985-01-02", "day", "1985-01-02", "day"),
        ("02/01/1985", "day", "1985-01-02", "day"),
        ("2.1.1985", "day", "1985-01-02", "day"),
        ("1985-01-02 00:00:00", "day", "1985-01-02", "day"),
        ("1985-01-00", "day", "1985-01-00", "month"),
        ("1985-01", "day", "1985-01-00", "month"),
        ("00/01/1985", "day", "1985-01-00", "month"),
        ("1985-00-00", "day", "1985-00-00", "year"),
        ("1985", "day", "1985-00-00", "year"),
        ("1985-00-12", "day", "1985-00-00", "year"),
        ("1985-01-31", "month", "1985-01-00", "month"),
        ("1985-01-01", "year", "1985-00-00", "year"),
        ("2000-02-29", "day", "2000-02-29", "day"),
    ],
)
def test_reads_a_birth_date(text: str, said: identity.Precision, date: str, precision: identity.Precision) -> None:
    """
    What is not known of a birth date is written 00, whatever the form it came in: no day is invented.
    """
    assert BirthDate(date, precision) == identity.read_birth_date(text, said)


@pytest.mark.parametrize(
    "text",
    ["", "0000-00-00", "1985-13-01", "1985-02-30", "1900-02-29", "85-01-02", "31/31/1985", "1985-01-02T10:00", "١٩٨٥"],
)
def test_refuses_what_is_no_birth_date(text: str) -> None:
    """
    A date of no calendar, or without a year, is not read.
    """
    assert identity.read_birth_date(text) is None


@pytest.mark.parametrize(
    ("text", "valid"),
    [("1985-01-02", True), ("1985-01-00", True), ("1985-00-00", True), ("1985-00-02", False), ("0000-00-00", False),
     ("1985-02-30", False), ("1985", False), ("1985-01-02\n", False), ("1985-1-2", False)],
)  # fmt: skip
def test_checks_the_written_form_of_a_partial_date(text: str, valid: bool) -> None:
    """
    In a document a birth date has ten characters, and a known day has a known month.
    """
    assert valid == identity.partial_date_is_valid(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0639980001", "+33639980001"),
        ("06 12 34 56 78", "+33612345678"),
        ("06.12.34.56.78", "+33612345678"),
        ("+33 (0)6 12 34 56 78", "+33612345678"),
        ("0033612345678", "+33612345678"),
        ("612345678", "+33612345678"),
        ("0692123456", "+262692123456"),
        ("0262901234", "+262262901234"),
        ("0269611234", "+262269611234"),
        ("0590271234", "+590590271234"),
        ("0596511234", "+596596511234"),
        ("0696123456", "+596696123456"),
        ("0594251234", "+594594251234"),
        ("0508411234", "+508411234"),
        ("40471234", "+68940471234"),
        ("+262692123456", "+262692123456"),
        ("0596123456", None),  # not assigned in Martinique, and the mainland has no 0596
        ("3949", None),
        ("061234567", None),
        ("0612345678a", None),
        ("261234", None),  # Saint-Pierre-et-Miquelon or New Caledonia: nobody can tell
        ("", None),
    ],
)
def test_reads_a_telephone_number(text: str, number: str | None) -> None:
    """
    Numbers of the mainland and of overseas territories become E.164; what only one territory can claim is accepted.
    """
    assert number == identity.read_phone(text)


def test_a_territory_settles_a_short_number() -> None:
    """
    A local number is read in the territory that the caller names.
    """
    assert identity.read_phone("261234", "NC") == "+687261234"


def test_a_number_of_ten_digits_is_of_the_mainland_in_any_territory() -> None:
    """
    Ten digits as dialled in France say themselves where they are from, whatever the territory of the file.
    """
    assert identity.read_phone("0976012345", "PF") == "+33976012345"
    assert identity.read_phone("0692123456", "NC") == "+262692123456"


def test_reads_several_numbers_in_a_cell() -> None:
    """
    A cell may hold several numbers, and words.
    """
    assert identity.read_phones("06 39 98 00 01 / 0639980002 ou liste rouge, 0639980001") == (
        "+33639980001",
        "+33639980002",
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [("L'Hôpital-Œuvré", "LHOPITAL OEUVRE"), ("D’ESTRÉES", "d'Estrees"), ("Łukasz", "LUKASZ"), ("Nguyễn", "nguyen"),
     ("Jean-Pierre", "JEAN PIERRE"), ("e\u0301", "é"), ("STRASSE", "Straße"), ("ﬁ", "fi")],
)  # fmt: skip
def test_folds_names(first: str, second: str) -> None:
    """
    Two registers that write the same name differently agree once it is folded.
    """
    assert identity.fold(first) == identity.fold(second)


def test_the_pivot_is_the_same_for_two_partners() -> None:
    """
    Case, accents, hyphens and further given names do not change the pivot.
    """
    ours = {"birth_name": "Béranger-Lô", "given_names": ["Zoé", "Anne"], "birth_date": "1985-01-02", "sex": "female"}
    theirs = {"birth_name": "BERANGER LO", "given_names": ["ZOE"], "birth_date": "02/01/1985", "sex": "female"}

    assert identity.pivot(ours) == "berangerlo|zoe|1985-01-02|female"
    assert identity.pivot(ours) == identity.pivot(theirs)


def test_an_unstated_sex_is_unknown() -> None:
    """
    A partner that does not know the sex gets a pivot of its own.
    """
    subject = {"birth_name": "Lo", "given_names": ["Zoé"], "birth_date": "1985-01-02"}

    assert identity.pivot(subject) == "lo|zoe|1985-01-02|unknown"


@pytest.mark.parametrize(
    "change",
    [{"birth_name": None}, {"birth_name": "--"}, {"given_names": []}, {"given_names": None}, {"given_names": [None]},
     {"birth_date": None}, {"birth_date": "1985-01-00"}, {"birth_date": "1985"}, {"birth_date": "x"}],
)  # fmt: skip
def test_no_pivot_when_traits_are_missing(change: dict[str, object]) -> None:
    """
    Without a whole birth date, a birth name and a given name, two people could be taken for one: there is no pivot.
    """
    subject = {"birth_name": "Lo", "given_names": ["Zoé"], "birth_date": "1985-01-02", "sex": "female", **change}

    assert identity.pivot(subject) is None
