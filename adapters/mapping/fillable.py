"""
Every place of a shared document that a rule may fill, as a person who writes a mapping needs to see it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from adapters.mapping.grammar import KINDS
from adapters.mapping.places import places, target, types
from schemas import Kind, code_list, code_lists
from schemas.identity import fold
from schemas.labels import Node
from schemas.references import ANY, Place, annotation
from schemas.registry import fields, references

_BY_THE_GATEWAY: Final = frozenset({"/kind", "/schema_version", "/id", "/sender/siret", "/sender/name"})
_GIVEN: Final = frozenset({"created_at", "purpose", "sender"})
_TYPES: Final = {"string": "texte", "integer": "nombre entier", "number": "nombre", "boolean": "oui ou non"}
_FORMATS: Final = {
    "date": "date",
    "partial_date": "date (jour ou mois inconnus admis)",
    "date-time": "date et heure",
    "siret": "SIRET",
    "nir": "NIR",
    "cog_commune": "code Insee de commune",
    "cog_country": "code Insee de pays",
}


@dataclass(frozen=True, slots=True)
class Fillable:
    """
    One place: its target as a mapping writes it, what it is called from the outside in, what it takes, when it is needed.

    `title_en` is its own name in English. `required` is a clause in French, "" when the place may stay empty. `code_list` is
    the list whose codes it takes, "" when it takes any value; `codes` are those of them that it takes, when not all.
    `category` is the sort of data it is (identity, contact, health…), which conventions and agreements name; "" for none.
    `schemes` are what may stand instead in its `[scheme=…]`. `nom_choisi` in a target stands for a name of one's own.
    """

    kind: str
    target: str
    title_fr: str
    title_en: str
    type_fr: str
    required: str
    code_list: str
    codes: tuple[str, ...]
    schemes: tuple[str, ...]
    description_fr: str
    category: str

    def matches(self, words: Iterable[str]) -> bool:
        """
        Whether each of these words, without case or accents, is in what is said of the place.
        """
        said = fold(
            " ".join((self.target, self.title_fr, self.title_en, self.code_list, self.description_fr, self.category))
        )
        return all(fold(word) in said for word in words)


@cache
def fillable(kind: Kind) -> tuple[Fillable, ...]:
    """
    The places of a kind, in the order of its schema.
    """
    known = places(kind)
    # The walk gives the last property first: turned round, the leaves are in the order of the schema.
    leaves = [node for node in reversed([*known.values()]) if node.leaf and node.pattern not in _BY_THE_GATEWAY]
    return tuple(_described(kind, known, node) for node in leaves)


def search(kinds: Iterable[Kind] = KINDS, words: Iterable[str] = ()) -> Iterator[Fillable]:
    """
    The places of these kinds that are about all these words.
    """
    wanted = tuple(words)
    return (place for kind in kinds for place in fillable(kind) if place.matches(wanted))


def _described(kind: Kind, known: Mapping[str, Node], node: Node) -> Fillable:
    labels = fields(kind)
    name, schemes = node.pattern.rpartition("/")[2], tuple[str, ...]()
    sibling, scheme, written = known.get(f"{node.container}/scheme"), "", target(node.pattern)
    if name == ANY and "object" in types(known[node.container]):
        written = f"{target(node.container)}.nom_choisi"
    elif sibling is not None and sibling is not node and node.container.endswith(f"/{ANY}"):
        schemes = _codes_of(sibling)
        scheme = schemes[0] if schemes else "nom_choisi"
        written = f"{target(node.container)[:-2]}[scheme={scheme}].{name}"
    is_code = name == "code" and scheme in code_lists()
    codes = _under(known[node.container], scheme) if is_code else _codes_of(node)
    listed = scheme if is_code else annotation(node.parts, "x-code-list") or ""
    names = dict.fromkeys(_title(each) for each in (*_above(known, node), node))
    return Fillable(
        kind=kind.value,
        target=written,
        title_fr=" › ".join(names),
        title_en=annotation(node.parts, "x-title-en") or "",
        type_fr=_type(node),
        required=_required(known, node.pattern),
        code_list=listed,
        codes=codes if listed and set(codes) != set(code_list(listed)) else (),
        schemes=schemes[1:] if name in {"code", "value"} else (),
        description_fr=annotation(node.parts, "description") or "",
        category=labels[node.pattern].category if node.pattern in labels else "",
    )


def _above(known: Mapping[str, Node], node: Node) -> Iterator[Node]:
    """
    What a place is in, from the outside, without the document itself.
    """
    names = node.pattern.split("/")[1:-1]
    for depth in range(1, len(names) + 1):
        yield known["/" + "/".join(names[:depth])]


def _codes_of(node: Node) -> tuple[str, ...]:
    allowed = annotation(node.parts, "enum")
    if allowed:
        return tuple(map(str, allowed))
    listed = annotation(node.parts, "x-code-list")
    return tuple(code_list(listed)) if listed else ()


def _under(container: Node, scheme: str) -> tuple[str, ...]:
    """
    The codes that an item takes under a scheme: those that the schema names for it, else all of its list.
    """
    for part in container.parts:
        for clause in part.schema.get("allOf", ()):
            if _property(clause.get("if"), "scheme").get("const") == scheme:
                return tuple(_property(clause.get("then"), "code").get("enum", code_list(scheme)))
    return tuple(code_list(scheme))


def _property(schema: Any, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (schema or {}).get("properties", {}).get(name, {})
    return found


def _type(node: Node) -> str:
    said = annotation(node.parts, "format")
    if said in _FORMATS:
        return _FORMATS[said]
    return " ou ".join(_TYPES[each] for each in sorted(types(node)) if each in _TYPES) or "texte"


def _required(known: Mapping[str, Node], pattern: str) -> str:
    """
    When a place must be filled: always, once what it is in is begun, as one way among several, or never ("").
    """
    node = known[pattern]
    holder, name = known[node.container], pattern.rpartition("/")[2]
    if name == ANY:
        return _required(known, node.container)
    certain = references().certain_parts(holder.parts[:1])
    if not any(name in part.schema.get("required", ()) for part in certain):
        return _choice(certain, holder, name)
    if not holder.pattern:
        return "" if name in _GIVEN else "obligatoire"
    begun = holder.pattern.endswith(f"/{ANY}") or _required(known, holder.pattern) != "obligatoire"
    return f"obligatoire dans « {_title(holder)} »" if begun else "obligatoire"


def _choice(certain: Iterable[Place], holder: Node, name: str) -> str:
    for part in certain:
        ways = [branch.get("required", []) for branch in part.schema.get("anyOf", ()) if isinstance(branch, dict)]
        if any(name in way for way in ways):
            return f"l'un suffit pour « {_title(holder)} » : {' ; '.join(' + '.join(way) for way in ways if way)}"
    return ""


def _title(node: Node) -> str:
    return annotation(node.parts, "title") or target(node.pattern)
