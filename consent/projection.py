"""
The projection: a document cut down to what the gate permits, and the exact account of what left and what did not.

Containers left empty are dropped. Names that no schema knows may hold anything, even a person's name: they never leave,
and the account writes `*` in their place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from consent.conventions.structure import PSEUDONYM, open_maps
from consent.gate import Decision, NotPermitted
from schemas import Document, Kind, fields

_RECIPIENT_LISTS: Final = frozenset({"/recipients", "/scopes", "/scopes/*/recipients"})
_NOTHING: Final = object()


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
    found = cut.value(document, _plan(decision.kind, decision.fields), "")
    kept: Document = {} if found is _NOTHING else found
    kept.setdefault("subject", {})["pseudonym"] = pseudonym
    left = dict.fromkeys([*cut.left, PSEUDONYM])
    return Projection(kept, tuple(left), tuple(dict.fromkeys(each for each in cut.withheld if each not in left)))


@dataclass(slots=True)
class _Place:
    """
    What a schema knows of one place, and whether the leaf that stands there may leave (None: it is a container).

    `named` gives the known members with their part of a pointer, `inside` the items of an array, or the entries of an
    open map; `recipients` marks the lists to be cut to those that are about the recipient.
    """

    pattern: str
    leaf: bool | None = None
    named: dict[str, tuple[str, "_Place"]] = field(default_factory=dict)
    inside: "_Place | None" = None
    open_map: bool = False
    recipients: bool = False

    def below(self, part: str) -> "_Place":
        """
        The place under a part of a pattern, made when it is new.
        """
        pattern = f"{self.pattern}/{part}"
        if part == "*":
            self.inside = self.inside or _Place(pattern)
            return self.inside
        name = part.replace("~1", "/").replace("~0", "~")
        return self.named.setdefault(name, ("/" + part, _Place(pattern, recipients=pattern in _RECIPIENT_LISTS)))[1]


@lru_cache(maxsize=1024)
def _plan(kind: Kind, permitted: frozenset[str]) -> _Place:
    """
    All the places of a kind, with what may leave; remembered, since few sets of fields are ever permitted.
    """
    root = _Place("")
    for leaf in fields(kind):
        place = root
        for part in leaf.split("/")[1:]:
            place.open_map = place.pattern in open_maps(kind)
            place = place.below(part)
        place.leaf = leaf in permitted
    return root


class _Cut:
    """
    One walk through a document, copying what may leave and writing down the pointer of every leaf.
    """

    def __init__(self, recipient: str) -> None:
        self._recipient = recipient
        self.left: list[str] = []
        self.withheld: list[str] = []

    def value(self, value: Any, place: _Place | None, pointer: str, *, meant: bool = True) -> Any:
        """
        The part of a value that may leave, or _NOTHING.

        `place` is None where the schema knows nothing; nothing leaves of what is not `meant` for the recipient.
        """
        if place is not None:
            if place.leaf is None and isinstance(value, dict):
                return self._object(value, place, pointer, meant)
            if place.leaf is None and isinstance(value, list):
                return self._array(value, place, pointer, meant)
            # A container where the schema wants a leaf, or the reverse, is as unknown as an unknown name.
            if place.leaf and meant and not isinstance(value, dict | list):
                self.left.append(pointer)
                return value
        self.withheld.append(pointer)
        return _NOTHING

    def _object(self, value: Document, place: _Place, pointer: str, meant: bool) -> Any:
        kept: Document = {}
        # A name that the schema does not give is written `*`.
        other = ("/*", place.inside if place.open_map else None)
        for name, inside in value.items():
            part, below = place.named.get(name, other)
            found = self.value(inside, below, pointer + part, meant=meant)
            if found is not _NOTHING:
                kept[name] = found
        return kept or _NOTHING

    def _array(self, value: list[Any], place: _Place, pointer: str, meant: bool) -> Any:
        kept = []
        below = None if place.open_map else place.inside
        about = self._about(value) if place.recipients else None
        for index, inside in enumerate(value):
            item_meant = meant and (about is None or about[index])
            found = self.value(inside, below, f"{pointer}/{index}", meant=item_meant)
            if found is not _NOTHING:
                kept.append(found)
        return kept or _NOTHING

    def _about(self, items: Sequence[Any]) -> list[bool] | None:
        """
        Which items of a list that names recipients are about this one; None, for all, when the list does not name it.
        """
        own = [_names_recipient(item, self._recipient) for item in items]
        return own if any(own) else None


def _names_recipient(item: Any, siret: str) -> bool:
    if isinstance(item, dict):
        return item.get("siret") == siret or siret in item.get("recipients", ())
    return bool(item == siret)
