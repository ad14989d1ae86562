"""
What is stopped at the door whatever the conventions say: private notes are left out before anything is stored; bank details,
or a social security number written where none belongs, make the whole document be refused (CRPA L114-8, RGPD art. 5(1)(c)).

Pure. A value that is found is never told: only where it is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from stdnum import numdb

from schemas import Document, Issue, Kind, fields
from schemas.identity import nir_key

_SHORTEST: Final = 13
"""Characters below which a text can hold neither a NIR nor an IBAN."""

_DIGIT: Final = re.compile("[0-9]")
_FEWEST: Final = 10
"""Figures below which a text can hold neither: an IBAN has ten at least, a NIR twelve."""

_TECHNICAL: Final = re.compile(
    r"[0-9a-f]{64}|p-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]+(Z|[+-][0-9:]+))?"
)
"""Digests, pseudonyms, UUIDs, dates: what the schemas ask for, full of digits and never a number of a person."""

_GAP: Final = r"(?:[\s.\-_/:]{1,2})?"
_NIR15: Final = re.compile(
    rf"(?<![0-9])(?=([1-478](?:{_GAP}[0-9]){{4}}{_GAP}(?:[0-9]{_GAP}[0-9]|2{_GAP}[ABab])(?:{_GAP}[0-9]){{8}})(?![0-9]))"
)
_MONTH, _PLACE, _NUMBER = "(?:0[1-9]|1[0-2])", "(?:0[1-9]|[1-8][0-9]|9[0-57-9]|2[ABab])", "(?!000)[0-9]{3}"
_NIR13: Final = re.compile(
    rf"(?<![+0-9])[12](?P<gap>[\s.\-_/:]?)[0-9]{{2}}(?P=gap){_MONTH}(?P=gap){_PLACE}(?P=gap){_NUMBER}(?P=gap){_NUMBER}(?![0-9])"
)
"""Without a key, figures are taken for a NIR only when they are written together or grouped as on the card."""

_IBAN: Final = re.compile(rf"(?<![0-9A-Za-z])(?=([A-Za-z]{{2}}{_GAP}[0-9]{_GAP}[0-9](?:{_GAP}[0-9A-Za-z]){{11,30}}))")
_SEPARATORS: Final = re.compile(r"[^0-9A-Za-z]")


def cleaned(kind: Kind, document: Document) -> tuple[Document, list[Issue]]:
    """
    Give a document without its secret properties, and what makes it refused; the document given is not changed.

    It need not be valid: whatever its shape, each text in it is looked at, except where a NIR is expected.
    """
    found: list[Issue] = []
    return _kept(document, _places(kind), "", _names(kind), found), found


def written(texts: Mapping[str, str]) -> list[Issue]:
    """What makes some texts refused, by their pointers: bank details, or a social security number."""
    return [issue for pointer, text in texts.items() for issue in _found(pointer, text)]


@dataclass(slots=True)
class _Place:
    """A place of the documents of a kind: what is below it, and what its label says."""

    below: dict[str, _Place] = field(default_factory=dict)
    secret: bool = False
    expects_nir: bool = False


_NOWHERE: Final = _Place()
"""Where no schema says what stands: nothing is secret there, and no NIR is expected."""


@cache
def _places(kind: Kind) -> _Place:
    root = _Place()
    for pattern, label in fields(kind).items():
        place = root
        for part in pattern.split("/")[1:]:
            place = place.below.setdefault(part, _Place())
        place.secret, place.expects_nir = label.category == "secret", label.category == "nir"
    return root


@cache
def _names(kind: Kind) -> frozenset[str]:
    return frozenset(part for pattern in fields(kind) for part in pattern.split("/"))


def _kept(value: Any, place: _Place, pointer: str, names: frozenset[str], found: list[Issue]) -> Any:
    """
    A copy of a value without what is secret in it; what is wrong with its texts, names of free properties included, is added to `found`.

    What no schema names is written `*` in the pointer.
    """
    if isinstance(value, dict):
        kept = {}
        for name, inside in value.items():
            there = place.below.get(name, _NOWHERE)
            if there.secret:
                continue
            at = f"{pointer}/{name}" if name in names else f"{pointer}/*"
            if name not in names:
                found += _found(at, name)
            kept[name] = _kept(inside, there, at, names, found)
        return kept
    if isinstance(value, list):
        there = place.below.get("*", _NOWHERE)
        return [_kept(inside, there, f"{pointer}/{rank}", names, found) for rank, inside in enumerate(value)]
    if isinstance(value, str) and len(value) >= _SHORTEST and not place.expects_nir:
        found += _found(pointer, value)
    return value


def _found(pointer: str, text: str) -> Iterator[Issue]:
    if len(text) < _SHORTEST or _TECHNICAL.fullmatch(text):
        return
    text = text if text.isascii() else unicodedata.normalize("NFKC", text)
    if len(_DIGIT.findall(text)) < _FEWEST:
        return
    if any(_is_iban(_SEPARATORS.sub("", match[1]).upper()) for match in _IBAN.finditer(text)):
        yield Issue(
            "bank_details",
            pointer,
            "Des coordonnées bancaires sont écrites ici : retirez-les, la passerelle n'en transmet pas.",
            "Bank details are written here: remove them, the gateway passes none on.",
        )
    if _NIR13.search(text) or any(_key_is_right(match[1]) for match in _NIR15.finditer(text)):
        yield Issue(
            "nir_out_of_place",
            pointer,
            "Un numéro de sécurité sociale est écrit ici : retirez-le. Sa seule place est subject.nir.",
            "A social security number is written here: remove it. Its only place is subject.nir.",
        )


def _key_is_right(written: str) -> bool:
    figures = _SEPARATORS.sub("", written).upper()
    try:
        return nir_key(figures[:13]) == figures[13:]
    except ValueError:
        return False


def _is_iban(written: str) -> bool:
    number = written[: _iban_length(written[:2])]
    return len(number) >= 15 and int("".join(str(int(each, 36)) for each in number[4:] + number[:4])) % 97 == 1


@cache
def _iban_length(country: str) -> int:
    """Characters of an IBAN of a country, from the registry that stdnum carries; 0 where there is none."""
    known = numdb.get("iban").info(country)[0][1].get("bban", "")
    return 4 + sum(map(int, re.findall("[0-9]+", known))) if known else 0
