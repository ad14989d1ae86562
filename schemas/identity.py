"""
What identifies a person or an organisation in France, read as partners write it: NIR, SIRET, COG, birth date, pivot.

Nothing here ever puts an identifier in an error or in a representation. A number that looks wrong is kept and
flagged, never dropped in silence: a partner's data is wrong more often than the person does not exist.
Sources: Insee (NIR, COG, SIRET), FranceConnect (pivot identity, presumed birth dates), python-stdnum for the keys.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Final, Literal

from stdnum import luhn
from stdnum.fr import nir as stdnum_nir

from schemas.issue import Document
from schemas.phones import read_phone, read_phones

__all__ = [
    "BirthDate",
    "NirReading",
    "commune_is_valid",
    "country_is_valid",
    "fold",
    "nir_key",
    "pivot",
    "read_birth_date",
    "read_nir",
    "read_phone",
    "read_phones",
    "read_siret",
    "siret_is_valid",
]

NirKind = Literal["nir", "nia", "temporary"]
Precision = Literal["day", "month", "year"]

# Sex, year, month (00 in test data; 20-42 and 50-99 unknown or foreign), département (2A, 2B), commune, order.
_NIR13: Final = r"[1-478][0-9]{2}(?:0[0-9]|1[0-2]|[23][0-9]|4[0-2]|[5-9][0-9])(?:[0-9]{2}|2[AB])[0-9]{6}"
_NIR13_ONLY = re.compile(_NIR13)
_NIR = re.compile(f"({_NIR13})([0-9]{{2}})?")
_NIR_KINDS: Final[dict[str, NirKind]] = {"3": "nia", "4": "nia", "7": "temporary", "8": "temporary"}
_SPECIMENS: Final = frozenset({"2690549588157"})

_SIRET = re.compile(r"[0-9]{14}")
_LA_POSTE: Final = "356000000"
_NOBODY: Final = "000000000"
_COMMUNE = re.compile(r"(?:[013-9][0-9]|2[AB1-9])[0-9]{3}")
_COUNTRY = re.compile(r"99[0-9]{3}|92352")  # 92352: French Algeria, which civil registers write as a country too

_ISO_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?(?:[T ]00:00(?::00(?:\.0+)?)?Z?)?")
_FRENCH_DATE = re.compile(r"([0-9]{1,2})[/.\-]([0-9]{1,2})[/.\-]([0-9]{4})")
_LIGATURES = str.maketrans(
    {"œ": "oe", "æ": "ae", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ı": "i", "þ": "th"}
)


@dataclass(frozen=True, slots=True)
class NirReading:
    """
    A NIR as it was understood.

    `nir` has the 15 canonical characters, its key recomputed; `received_length` is 13 or 15; `key_ok` is None when no
    key came; `kind` is "nia" for a person being registered (first digit 3 or 4) and "temporary" for 7 or 8;
    `specimen` marks the number printed on sample cards, which identifies nobody.
    """

    nir: str = field(repr=False)
    received_length: int
    key_ok: bool | None
    kind: NirKind
    specimen: bool = False

    @property
    def flag(self) -> str:
        """
        The code of list `nir_flag` that says most about this reading: the value of a person's `nir_flag`.
        """
        if self.specimen:
            return "specimen"
        if self.key_ok is False:
            return "key_wrong"
        if self.kind != "nir":
            return "temporary"
        return "key_ok" if self.key_ok else "key_added"


def read_nir(text: str) -> NirReading | None:
    """
    Read a NIR of 13 or 15 characters, with or without separators; None when it has not the form of one.

    A wrong key does not make it None: `key_ok` says so, and what to do is the caller's decision.
    """
    match = _NIR.fullmatch(re.sub(r"[\s.\-]", "", unicodedata.normalize("NFKC", text)).upper())
    if match is None:
        return None
    first13, received_key = match.groups()
    key = nir_key(first13)
    return NirReading(
        nir=first13 + key,
        received_length=15 if received_key else 13,
        key_ok=None if received_key is None else received_key == key,
        kind=_NIR_KINDS.get(first13[0], "nir"),
        specimen=first13 in _SPECIMENS,
    )


def nir_key(first13: str) -> str:
    """
    The two digits that close a NIR: 97 - (n mod 97), Corsica's 2A and 2B read as 19 and 18.

    Raises ValueError, without the number, when the 13 characters are not those of a NIR.
    """
    if not _NIR13_ONLY.fullmatch(first13):
        raise ValueError("not the first 13 characters of a NIR")
    key: str = stdnum_nir.calc_check_digits(first13)
    return key


def nir_has_form(text: str) -> bool:
    """
    Whether `text` is written as the schemas want it: 15 characters, no separator. The key is not judged.
    """
    match = _NIR.fullmatch(text)
    return match is not None and match.group(2) is not None


def siret_is_valid(text: str) -> bool:
    """
    Whether `text` is a SIRET: 14 ASCII digits with the right check digits.

    The establishments of La Poste (SIREN 356000000) follow their own rule, a sum of digits multiple of 5; its head
    office follows the ordinary one.
    """
    return _SIRET.fullmatch(text) is not None and _siret_digits_agree(text)


@lru_cache(maxsize=4096)  # documents name the same few hundred organisations again and again
def _siret_digits_agree(digits: str) -> bool:
    if digits.startswith(_NOBODY):
        return False
    if digits.startswith(_LA_POSTE) and sum(map(int, digits)) % 5 == 0:
        return True
    return bool(luhn.is_valid(digits)) and bool(luhn.is_valid(digits[:9]))


def read_siret(text: str) -> str | None:
    """
    Read a SIRET with or without separators; None when it is not a valid one.
    """
    digits = re.sub(r"[\s.\-]", "", unicodedata.normalize("NFKC", text))
    return digits if siret_is_valid(digits) else None


def commune_is_valid(code: str) -> bool:
    """
    Whether `code` has the form of a COG commune, past or present (`92352` was in French Algeria).
    """
    return _COMMUNE.fullmatch(code) is not None


def country_is_valid(code: str) -> bool:
    """
    Whether `code` has the form of a COG country or territory (`99100` is France, `92352` was French Algeria).
    """
    return _COUNTRY.fullmatch(code) is not None


@dataclass(frozen=True, slots=True)
class BirthDate:
    """
    A birth date known to the day, the month or the year.

    `text` is `YYYY-MM-DD` with 00 for what is not known, as FranceConnect writes presumed births: never an invented day.
    """

    text: str = field(repr=False)
    precision: Precision


def read_birth_date(text: str, precision: Precision = "day") -> BirthDate | None:
    """
    Read a birth date: `YYYY-MM-DD`, `YYYY-MM`, `YYYY`, `DD/MM/YYYY`, any with 00 for what is not known.

    `precision` is what the sender says elsewhere of the date (CNAF's TYPEDTNAI J: "month", O: "year"): what is finer
    is presumed, and blanked. None when it is no date, or when not even the year is known.
    """
    written = unicodedata.normalize("NFKC", text).strip()
    if iso := _ISO_DATE.fullmatch(written):
        year, month, day = (int(part or 0) for part in iso.groups())
    elif french := _FRENCH_DATE.fullmatch(written):
        day, month, year = (int(part) for part in french.groups())
    else:
        return None
    day = 0 if month == 0 or precision != "day" else day
    month = 0 if precision == "year" else month
    if not _exists(year, month, day):
        return None
    return BirthDate(f"{year:04}-{month:02}-{day:02}", "day" if day else "month" if month else "year")


def partial_date_is_valid(text: str) -> bool:
    """
    Whether `text` is a `YYYY-MM-DD` of the calendar in which the day, or the day and the month, may be 00.
    """
    if len(text) != 10 or not _ISO_DATE.fullmatch(text):
        return False
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:])
    return (month != 0 or day == 0) and _exists(year, month, day)


def _exists(year: int, month: int, day: int) -> bool:
    try:
        date(year, month or 1, day or 1)
    except ValueError:
        return False
    return year > 0


def fold(name: str) -> str:
    """
    A name reduced to what two registers agree on: letters and digits, without case, accents, spaces or punctuation.
    """
    decomposed = unicodedata.normalize("NFKD", name.casefold().translate(_LIGATURES))
    letters = "".join(character for character in decomposed if not unicodedata.combining(character))
    return "".join(character for character in letters.casefold().translate(_LIGATURES) if character.isalnum())


def pivot(subject: Document) -> str | None:
    """
    The identity traits of a person as one string to compare blindly: `birth name|first given name|birth date|sex`.

    None unless the birth name, a given name and the birth date to the day are there: with less, two people would be
    taken for one, which is worse than one taken for two. An unstated sex counts as unknown.
    Traits: FranceConnect pivot identity and INS, less the birthplace, which half of the partners do not hold.
    """
    birth_name, given_names, birth_date = (subject.get(key) for key in ("birth_name", "given_names", "birth_date"))
    if not (isinstance(birth_name, str) and isinstance(given_names, list) and isinstance(birth_date, str)):
        return None
    first = given_names[0] if given_names else None
    read = read_birth_date(birth_date)
    if not isinstance(first, str) or read is None or read.precision != "day":
        return None
    if not (family := fold(birth_name)) or not (given := fold(first)):
        return None
    sex = subject.get("sex")
    return f"{family}|{given}|{read.text}|{sex if sex in ('female', 'male') else 'unknown'}"
