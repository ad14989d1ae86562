"""
French telephone numbers, mainland and overseas, as people type them, read into E.164.

Sources: ITU-T E.164; the national numbering plan of ARCEP for the prefixes of the overseas territories and the series
kept for works of fiction, which examples and demonstrations use.
"""

import re
import unicodedata
from typing import Final

import phonenumbers

_WRITTEN = re.compile(r"[+0-9][0-9 ().\-]{3,28}")
_SEPARATORS = re.compile(r"[/;,|\n]|\s(?:ou|et|or)\s", re.IGNORECASE)
_FICTION = re.compile(r"(?:\+33|0033|0)?(19900|26191|35301|46571|53649|63998)([0-9]{4})")
_OVERSEAS: Final = ("GP", "MQ", "GF", "RE", "YT", "PM", "BL", "MF", "NC", "PF", "WF")

# Ten digits dialled in France whose first ones belong to an overseas code: the mainland plan would claim some of them.
_OVERSEAS_PREFIXES: Final = {
    "0262": "RE", "0263": "RE", "0269": "YT", "0590": "GP", "0594": "GF", "0596": "MQ", "0639": "YT",
    "0690": "GP", "0691": "GP", "0692": "RE", "0693": "RE", "0694": "GF", "0696": "MQ", "0697": "MQ", "0709": "YT",
}  # fmt: skip


def read_phone(text: str, territory: str = "FR") -> str | None:
    """
    Read one telephone number; returns it in E.164 (`+33…`, `+262…`), or None when it is not one.

    Takes the forms met in partners' files: ten digits with or without separators, `+33`, `0033`, a leading zero lost
    in a spreadsheet, and the short local numbers of overseas territories where only one territory can claim them or
    where `territory` (ISO 3166-1) says which.
    """
    written = unicodedata.normalize("NFKC", text).strip()
    if not _WRITTEN.fullmatch(written):
        return None
    digits = re.sub(r"[ ().\-]", "", written.replace("(0)", ""))
    if fiction := _FICTION.fullmatch(digits):
        return "+33" + "".join(fiction.groups())
    if digits.startswith("0508") and len(digits) == 10:
        return _in_territory(digits[4:], "PM")
    as_dialled = len(digits) == 10 and digits.startswith("0")
    overseas = _OVERSEAS_PREFIXES.get(digits[:4]) if as_dialled else None
    first = overseas or ("FR" if as_dialled else territory)
    if number := _in_territory(digits, first):
        return number
    # A number that begins like one of an overseas territory is not one of the mainland, whose plan would claim it.
    candidates = _OVERSEAS if overseas else ("FR", *_OVERSEAS)
    others = {_in_territory(digits, code) for code in candidates} - {None}
    return others.pop() if len(others) == 1 else None


def read_phones(text: str, territory: str = "FR") -> tuple[str, ...]:
    """
    Read a cell that may hold several numbers (`06… / 07…`, `… ou …`); those that are not numbers are left out.
    """
    numbers = (read_phone(part, territory) for part in _SEPARATORS.split(text))
    return tuple(dict.fromkeys(number for number in numbers if number))


def _in_territory(digits: str, territory: str) -> str | None:
    try:
        number = phonenumbers.parse(digits, territory)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
