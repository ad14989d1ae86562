"""
The code lists of the shared language (`codes/*.csv`) and the crosswalks between them (`codes/crosswalks/*.csv`).

Lists are data: adding a code to one is an edit of its file, without any change in a program.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from io import StringIO
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Code:
    """
    One code of a list, with its labels, where it comes from (`source`, `version`) and the more general code it falls under.
    """

    code: str
    label_fr: str
    label_en: str
    source: str
    version: str
    parent: str | None = None


class UnknownCodeList(LookupError):
    """
    There is no code list or crosswalk of that name.
    """


def code_lists() -> tuple[str, ...]:
    """
    The names of the code lists, sorted.
    """
    return tuple(sorted(_tables(_folder())))


@cache
def code_list(name: str) -> Mapping[str, Code]:
    """
    A code list by code, in the order of its file. Raises UnknownCodeList.
    """
    return MappingProxyType({row["code"]: _code(row) for row in _rows(_folder(), name)})


def _code(row: Mapping[str, str]) -> Code:
    return Code(
        code=row["code"],
        label_fr=row["label_fr"],
        label_en=row["label_en"],
        source=row["source"],
        version=row["version"],
        parent=row["parent"] or None,
    )


def _folder() -> Traversable:
    return files("schemas") / "codes"


def _tables(folder: Traversable) -> dict[str, Traversable]:
    if not folder.is_dir():
        return {}
    return {path.name.removesuffix(".csv"): path for path in folder.iterdir() if path.name.endswith(".csv")}


def _rows(folder: Traversable, name: str) -> list[dict[str, str]]:
    try:
        table = _tables(folder)[name]
    except KeyError:
        raise UnknownCodeList(name) from None
    return list(csv.DictReader(StringIO(table.read_text(encoding="utf-8"), newline=""), strict=True))
