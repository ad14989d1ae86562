"""
Identifiers and addresses as partners write them, and the damage of spreadsheets: undone and told when it is certain,
refused when it is not.
"""

import re
from typing import Any, Final

from adapters.mapping.notes import DECIMAL_REMOVED, DIGITS_LOST, ZERO_RESTORED, Notes, Reason, unreadable
from schemas.identity import commune_is_valid, read_nir, read_phone, read_siret

_FLOAT_TAIL: Final = re.compile(r"([0-9]+)[.,]0+")
_SCIENTIFIC: Final = re.compile(r"[0-9](?:[.,][0-9]+)?[eE]\+?[0-9]+")
_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[A-Za-z0-9.-]{1,185}\.[A-Za-z0-9-]{2,}")
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_DIALLED_WITH_ZERO: Final = re.compile(r"\+(?:33|262|590|594|596)(?=[0-9]{9}$)")


def identifier(text: str, notes: Notes) -> str:
    """
    The digits of a number as a spreadsheet may have left them: `.0` taken away and told, `1,5E+13` refused.
    """
    bare = "".join(text.split())
    if match := _FLOAT_TAIL.fullmatch(bare):
        notes.warn(DECIMAL_REMOVED)
        return match.group(1)
    if _SCIENTIFIC.fullmatch(bare):
        raise DIGITS_LOST
    return bare


def siret(text: str, notes: Notes) -> str:
    """
    The 14 digits of a SIRET whose check digit is right.
    """
    digits = identifier(text, notes)
    if found := read_siret(digits):
        return found
    if len(digits) == 13 and digits.isdecimal() and (found := read_siret("0" + digits)):
        notes.warn(ZERO_RESTORED)
        return found
    raise unreadable("un SIRET de 14 chiffres dont la clé est juste", "a SIRET of 14 digits with a right check digit")


_KEY_WRONG = Reason(
    "nir_key_wrong",
    "La clé de ce NIR est fausse : le numéro est repris avec la clé recalculée, et signalé. Vérifiez-le.",
    "The key of this NIR is wrong: the number is used with its key computed again, and flagged. Check it.",
)


def nir(text: str, notes: Notes) -> str:
    """
    A NIR on 15 characters; a wrong key is computed again and told.
    """
    read = read_nir(identifier(text, notes))
    if read is None:
        raise unreadable("un NIR de 13 ou 15 caractères", "a NIR of 13 or 15 characters")
    if read.key_ok is False:
        notes.warn(_KEY_WRONG)
    return read.nir


def nir_flag(text: str, notes: Notes) -> str | None:
    """
    What the NIR of a text is worth; None when it is none.
    """
    read = read_nir("".join(text.split()))
    return read.flag if read else None


def phone(territory: str, text: str, notes: Notes) -> str:
    """
    A telephone number in its international form, `territory` giving the prefix of a national one.
    """
    digits = text
    if _FLOAT_TAIL.fullmatch(text) or _SCIENTIFIC.fullmatch(text):
        digits = identifier(text, notes)
    number = read_phone(digits, territory)
    if number is None:
        raise unreadable("un numéro de téléphone", "a telephone number")
    if len(digits) == 9 and digits.isdecimal() and number.endswith(digits):
        notes.warn(ZERO_RESTORED)
    return number


def dialled(number: Any) -> str:
    """
    A number as one dials it from France.
    """
    return _DIALLED_WITH_ZERO.sub("0", str(number)).replace("+", "00")


def email(text: str, notes: Notes) -> str:
    """
    An email address, without `mailto:`.
    """
    del notes
    written = text.strip().removeprefix("mailto:")
    if not _EMAIL.fullmatch(written):
        raise unreadable("une adresse électronique", "an email address")
    return written


def postcode(text: str, notes: Notes) -> str:
    """
    A postcode of 5 digits, its zero put back.
    """
    digits = identifier(text, notes)
    if re.fullmatch(r"[0-9]{5}", digits):
        return digits
    if re.fullmatch(r"[1-9][0-9]{3}", digits):
        notes.warn(ZERO_RESTORED)
        return "0" + digits
    raise unreadable("un code postal de 5 chiffres", "a postcode of 5 digits")


def commune(text: str, notes: Notes) -> str:
    """
    The official code of a commune, its zero put back.
    """
    code = identifier(text, notes).upper()
    if commune_is_valid(code):
        return code
    if re.fullmatch(r"[1-9][0-9]{3}", code):
        notes.warn(ZERO_RESTORED)
        return "0" + code
    raise unreadable("le code officiel d'une commune (Insee)", "the official code of a commune (Insee)")


def padded(length: int, warns: bool, text: str, notes: Notes) -> str:
    """
    A number of `length` digits, its zeros put back, and told when the format writes them.
    """
    digits = identifier(text, notes)
    if not (digits.isascii() and digits.isdecimal()) or len(digits.lstrip("0")) > length:
        raise unreadable(f"un numéro de {length} chiffres au plus", f"a number of at most {length} digits")
    if warns and len(digits) < length:
        notes.warn(ZERO_RESTORED)
    return digits.lstrip("0").zfill(length)


def uuid(text: str, notes: Notes) -> str:
    """
    A UUID in lower case.
    """
    del notes
    if not _UUID.fullmatch(text.lower()):
        raise unreadable("un identifiant UUID", "a UUID")
    return text.lower()
