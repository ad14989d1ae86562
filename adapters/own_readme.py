"""
The README of a format: both languages, in words of its own and not those of the template that it was copied from.
"""

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

_TITLES: Final = ("## En français", "## In English")


def lacking(folder: Traversable) -> list[str]:
    """
    What the README of an adapter's folder lacks: the titles that are not there, the sentences of the template that still are.
    """
    file = folder / "README.md"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    missing = [title for title in _TITLES if title not in text]
    untouched = [line.strip() for line in text.splitlines() if line.strip() in _template_sentences()]
    return missing + [f"« {line} »" for line in untouched]


@cache
def _template_sentences() -> frozenset[str]:
    """
    What the READMEs of the templates say first in each language: it asks for words of one's own, and says nothing of a format.
    """
    found = set()
    for template in files("adapters._template").iterdir():
        file = template / "README.md"
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        found |= {next(filter(None, lines[lines.index(title) + 1 :])).strip() for title in _TITLES if title in lines}
    return frozenset(found)
