"""
"Vouliez-vous dire … ?": the allowed code nearest to what was written, by its word or by one of its labels.

What comes out is always a code or a property name of the schemas, never the value that was compared.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Final, TypeAlias

from schemas.identity import fold

CodeLabels: TypeAlias = Mapping[str, Mapping[str, tuple[str, ...]]]

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
        self._words = lru_cache(maxsize=1024)(self._fold_words)

    def nearest(self, value: object, allowed: frozenset[str], list_name: str | None = None) -> str | None:
        """
        The word of `allowed` (or, when it is empty, of the named code list) nearest to `value`; None if none is near.
        """
        if not isinstance(value, str) or len(value) > _LONGEST:
            return None
        words = self._words(allowed, list_name)
        written = fold(value)
        if written in words:
            return words[written]
        near = get_close_matches(written, words, n=1, cutoff=_NEAR)
        return words[near[0]] if near else None

    def _fold_words(self, allowed: frozenset[str], list_name: str | None) -> dict[str, str]:
        named = self._lists.get(list_name or "", {})
        if not allowed:
            labelled, allowed = named, frozenset(named)
        else:
            # A rule may allow part of a list, and a code whose scheme varies has several: the codes tell which one.
            candidates = [named, *sorted(self._lists.values(), key=len)]
            labelled = next((codes for codes in candidates if allowed <= codes.keys()), {})
        labels = {fold(label): code for code in sorted(allowed) for label in labelled.get(code, ())}
        return labels | {fold(code): code for code in sorted(allowed)}
