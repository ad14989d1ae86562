"""
The code lists of the shared language (`codes/*.csv`).

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
    return tuple(sorted(tables(folder())))


@cache
def code_list(name: str) -> Mapping[str, Code]:
    """
    A code list by code, in the order of its file. Raises UnknownCodeList.
    """
    return MappingProxyType({row["code"]: _code(row) for row in read_table(folder(), name)})


def _code(row: Mapping[str, str]) -> Code:
    return Code(
        code=row["code"],
        label_fr=row["label_fr"],
        label_en=row["label_en"],
        source=row["source"],
        version=row["version"],
        parent=row["parent"] or None,
    )


def folder() -> Traversable:
    """
    Where the lists are in the package.
    """
    return files("schemas") / "codes"


def tables(directory: Traversable) -> dict[str, Traversable]:
    """
    The CSV files of a directory by name, without their extension.
    """
    return {path.name.removesuffix(".csv"): path for path in directory.iterdir() if path.name.endswith(".csv")}


def read_table(directory: Traversable, name: str) -> list[dict[str, str]]:
    """
    The rows of a CSV file by column name. Raises UnknownCodeList when there is no such file.
    """
    try:
        text = tables(directory)[name].read_text(encoding="utf-8")
    except KeyError:
        raise UnknownCodeList(name) from None
    return list(csv.DictReader(StringIO(text, newline=""), strict=True))
