"""
Following `$ref` from schema to schema, offline: only what was given is ever found.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import unquote, urldefrag, urljoin

Schema: TypeAlias = Mapping[str, Any]

# Keywords whose value is a schema, a list of schemas or a map of schemas (JSON Schema 2020-12, core sections 10 and 11).
_ONE = ("items", "contains", "additionalProperties", "unevaluatedProperties", "unevaluatedItems", "propertyNames",
        "if", "then", "else", "not")  # fmt: skip
_MANY = ("allOf", "anyOf", "oneOf", "prefixItems")
_ASSERTIONS = frozenset({"type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum",
                        "maxLength", "minLength", "pattern", "format", "maxItems", "minItems", "uniqueItems", "maxContains",
                        "minContains", "maxProperties", "minProperties", "required", "dependentRequired"})  # fmt: skip
_NAMED = ("properties", "patternProperties", "dependentSchemas", "$defs")
ANY: Final = "*"
_BRANCHES = ("allOf", "anyOf", "oneOf", "then", "else")


class UnknownReference(LookupError):
    """
    A `$ref` leads to a schema that is not among those given; schemas are never fetched.
    """


@dataclass(frozen=True, slots=True)
class Place:
    """
    A schema and the URI against which its own references are read.
    """

    schema: Schema
    base: str

    def at(self, keyword: str, *path: str | int) -> "Place":
        """
        The sub-schema under a keyword; `true` and `false` are given as the schemas they stand for.
        """
        found: Any = self.schema[keyword]
        for part in path:
            found = found[part]
        if isinstance(found, bool):
            found = {} if found else {"not": {}}
        return Place(found, urljoin(self.base, found["$id"]) if "$id" in found else self.base)


class References:
    """
    A closed set of schemas, indexed by their `$id`, in which references resolve.
    """

    def __init__(self, schemas: Iterable[Schema]) -> None:
        self._resources: dict[str, Schema] = {}
        self._anchors: dict[tuple[str, str], Place] = {}
        for schema in schemas:
            self._index(self.root(schema))

    @staticmethod
    def root(schema: Schema) -> Place:
        """
        The place of a whole schema file.
        """
        return Place(schema, schema.get("$id", ""))

    def _index(self, place: Place) -> None:
        if "$id" in place.schema or not place.base:
            self._resources.setdefault(place.base, place.schema)
        if anchor := place.schema.get("$anchor"):
            self._anchors[place.base, anchor] = place
        for child in subschemas(place):
            self._index(child)

    def resolve(self, reference: str, base: str) -> Place:
        """
        The schema that `reference` means when read in a schema whose URI is `base`. Raises UnknownReference.
        """
        uri, fragment = urldefrag(urljoin(base, reference))
        try:
            if fragment and not fragment.startswith("/"):
                return self._anchors[uri, fragment]
            place = Place(self._resources[uri], uri)
            parts = [unquote(part).replace("~1", "/").replace("~0", "~") for part in fragment.split("/")[1:]]
            schema: Any = place.schema
            for part in parts:
                schema = schema[int(part) if isinstance(schema, list) else part]
                if isinstance(schema, dict) and isinstance(schema.get("$id"), str):
                    uri = urljoin(uri, schema["$id"])
        except (KeyError, IndexError, ValueError):
            raise UnknownReference(f"{reference} in {base or 'a schema without $id'}") from None
        return Place({} if schema is True else schema, uri)

    def parts(self, places: Iterable[Place]) -> list[Place]:
        """
        Everything that may describe the value that `places` describe: themselves, what they refer to, their allOf, anyOf
        and oneOf branches, their `then` and `else`; nearest first.
        """
        return [part for place in places for part in self._reach(place, _BRANCHES, frozenset())]

    def certain_parts(self, places: Iterable[Place]) -> list[Place]:
        """
        Only what always applies to the value: themselves, what they refer to, their allOf branches.
        """
        return [part for place in places for part in self._reach(place, ("allOf",), frozenset())]

    def _reach(self, place: Place, branches: tuple[str, ...], seen: frozenset[int]) -> Iterator[Place]:
        if id(place.schema) in seen:  # schemas may refer to each other in a ring
            return
        seen = seen | {id(place.schema)}
        yield place
        if "$ref" in place.schema:
            yield from self._reach(self.resolve(place.schema["$ref"], place.base), branches, seen)
        for keyword in branches:
            if keyword in _MANY:
                for index in range(len(place.schema.get(keyword, ()))):
                    yield from self._reach(place.at(keyword, index), branches, seen)
            elif keyword in place.schema:
                yield from self._reach(place.at(keyword), branches, seen)

    def constraints(self, place: Place, seen: frozenset[int] = frozenset()) -> Any:
        """
        A schema as plain JSON that accepts the same values: references replaced by what they mean, annotations left out.

        A schema that contains itself accepts anything from its second turn on.
        """
        schema: dict[str, Any] = {
            keyword: value
            for keyword, value in place.schema.items()
            if keyword in _ASSERTIONS or (keyword in _ONE and isinstance(value, bool))
        }
        if id(place.schema) in seen:
            return {}
        seen = seen | {id(place.schema)}
        for keyword in _ONE:
            if isinstance(place.schema.get(keyword), dict):
                schema[keyword] = self.constraints(place.at(keyword), seen)
        for keyword in _MANY:
            if keyword in place.schema:
                count = range(len(place.schema[keyword]))
                schema[keyword] = [self.constraints(place.at(keyword, index), seen) for index in count]
        for keyword in _NAMED[:-1]:
            if keyword in place.schema:
                schema[keyword] = {n: self.constraints(place.at(keyword, n), seen) for n in place.schema[keyword]}
        if "$ref" in place.schema:
            target = self.constraints(self.resolve(place.schema["$ref"], place.base), seen)
            schema["allOf"] = [*schema.get("allOf", ()), target]
        return schema


def children(parts: Iterable[Place]) -> dict[str, list[Place]]:
    """
    What may be inside a value described by `parts`: the schemas of each property by name, and under `*` those of the
    items of an array or of the values of an open map.
    """
    found: dict[str, list[Place]] = {}
    for part in parts:
        for name, child in _inside(part):
            found.setdefault(name, []).append(child)
    return found


def annotation(parts: Iterable[Place], keyword: str) -> Any:
    """
    What the nearest of `parts` says under a keyword, or None.
    """
    return next((part.schema[keyword] for part in parts if keyword in part.schema), None)


def _inside(part: Place) -> Iterator[tuple[str, Place]]:
    for name in part.schema.get("properties", {}):
        yield name, part.at("properties", name)
    for name in part.schema.get("patternProperties", {}):
        yield ANY, part.at("patternProperties", name)
    for index in range(len(part.schema.get("prefixItems", ()))):
        yield ANY, part.at("prefixItems", index)
    for keyword in ("items", "additionalProperties", "unevaluatedProperties"):
        # `true` and `false` say nothing of what is inside.
        if isinstance(part.schema.get(keyword), dict):
            yield ANY, part.at(keyword)


def subschemas(place: Place) -> Iterator[Place]:
    """
    The schemas written directly inside a schema.
    """
    schema = place.schema
    for keyword in _ONE:
        if isinstance(schema.get(keyword), dict):
            yield place.at(keyword)
    for keyword in _MANY:
        for index, child in enumerate(schema.get(keyword, ())):
            if isinstance(child, dict):
                yield place.at(keyword, index)
    for keyword in _NAMED:
        for name, child in schema.get(keyword, {}).items():
            if isinstance(child, dict):
                yield place.at(keyword, name)
