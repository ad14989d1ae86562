"""
What a flow may let leave: the labels of a schema put through the rules of the convention, once.

A leaf is kept when its category is one of the flow's, when `only` names it (if there is an `only`) and `except` does
not; never when it is secret; a NIR only towards a recipient entitled to it; a special category (RGPD art. 9) only
where the flow says so. What no schema labels does not exist here, and so never leaves.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from consent.conventions.structure import PSEUDONYM, names, prune
from schemas import Document, FieldLabel, Kind, fields

ENVELOPE: Final = "exchange"
"""The category of the technical envelope, without which there is no message: every flow and every agreement has it."""

NIR: Final = "nir"
SECRET: Final = "secret"  # noqa: S105 - the name of a data category
SPECIAL: Final = "special"

_TELLS_BY_ITSELF: Final = frozenset({Kind.STATUS, Kind.CONSENT})
"""The kinds whose envelope is the message: the state of a referral, the state of an agreement."""


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """
    The leaf patterns that a flow may let leave, in the parts that a decision puts together.

    `envelope` always leaves; `free` leaves when the flow needs no agreement (the envelope included); `by_category` is
    what an agreement that names the category lets leave; `special` is, by category, what needs an agreement even on a
    flow that requires none, since it is of a special category that the legal basis does not cover.
    """

    kind: Kind
    envelope: frozenset[str]
    free: frozenset[str]
    by_category: Mapping[str, frozenset[str]]
    special: Mapping[str, frozenset[str]]

    def agreed(self, categories: frozenset[str]) -> frozenset[str]:
        """
        What leaves on a flow that requires an agreement, when the agreement names these categories.
        """
        return _joined(self, self.envelope, False, categories)

    def unasked(self, categories: frozenset[str]) -> frozenset[str]:
        """
        What leaves on a flow that requires none, these categories being those of an agreement if there happens to be one.
        """
        return _joined(self, self.free, True, categories) if self.special and categories else self.free

    def urgent(self, categories: frozenset[str]) -> frozenset[str]:
        """
        What leaves without the agreement that the flow requires, when the glass is broken for these categories.

        Of special categories, only what the legal basis covers by itself: explicit consent cannot be presumed.
        """
        return _urgent(self, categories)

    def says_something(self, patterns: frozenset[str]) -> bool:
        """
        Whether these patterns, computed by this mask, tell more than that a message exists.
        """
        if self.kind in _TELLS_BY_ITSELF:
            return bool(patterns)
        return len(patterns) > len(self.envelope)

    @property
    def widest(self) -> frozenset[str]:
        """
        The most that the flow can ever let leave, under the widest agreement.
        """
        return self.agreed(frozenset(self.by_category))


@lru_cache(maxsize=8192)
def _joined(mask: Mask, base: frozenset[str], special_only: bool, categories: frozenset[str]) -> frozenset[str]:
    # Remembered: few sets of categories exist, and the same answer being the same object makes the projection cheap.
    parts = mask.special if special_only else mask.by_category
    return prune(mask.kind, base.union(*[parts[category] for category in categories if category in parts]))


@lru_cache(maxsize=1024)
def _urgent(mask: Mask, categories: frozenset[str]) -> frozenset[str]:
    named = mask.envelope.union(
        *[mask.by_category[category] for category in categories if category in mask.by_category]
    )
    return prune(mask.kind, named & (mask.free | mask.envelope))


@dataclass(frozen=True, slots=True)
class Rule:
    """
    What decides of a mask: what the flow says, and what its convention says of its recipient and of its legal basis.

    `only` is None when the flow has no such list. `nir_entitled` is about the recipient; `basis_covers_special` says that
    the legal basis by itself allows the special categories (a point of RGPD art. 9(2) other than explicit consent).
    """

    kind: Kind
    categories: frozenset[str]
    only: frozenset[str] | None
    excepted: frozenset[str]
    special_categories: bool
    nir_entitled: bool
    basis_covers_special: bool

    @classmethod
    def of_flow(cls, flow: Document, *, nir_entitled: bool, basis_covers_special: bool) -> "Rule":
        """
        The rule of a flow of a convention's document.
        """
        return cls(
            kind=Kind(flow["kind"]),
            categories=frozenset(flow["categories"]),
            only=frozenset(flow["only"]) if "only" in flow else None,
            excepted=frozenset(flow.get("except", ())),
            special_categories=flow.get("special_categories", False),
            nir_entitled=nir_entitled,
            basis_covers_special=basis_covers_special,
        )

    def keeps(self, label: FieldLabel) -> bool:
        """
        Whether a leaf may leave under this rule, an agreement being set aside.
        """
        if label.pattern == PSEUDONYM:
            return True
        marks = (label.category, label.sensitivity)
        forbidden = (
            SECRET in marks
            or (NIR in marks and not self.nir_entitled)
            or (label.sensitivity == SPECIAL and not self.special_categories)
            or any(names(pattern, label.pattern) for pattern in self.excepted)
        )
        if forbidden or label.category == ENVELOPE:
            return not forbidden
        named = self.only is None or any(names(pattern, label.pattern) for pattern in self.only)
        return named and label.category in self.categories


@lru_cache(maxsize=4096)
def mask_of(rule: Rule) -> Mask:
    """
    The mask of a rule; remembered, since the conventions of a territory have most of their flows in common.
    """
    kept = [label for label in fields(rule.kind).values() if rule.keeps(label)]
    asked = [] if rule.basis_covers_special else [label for label in kept if label.sensitivity == SPECIAL]
    envelope = frozenset(label.pattern for label in kept if label.category == ENVELOPE)
    free = frozenset(label.pattern for label in kept).difference(label.pattern for label in asked)
    return Mask(
        kind=rule.kind,
        envelope=prune(rule.kind, envelope),
        free=prune(rule.kind, free),
        by_category=_by_category(kept),
        special=_by_category(asked),
    )


def _by_category(labels: Iterable[FieldLabel]) -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for label in labels:
        found.setdefault(label.category, set()).add(label.pattern)
    return MappingProxyType({category: frozenset(patterns) for category, patterns in found.items()})
