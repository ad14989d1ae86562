"""
The projection: a document cut down to what the gate permits, and the exact account of what left and what did not.

Containers left empty are dropped. Names that no schema knows may hold anything, even a person's name: they never leave,
and the account writes `*` in their place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

from consent.conventions.structure import PSEUDONYM, open_maps
from consent.gate import Decision, NotPermitted
from schemas import Document, Kind, fields
from schemas.positions import escape

_ANY: Final = "*"
_ITEM: Final = "[*]"
_ENTRY: Final = "{*}"
"""Under what the items of an array and the entries of an open map stand in a tree; no property has such a name."""

_RECIPIENT_LISTS: Final = frozenset({"/recipients", "/scopes", "/scopes/*/recipients"})
_NOTHING: Final = object()

Tree: TypeAlias = dict[str, "Tree | bool"]
"""The leaves of a kind by the parts of their patterns; at the end, whether the leaf may leave."""


@dataclass(frozen=True, slots=True)
class Projection:
    """
    What may be handed over, and the concrete JSON pointers of what left and of what was withheld.

    The pointers are into the document as it came, in its order, and never hold a value. Each leaf of the document is in
    one of the two; names that no schema gives are written `*`, so that several may share a pointer. The pseudonym
    always left: the one by which the recipient knows the person, never the sender's.
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
    found = cut.value(document, _tree(decision.kind, decision.fields), "", "")
    kept: Document = {} if found is _NOTHING else found
    kept.setdefault("subject", {})["pseudonym"] = pseudonym
    left = dict.fromkeys([*cut.left, PSEUDONYM])
    return Projection(kept, tuple(left), tuple(dict.fromkeys(each for each in cut.withheld if each not in left)))


class _Cut:
    """
    One walk through a document, copying what may leave and writing down the pointer of every leaf.
    """

    def __init__(self, recipient: str) -> None:
        self.recipient = recipient
        self.left: list[str] = []
        self.withheld: list[str] = []

    def value(self, value: Any, node: Tree | bool | None, pointer: str, pattern: str) -> Any:
        """
        The part of a value that may leave, or _NOTHING. `node` is what the schema knows there: None when it knows nothing.
        """
        if isinstance(node, dict):
            if isinstance(value, dict):
                return self._object(value, node, pointer, pattern)
            if isinstance(value, list):
                return self._array(value, node, pointer, pattern)
        # A container where the schema wants a leaf, or the reverse, is as unknown as an unknown name.
        elif node and not isinstance(value, dict | list):
            self.left.append(pointer)
            return value
        self.withheld.append(pointer)
        return _NOTHING

    def _object(self, value: Document, tree: Tree, pointer: str, pattern: str) -> Any:
        kept: Document = {}
        entries = tree.get(_ENTRY)
        for name, inside in value.items():
            # A name that the schema does not give is written `*`.
            part = escape(name) if name in tree else _ANY
            found = self.value(inside, tree.get(name, entries), f"{pointer}/{part}", f"{pattern}/{part}")
            if found is not _NOTHING:
                kept[name] = found
        return kept or _NOTHING

    def _array(self, value: list[Any], tree: Tree, pointer: str, pattern: str) -> Any:
        kept = []
        items = tree.get(_ITEM)
        for index, (inside, meant) in enumerate(zip(value, self._meant(value, pattern), strict=True)):
            node = items if meant or items is None else _shut(items)
            found = self.value(inside, node, f"{pointer}/{index}", f"{pattern}/{_ANY}")
            if found is not _NOTHING:
                kept.append(found)
        return kept or _NOTHING

    def _meant(self, items: Sequence[Any], pattern: str) -> list[bool]:
        """
        Which items of a list that names recipients are about this one; all of them when the list does not name it.
        """
        if pattern not in _RECIPIENT_LISTS:
            return [True] * len(items)
        own = [_names_recipient(item, self.recipient) for item in items]
        return own if any(own) else [True] * len(items)


def _names_recipient(item: Any, siret: str) -> bool:
    if isinstance(item, dict):
        return item.get("siret") == siret or siret in item.get("recipients", ())
    return bool(item == siret)


def _shut(node: Tree | bool) -> Tree | bool:
    """
    The same tree, out of which nothing may leave.
    """
    return {part: _shut(below) for part, below in node.items()} if isinstance(node, dict) else False


@lru_cache(maxsize=1024)
def _tree(kind: Kind, permitted: frozenset[str]) -> Tree:
    tree: Tree = {}
    for leaf in fields(kind):
        node, pattern = tree, ""
        *containers, last = leaf.split("/")[1:]
        for part in containers:
            below = node.setdefault(_step(kind, pattern, part), {})
            assert isinstance(below, dict), "a leaf holds nothing"
            node, pattern = below, f"{pattern}/{part}"
        node[_step(kind, pattern, last)] = leaf in permitted
    return tree


def _step(kind: Kind, container: str, part: str) -> str:
    """
    The part of a pattern as a name in the tree: the property itself, an item of an array or an entry of an open map.
    """
    if part != _ANY:
        return part.replace("~1", "/").replace("~0", "~")
    return _ENTRY if container in open_maps(kind) else _ITEM
