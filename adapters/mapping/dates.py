"""
Dates and hours as partners write them; a date that needs a guess is refused.
"""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from adapters.mapping.notes import DATE_SERIAL, Notes, Number, Reason, Step, unreadable
from schemas.identity import read_birth_date

# 1900 to 2100 may as well be a year: not a count of days.
_SERIAL: Final = re.compile(r"(?!(?:19[0-9]{2}|20[0-9]{2}|2100)(?![0-9]))([1-9][0-9]{3,4})(?:[.,]0+)?")
_SERIAL_EPOCH: Final = date(1899, 12, 30)
_ISO_DAY: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_CLOCK: Final = r"[T ]+([01]?[0-9]|2[0-3])[:hH]([0-5][0-9])(?::([0-5][0-9])(?:[.,]([0-9]{1,9}))?)?"
_OFFSET: Final = r"\s*(Z|UTC|[+-][0-9]{2}:?[0-9]{2})?"
_ISO_TIME: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})" + _CLOCK + _OFFSET)
_FRENCH_TIME: Final = re.compile(r"([0-9]{1,2}/[0-9]{1,2}/[0-9]{4})(?:\s+à)?" + _CLOCK + _OFFSET)
_TOKENS: Final = {"AAAA": "(?P<year>[0-9]{4})", "MM": "(?P<month>[0-9]{2})", "JJ": "(?P<day>[0-9]{2})"}

_RANK_EPOCH: Final = datetime(2020, 1, 1, tzinfo=UTC)

_TWO_INSTANTS: Final = Reason(
    "hour_ambiguous",
    "Cette heure existe deux fois (passage à l'heure d'hiver) : la première est prise. Écrivez le décalage horaire.",
    "This hour happens twice (end of summer time): the first is taken. Write the offset.",
)


def read_day(text: str, notes: Notes) -> str:
    """
    A date known to the day, as `YYYY-MM-DD`.
    """
    read = read_birth_date(_from_serial(text, notes))
    if read is None or read.precision != "day":
        raise unreadable("une date, comme 25/05/1998", "a date, such as 25/05/1998")
    return read.text


def read_birth(text: str, notes: Notes) -> str:
    """
    A birth date as `YYYY-MM-DD`, with 00 for what is not known.
    """
    read = read_birth_date(_from_serial(text, notes))
    if read is None:
        raise unreadable("une date de naissance, comme 25/05/1998", "a birth date, such as 25/05/1998")
    return read.text


def write_french(value: Any) -> str:
    """
    `DD/MM/YYYY`, 00 included.
    """
    if match := _ISO_DAY.fullmatch(str(value)):
        year, month, day = match.groups()
        return f"{day}/{month}/{year}"
    return str(value)


def in_form(form: str) -> Step:
    """
    Dates in a form such as `AAAAMMJJ`. Raises `ValueError` when the form does not name the year, the month and the day.
    """
    pattern = re.escape(form)
    for token, group in _TOKENS.items():
        if form.count(token) != 1:
            raise ValueError(f"{form} : il faut AAAA, MM et JJ, une fois chacun")
        pattern = pattern.replace(token, group)
    expression = re.compile(pattern)

    def read(text: str, notes: Notes) -> str:
        del notes
        match = expression.fullmatch(text)
        found = read_birth_date("{year}-{month}-{day}".format(**match.groupdict())) if match else None
        if found is None:
            raise unreadable(f"une date de la forme {form}", f"a date of the form {form}")
        return found.text

    def write(value: Any) -> str:
        year, month, day = str(value).split("-")
        return form.replace("AAAA", year).replace("MM", month).replace("JJ", day)

    return Step(read, write)


def with_time(zone: str = "Europe/Paris") -> Step:
    """
    Dates with an hour, in a time zone when they carry no offset. Raises `ValueError` for an unknown zone.
    """
    there = _zone(zone)

    def read(text: str, notes: Notes) -> str:
        match = _ISO_TIME.fullmatch(text) or _FRENCH_TIME.fullmatch(text)
        day = read_birth_date(match.group(1)) if match else None
        if match is None or day is None or day.precision != "day":
            raise unreadable(
                "une date et une heure, comme 25/05/2026 14:30 (une date sans heure se lit avec « minuit »)",
                "a date and a time, such as 25/05/2026 14:30 (a date without a time is read with “minuit”)",
            )
        hour, minute, second = (int(part or 0) for part in match.groups()[1:4])
        local = datetime.fromisoformat(f"{day.text}T{hour:02}:{minute:02}:{second:02}")
        offset = match.group(6)
        if offset is None:
            return _in_zone(local, there, notes)
        written = "+00:00" if offset in {"Z", "UTC"} else offset if ":" in offset else f"{offset[:3]}:{offset[3:]}"
        return f"{local.isoformat()}{written}"

    return Step(read, lambda value: datetime.fromisoformat(str(value)).astimezone(there).strftime("%d/%m/%Y %H:%M:%S"))


def as_rank(zone: str = "Europe/Paris") -> Step:
    """
    Dates with an hour as a rank that grows with time, the seconds since 2020: the shared `sequence` of a status that its
    partner does not number. It stays in 32 bits, as the schema wants, until 2088. Raises `ValueError` for an unknown zone.
    """
    read_time = with_time(zone).read

    def read(text: str, notes: Notes) -> int:
        since = datetime.fromisoformat(read_time(text, notes)) - _RANK_EPOCH
        return max(0, int(since.total_seconds()))

    return Step(read, lambda value: "")


def at_midnight(zone: str = "Europe/Paris") -> Step:
    """
    Dates, taken as the midnight that begins them in a time zone. Raises `ValueError` for an unknown zone.
    """
    there = _zone(zone)

    def read(text: str, notes: Notes) -> str:
        return datetime.fromisoformat(read_day(text, notes)).replace(tzinfo=there).isoformat()

    return Step(read, lambda value: datetime.fromisoformat(str(value)).astimezone(there).strftime("%d/%m/%Y"))


def _in_zone(local: datetime, there: ZoneInfo, notes: Notes) -> str:
    first = local.replace(tzinfo=there)
    if first.utcoffset() != first.replace(fold=1).utcoffset():
        if first.astimezone(UTC).astimezone(there).replace(tzinfo=None) != local:
            raise unreadable(
                "une heure qui existe (passage à l'heure d'été)", "an hour that exists (start of summer time)"
            )
        notes.warn(_TWO_INSTANTS)
    return first.isoformat()


def _from_serial(text: str, notes: Notes) -> str:
    """
    A cell of a spreadsheet that holds a date as a count of days since 1900; only when the file says it is a number.
    """
    if isinstance(text, Number) and (match := _SERIAL.fullmatch(text)):
        notes.warn(DATE_SERIAL)
        return (_SERIAL_EPOCH + timedelta(days=int(match.group(1)))).isoformat()
    if isinstance(text, Number) and len(text) == 4:
        raise unreadable(
            "une date entière : ce nombre est une année ou un nombre de jours", "a whole date: a year, or days?"
        )
    return text


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"{name} : fuseau horaire inconnu ; par exemple Europe/Paris, Indian/Reunion") from None
