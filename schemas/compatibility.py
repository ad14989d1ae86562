"""
What changed between two versions of a schema, and whether it breaks those who use the older one.

Breaking: a document that was valid is refused; a property that readers rely on is gone; a property moved to another
data category, so that conventions signed before would now let it leave, or stop it, without anybody having agreed.
Not breaking: a new optional property, a new code, a wider bound. Readers tolerate what they do not know, except in strict
objects (those without `x-tolerant`): an addition there is said apart, since older readers refuse it, as they must.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Any, Final

from jsonschema_rs import canonicalize
from jsonschema_rs.canonical import Containment

from schemas.positions import escape
from schemas.references import ANY, Place, References, Schema, annotation, children

_SENSITIVITIES: Final = ("ordinary", "special", "nir", "secret")
_ALL_TYPES: Final = frozenset({"null", "boolean", "object", "array", "number", "integer", "string"})
_CLOSING: Final = ("additionalProperties", "unevaluatedProperties", "items", "unevaluatedItems")
_BOUNDS: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties",
                  "minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")  # fmt: skip
_FORMS: Final = ("pattern", "format", "multipleOf")
# Rules that combine schemas: compared as a whole.
_COMBINED: Final = frozenset({"anyOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas",
                              "propertyNames", "contains", "maxContains", "minContains", "uniqueItems"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """
    One difference between two versions of a schema.

    `code` is a stable word, `pattern` the place in a document (`/reasons/*/code`), and the sentences say why it breaks
    or does not.
    """

    code: str
    pattern: str
    breaking: bool
    message_fr: str
    message_en: str


_SENTENCES: Final = {
    "property_removed": ("Propriété retirée : les lecteurs qui s'en servent ne la trouvent plus.", "Property removed: readers that use it no longer find it."),
    "property_added": ("Propriété ajoutée : elle est facultative.", "Property added: it is optional."),
    "property_added_strict": ("Propriété ajoutée à un objet strict : elle est facultative, mais un lecteur resté à une version plus ancienne refuse le document qui l'emploie.", "Property added to a strict object: it is optional, but a reader of an older version refuses a document that uses it."),
    "required_added": ("Devenue obligatoire : les documents qui ne l'ont pas sont désormais refusés.", "Now required: documents without it are refused from now on."),
    "required_removed": ("N'est plus obligatoire.", "No longer required."),
    "type_narrowed": ("Types admis moins nombreux.", "Fewer types are allowed."),
    "type_widened": ("Types admis plus nombreux.", "More types are allowed."),
    "enum_narrowed": ("Des codes ne sont plus admis.", "Some codes are no longer allowed."),
    "enum_widened": ("De nouveaux codes sont admis : un lecteur les rattache à leur parent.", "New codes are allowed: a reader takes them for their parent."),
    "bounds_tightened": ("Borne resserrée : des valeurs admises sont désormais refusées.", "Tighter bound: values that were allowed are refused from now on."),
    "bounds_loosened": ("Borne élargie.", "Wider bound."),
    "form_tightened": ("Forme changée : des valeurs admises peuvent être désormais refusées.", "Form changed: values that were allowed may be refused from now on."),
    "form_loosened": ("Contrainte de forme levée ou élargie.", "Constraint on the form lifted or widened."),
    "closed": ("Objet fermé : les propriétés inconnues sont désormais refusées.", "Closed object: unknown properties are refused from now on."),
    "opened": ("Objet ouvert aux propriétés inconnues.", "Object open to unknown properties."),
    "tolerance_removed": ("Objet devenu strict : les lecteurs refuseront ce qu'une version plus récente y ajoutera.", "Object now strict: readers will refuse what a newer version adds to it."),
    "tolerance_added": ("Objet devenu tolérant : les lecteurs y ignorent ce qu'ils ne connaissent pas.", "Object now tolerant: readers ignore in it what they do not know."),
    "rule_tightened": ("Règle combinée changée : des documents admis peuvent être désormais refusés.", "Combined rule changed: documents that were allowed may be refused from now on."),
    "rule_loosened": ("Règle combinée assouplie.", "Combined rule relaxed."),
    "category_raised": ("Donnée plus sensible qu'avant : les conventions signées ne la couvrent plus.", "More sensitive data than before: signed conventions no longer cover it."),
    "category_changed": ("Catégorie changée : les conventions signées laisseraient passer autre chose que ce qui a été convenu.", "Category changed: signed conventions would let something else pass than what was agreed."),
}  # fmt: skip
_BREAKING: Final = frozenset(
    {"property_removed", "required_added", "type_narrowed", "enum_narrowed", "bounds_tightened", "form_tightened",
     "closed", "tolerance_removed", "rule_tightened", "category_raised", "category_changed"}
)  # fmt: skip


def diff(old: Schema, new: Schema, resources: Iterable[Schema] = ()) -> list[Change]:
    """
    The changes from one schema to another, breaking ones first, then by place.

    `resources` are the other schemas that both may refer to; a schema embedded in `old` or `new` is preferred.
    Raises UnknownReference when a `$ref` leads nowhere: nothing is fetched.
    """
    shared = list(resources)
    before, after = References([old, *shared]), References([new, *shared])
    changes = _Comparison(before, after).changes(References.root(old), References.root(new))
    return sorted(changes, key=lambda change: (not change.breaking, change.pattern, change.code))


@dataclass(frozen=True, slots=True)
class _Pair:
    """
    The same place in both versions: its pattern, the schemas that may describe it, those that always apply, those above it.
    """

    pattern: str
    olds: list[Place]
    news: list[Place]
    old_certain: list[Place]
    new_certain: list[Place]
    above: frozenset[int]


class _Comparison:
    """
    Walks two schemas side by side, by place in the document.
    """

    def __init__(self, before: References, after: References) -> None:
        self._before = before
        self._after = after

    def changes(self, old: Place, new: Place) -> Iterator[Change]:
        """
        Every change. Two lists of schemas go along: all that may describe a place (who reads it, what it is), and those that
        always apply there (what is accepted); what only a branch says is compared with the rule that has the branch.
        """
        waiting = [_Pair("", [old], [new], [old], [new], frozenset())]
        while waiting:
            pair = waiting.pop()
            old_parts, new_parts = self._before.parts(pair.olds), self._after.parts(pair.news)
            for code in _category_change(old_parts, new_parts):
                yield _change(code, pair.pattern)
            old_certain = self._before.certain_parts(pair.old_certain)
            new_certain = self._after.certain_parts(pair.new_certain)
            yield from self._rules(pair.pattern, old_certain, new_certain)
            old_inside, new_inside = children(old_parts), children(new_parts)
            for name in old_inside.keys() ^ new_inside.keys():
                if name in old_inside:
                    yield _change("property_removed", f"{pair.pattern}/{escape(name)}")
                elif name != ANY and name not in _required(new_certain):
                    refused = _closed(old_parts) and not _tolerant(old_parts)
                    added = "property_added_strict" if refused else "property_added"
                    yield _change(added, f"{pair.pattern}/{escape(name)}")
            below = pair.above | {id(part.schema) for part in old_parts}
            old_always, new_always = children(old_certain), children(new_certain)
            for name in old_inside.keys() & new_inside.keys():
                # A schema that contains itself: its second turn has already been compared.
                if not all(id(place.schema) in pair.above for place in old_inside[name]):
                    pattern, always = (
                        f"{pair.pattern}/{escape(name)}",
                        (old_always.get(name, []), new_always.get(name, [])),
                    )
                    waiting.append(_Pair(pattern, old_inside[name], new_inside[name], *always, below))

    def _rules(self, pattern: str, old: list[Place], new: list[Place]) -> Iterator[Change]:
        """
        The changes of what is accepted at one place, among the rules that always apply there.
        """
        codes = [*_type_change(old, new), *_enum_change(old, new), *_bounds_change(old, new)]
        codes += [*_form_change(old, new), *_openness_change(old, new), *_tolerance_change(old, new)]
        was_combined, now_combined = _combined(self._before, old), _combined(self._after, new)
        if was_combined != now_combined:
            loosened = _covers(now_combined, was_combined) or self._covers_whole(old, new)
            codes.append("rule_loosened" if loosened else "rule_tightened")
        for code in dict.fromkeys(codes):
            yield _change(code, pattern)
        was, now = _required(old), _required(new)
        for name in was ^ now:
            yield _change("required_added" if name in now else "required_removed", f"{pattern}/{escape(name)}")

    def _covers_whole(self, old: list[Place], new: list[Place]) -> bool:
        """
        The same proof on everything said of the place: a rule may be about values that were not allowed before.
        """
        wholes = [self._after.constraints(part) for part in new], [self._before.constraints(part) for part in old]
        return _covers(*wholes)


def _change(code: str, pattern: str) -> Change:
    return Change(code, pattern, code in _BREAKING, *_SENTENCES[code])


def _category_change(old: list[Place], new: list[Place]) -> Iterator[str]:
    was, now = (annotation(old, "x-category"), _rank(old)), (annotation(new, "x-category"), _rank(new))
    # What had no category never left: giving it one is adding a property.
    if was[0] is not None and was != now:
        yield "category_raised" if now[1] > was[1] else "category_changed"


def _rank(parts: list[Place]) -> int:
    sensitivity = annotation(parts, "x-sensitivity") or _SENSITIVITIES[0]
    return _SENSITIVITIES.index(sensitivity) if sensitivity in _SENSITIVITIES else len(_SENSITIVITIES)


def _required(parts: Iterable[Place]) -> frozenset[str]:
    return frozenset(name for part in parts for name in part.schema.get("required", ()))


def _type_change(old: list[Place], new: list[Place]) -> Iterator[str]:
    was, now = _types(old), _types(new)
    if not was <= now:
        yield "type_narrowed"
    elif was != now:
        yield "type_widened"


def _types(parts: list[Place]) -> frozenset[str]:
    allowed = _ALL_TYPES
    for part in parts:
        declared = part.schema.get("type", [])
        names = frozenset([declared] if isinstance(declared, str) else declared) or _ALL_TYPES
        allowed &= names | {"integer"} if "number" in names else names
    return allowed


def _enum_change(old: list[Place], new: list[Place]) -> Iterator[str]:
    was, now = _codes(old), _codes(new)
    if now is not None and (was is None or not was <= now):
        yield "enum_narrowed"
    elif was != now:
        yield "enum_widened"


def _codes(parts: list[Place]) -> frozenset[str] | None:
    allowed: frozenset[str] | None = None
    for part in parts:
        lists = [part.schema["enum"]] if "enum" in part.schema else []
        lists += [[part.schema["const"]]] if "const" in part.schema else []
        for values in lists:
            codes = frozenset(json.dumps(value, sort_keys=True) for value in values)
            allowed = codes if allowed is None else allowed & codes
    return allowed


def _bounds_change(old: list[Place], new: list[Place]) -> Iterator[str]:
    for keyword in _BOUNDS:
        was, now = _bound(keyword, old), _bound(keyword, new)
        if now > was:
            yield "bounds_tightened"
        elif now < was:
            yield "bounds_loosened"


def _bound(keyword: str, parts: list[Place]) -> float:
    """
    How tight the bound is: a lower bound as it is, an upper one negated, nothing at all -inf.
    """
    sign = -1 if "ax" in keyword else 1
    return max((sign * part.schema[keyword] for part in parts if keyword in part.schema), default=-inf)


def _form_change(old: list[Place], new: list[Place]) -> Iterator[str]:
    was, now = _forms(old), _forms(new)
    if now - was:
        yield "form_tightened"
    elif was != now:
        yield "form_loosened"


def _forms(parts: list[Place]) -> frozenset[tuple[str, str]]:
    return frozenset((word, str(part.schema[word])) for part in parts for word in _FORMS if word in part.schema)


def _openness_change(old: list[Place], new: list[Place]) -> Iterator[str]:
    was, now = _closed(old), _closed(new)
    if was != now:
        yield "closed" if now else "opened"


def _tolerance_change(old: list[Place], new: list[Place]) -> Iterator[str]:
    was, now = _tolerant(old), _tolerant(new)
    if was != now and _closed(old) and _closed(new):
        yield "tolerance_added" if now else "tolerance_removed"


def _tolerant(parts: list[Place]) -> bool:
    return any(part.schema.get("x-tolerant") is True for part in parts)


def _closed(parts: list[Place]) -> bool:
    return any(part.schema.get(word) is False for part in parts for word in _CLOSING)


def _combined(references: References, parts: list[Place]) -> list[dict[str, Any]]:
    rules = ({k: v for k, v in references.constraints(part).items() if k in _COMBINED} for part in parts)
    return [rule for rule in rules if rule]


def _covers(new: list[dict[str, Any]], old: list[dict[str, Any]]) -> bool:
    """
    Whether it is proved that what `old` accepts, `new` accepts; "unknown" is not a proof.
    """
    covering = canonicalize({"allOf": new} if new else True).covers(canonicalize({"allOf": old} if old else True))
    return covering == Containment.YES
