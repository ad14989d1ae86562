"""
What is stopped at the door whatever the conventions say: private notes are left out before anything is stored; bank details,
or a social security number written where none belongs, make the whole document be refused (CRPA L114-8, RGPD art. 5(1)(c)).

Pure. A value that is found is never told: only where it is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from stdnum import iban

from schemas import Document, Issue, Kind, fields
from schemas.identity import nir_key

_SHORTEST: Final = 13
"""Characters below which a text can hold neither a NIR nor an IBAN."""

_DIGIT: Final = re.compile("[0-9]")
_FEWEST: Final = 10
"""Figures below which a text can hold neither: an IBAN has ten at least, a NIR twelve."""

_TECHNICAL: Final = re.compile(
    r"[0-9a-f]{64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]+(Z|[+-][0-9:]+))?"
)
"""Digests, UUIDs, dates: what the schemas ask for, full of digits and never a number of a person."""

_PIECES: Final = re.compile(r"[0-9A-Za-z]+|[^0-9A-Za-z]+")
_GAP: Final = re.compile(r"[\s.\-_/:]{1,2}")
_NIR15: Final = re.compile(
    r"(?<![0-9])([1-478][0-9]{2}[0-9]{2}(?:[0-9]{2}|2[AB])[0-9]{6})([0-9]{2})(?![0-9])", re.IGNORECASE
)
_NIR13: Final = re.compile(
    r"(?<![0-9])[12][0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[1-8][0-9]|9[0-57-9]|2[AB])(?!000)[0-9]{3}(?!000)[0-9]{3}(?![0-9])",
    re.IGNORECASE,
)
_NIR_GROUPS: Final = ((1, 2, 2, 2, 3, 3), (1, 2, 2, 2, 6))
"""How the 13 characters of a NIR are grouped; without a key, other groups of figures are no evidence."""

_COUNTRY: Final = re.compile(r"[A-Za-z]{2}(?:[0-9]{2}|$)")
_IBAN: Final = re.compile(r"[A-Z]{2}[0-9]{2}[0-9A-Z]{11,30}")


def cleaned(kind: Kind, document: Document) -> tuple[Document, list[Issue]]:
    """
    Give a document without its secret properties, and what makes it refused; the document given is not changed.

    It need not be valid: whatever its shape, each text in it is looked at, except where a NIR is expected.
    """
    kept = _without(document, _secret(kind), "")
    return kept, [issue for pointer, text in _texts(kind, kept) for issue in _found(pointer, text)]


@cache
def _secret(kind: Kind) -> frozenset[str]:
    return frozenset(pattern for pattern, label in fields(kind).items() if label.category == "secret")


@cache
def _expecting_nir(kind: Kind) -> frozenset[str]:
    return frozenset(pattern for pattern, label in fields(kind).items() if label.category == "nir")


@cache
def _names(kind: Kind) -> frozenset[str]:
    return frozenset(part for pattern in fields(kind) for part in pattern.split("/"))


def _without(value: Any, patterns: frozenset[str], place: str) -> Any:
    if isinstance(value, dict):
        inside = {name: (f"{place}/{name}", each) for name, each in value.items()}
        return {name: _without(each, patterns, at) for name, (at, each) in inside.items() if at not in patterns}
    if isinstance(value, list):
        return [_without(each, patterns, f"{place}/*") for each in value]
    return value


def _texts(kind: Kind, document: Document) -> Iterator[tuple[str, str]]:
    """Every text with its pointer, names of free properties included; what no schema names is written `*` in the pointer."""
    waiting: list[tuple[str, str, Any]] = [("", "", document)]
    while waiting:
        pointer, pattern, value = waiting.pop()
        if isinstance(value, dict):
            for name, inside in value.items():
                known = name in _names(kind)
                if not known:
                    yield f"{pointer}/*", name
                waiting.append((f"{pointer}/{name if known else '*'}", f"{pattern}/{name}", inside))
        elif isinstance(value, list):
            waiting += [(f"{pointer}/{rank}", f"{pattern}/*", inside) for rank, inside in enumerate(value)]
        elif isinstance(value, str) and pattern not in _expecting_nir(kind):
            yield pointer, value


def _found(pointer: str, text: str) -> Iterator[Issue]:
    if len(text) < _SHORTEST or _TECHNICAL.fullmatch(text):
        return
    text = text if text.isascii() else unicodedata.normalize("NFKC", text)
    if len(_DIGIT.findall(text)) < _FEWEST:
        return
    runs = list(_runs(text))
    if any(_has_iban(run) for run in runs):
        yield Issue(
            "bank_details",
            pointer,
            "Des coordonnées bancaires sont écrites ici : retirez-les, la passerelle n'en transmet pas.",
            "Bank details are written here: remove them, the gateway passes none on.",
        )
    if any(_has_nir(run) for run in runs):
        yield Issue(
            "nir_out_of_place",
            pointer,
            "Un numéro de sécurité sociale est écrit ici : retirez-le. Sa seule place est subject.nir.",
            "A social security number is written here: remove it. Its only place is subject.nir.",
        )


def _runs(text: str) -> Iterator[list[str]]:
    """Cut a text into the groups of letters and figures that stand close to each other; a plus sign begins a phone number."""
    run: list[str] = []
    for piece in _PIECES.findall(text):
        if piece.isascii() and piece.isalnum():
            run.append(piece)
        elif not _GAP.fullmatch(piece):
            yield run
            run = ["+"] if piece.endswith("+") else []
    yield run


def _joined(groups: list[str], longest: int) -> Iterator[tuple[tuple[int, ...], str]]:
    """The first groups put together, one more each time, up to a length; with the lengths of the groups."""
    text = ""
    for count, group in enumerate(groups[:longest], 1):
        text += group
        if len(text) > longest:
            return
        yield tuple(map(len, groups[:count])), text


def _has_nir(run: list[str]) -> bool:
    phone = run[:1] == ["+"]
    for start, group in enumerate(run):
        if any(_key_is_right(match) for match in _NIR15.finditer(group)) or (not phone and _NIR13.search(group)):
            return True
        if len(group) > 13 or group[0] not in "123478":
            continue
        for lengths, text in _joined(run[start : start + 15], 15):
            if len(text) == 15 and (match := _NIR15.fullmatch(text)) and _key_is_right(match):
                return True
            if lengths in _NIR_GROUPS and _NIR13.fullmatch(text) and not phone:
                return True
    return False


def _key_is_right(match: re.Match[str]) -> bool:
    try:
        return nir_key(match[1].upper()) == match[2]
    except ValueError:
        return False


def _has_iban(run: list[str]) -> bool:
    for start, group in enumerate(run):
        if not _COUNTRY.match(group):
            continue
        for _, text in _joined(run[start : start + 34], 34):
            if _IBAN.fullmatch(text.upper()) and iban.is_valid(text, check_country=False):
                return True
    return False
