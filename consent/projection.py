"""
The projection: a document cut down to what the gate permits, and the exact account of what left and what did not.

Containers left empty are dropped. Names that no schema knows may hold anything, even a person's name: they never leave,
and the account writes `*` in their place.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

from consent.conventions.structure import PSEUDONYM, open_maps
from consent.gate import Decision, NotPermitted
from schemas import Document, Kind, fields
from schemas.positions import escape

_ITEM: Final = "*"
_ENTRY: Final = "*: "
"""Under what the items of an array and the entries of an open map stand in a tree; no property has such a name."""

Tree: TypeAlias = dict[str, "Tree | bool"]
"""The leaves of a kind by the parts of their patterns; at the end, whether the leaf may leave."""


@dataclass(frozen=True, slots=True)
class Projection:
    """
    What may be handed over, and the concrete JSON pointers of what left and of what was withheld.

    The pointers are into the document as it came, in its order, and never hold a value; `*` stands for names that no
    schema gives. Each leaf of the document is in one of the two. The pseudonym always left: the one by which the
    recipient knows the person, never the sender's.
    """

    document: Document
    left: tuple[str, ...]
    withheld: tuple[str, ...]


def project(document: Document, decision: Decision, pseudonym: str) -> Projection:
    """
    Cut a document to what a decision permits, under the pseudonym by which the recipient knows the person.

    The result is valid for the schema of its kind whenever `document` is. Lists of recipients are cut to the
    recipient of the decision: who else is told is not its business.
    Raises NotPermitted when the decision refused, or is about another kind of document.
    """
    if not decision.permit or document.get("kind") != decision.kind:
        raise NotPermitted("the gate did not permit this document")
    cut = _Cut(decision.recipient)
    kept: Document = cut.object(document, _tree(decision.kind, decision.fields), "", "") or {}
    kept.setdefault("subject", {})["pseudonym"] = pseudonym
    left = dict.fromkeys([*cut.left, PSEUDONYM])
    return Projection(kept, tuple(left), tuple(pointer for pointer in dict.fromkeys(cut.withheld) if pointer not in left))


class _Cut:
    """
    One walk through a document, copying what may leave and writing down the pointer of every leaf.
    """

    def __init__(self, recipient: str) -> None:
        self.recipient = recipient
        self.left: list[str] = []
        self.withheld: list[str] = []

    def object(self, value: Document, tree: Tree, pointer: str, pattern: str) -> Document | None:
        """
        The part of an object that may leave; None when nothing of it may.
        """
        kept: Document = {}
        entries = tree.get(_ENTRY)
        for name, inside in value.items():
            # A name that the schema does not give is written `*`, known map or not.
            part = escape(name) if name in tree else _ITEM
            part_kept = self._value(inside, tree.get(name, entries), f"{pointer}/{part}", f"{pattern}/{part}")
            if part_kept is not None:
                kept[name] = part_kept[0]
        return kept or None

    def _array(self, value: list[Any], tree: Tree, pointer: str, pattern: str) -> list[Any] | None:
        kept = []
        node = tree.get(_ITEM)
        for index, meant in enumerate(self._meant(value, pattern)):
            found = self._value(value[index], node if meant else None, f"{pointer}/{index}", f"{pattern}/{_ITEM}")
            if found is not None:
                kept.append(found[0])
        return kept or None
