"""
"Vouliez-vous dire … ?": the allowed code nearest to what was written, by its word or by one of its labels.

What comes out is always a code or a property name of the schemas, never the value that was compared.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Final, TypeAlias

from schemas.identity import fold

CodeLabels: TypeAlias = Mapping[str, Mapping[str, tuple[str, str]]]

_LONGEST: Final = 80
"""Longer texts are not mistyped codes, and comparing costs the product of the lengths."""

_NEAR: Final = 0.7


class Suggester:
    """
    Finds the nearest allowed word.

    `lists` are the code lists by name: for each code, the labels under which people know it.
    """

    def __init__(self, lists: CodeLabels) -> None:
        self._lists = lists
        # One entry per rule of the schemas, never per document.
        self._words = lru_cache(maxsize=1024)(self._fold_words)
        self.list_name = lru_cache(maxsize=1024)(self._find_list)

    def nearest(self, value: object, allowed: frozenset[str], named: str | None = None) -> str | None:
        """
        The word of `allowed` (or, when it is empty, of the named code list) nearest to `value`; None if none is near.
        """
        if not isinstance(value, str) or len(value) > _LONGEST:
            return None
        words = self._words(allowed, named)
        written = fold(value)
        if written in words:
            return words[written]
        near = get_close_matches(written, words, n=1, cutoff=_NEAR)
        return words[near[0]] if near else None

    def labels(self, code: str, allowed: frozenset[str], named: str | None = None) -> tuple[str, str]:
        """
        The French and English labels of an allowed code; empty where it has none, or none that says more than itself.
        """
        known = self._lists.get(self.list_name(allowed, named) or "", {}).get(code, ())
        french, english = known or ("", "")
        return ("" if fold(french) == fold(code) else french), ("" if fold(english) == fold(code) else english)

    def _find_list(self, allowed: frozenset[str], named: str | None = None) -> str | None:
        """
        The code list that holds the allowed codes: the one the schema names, else the shortest that has them all.

        A code whose scheme varies has several lists: the codes themselves tell which one a rule is about.
        """
        if named is not None and named in self._lists and allowed <= self._lists[named].keys():
            return named
        holding = [name for name, codes in self._lists.items() if allowed and allowed <= codes.keys()]
        return min(holding, key=lambda name: len(self._lists[name]), default=None)

    def _fold_words(self, allowed: frozenset[str], named: str | None) -> dict[str, str]:
        labelled = self._lists.get(self.list_name(allowed, named) or "", {})
        codes = sorted(allowed or labelled)
        labels = {fold(label): code for code in codes for label in labelled.get(code, ())}
        return labels | {fold(code): code for code in codes}
