"""
A schema as its page shows it: one section per object, one row per property, in the order of the schema.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from gateway.console.schema_rules import Rule, rules
from gateway.console.schema_texts import FORMATS, TYPES, Language, spaced
from schemas import code_list, schema
from schemas.positions import escape
from schemas.references import ANY, Place, References, annotation, children
from schemas.registry import references


@dataclass(frozen=True, slots=True)
class Labelled:
    """
    A code and its label in the language of the page.
    """

    code: str
    label: str


@dataclass(frozen=True, slots=True)
class Row:
    """
    One property: `pattern` is its place in a document, `section` the place of the table of what is inside it, `pattern_of`
    the regular expression of its text, `codes` the codes allowed, which are of `code_list`, `also` the place of its items.
    """

    pattern: str
    name: str
    title: str
    description: str
    required: bool
    category: Labelled
    sensitivity: Labelled
    type: str
    pattern_of: str | None
    codes: tuple[Labelled, ...]
    code_list: str | None
    example: str | None
    section: str | None
    also: str | None


@dataclass(frozen=True, slots=True)
class Section:
    """
    One object and its properties; `pattern` is empty for the document itself.
    """

    pattern: str
    title: str
    description: str
    rows: tuple[Row, ...]
    rules: tuple[Rule, ...]
    strict: bool


@dataclass(slots=True)
class _Reader:
    """
    Reads one schema in one language.
    """

    language: Language
    sections: list[Section] = field(default_factory=list)

    def read(self, pattern: str, places: list[Place], title: str = "") -> None:
        """
        Add the section of an object, under the title of the property that holds it, then those of the objects inside it.
        """
        parts, certain = references().parts(places), references().certain_parts(places)
        required = {name for part in certain for name in part.schema.get("required", ())}
        # What only a rule says of a property is told with the rules.
        inside = children(parts) | children(certain)
        below: list[tuple[str, list[Place], str]] = []
        rows = []
        for name, found in inside.items():
            here = f"{pattern}/{escape(name)}"
            deeper, where = self._unwrapped(here, found)
            has_section = bool(set(children(references().parts(deeper))) - {ANY})
            rows.append(self._row(here, name, found, deeper, where, name in required, has_section))
            if has_section:
                below.append((where, deeper, rows[-1].title))
        own_title, description = self._words(parts)
        strict = not any(part.schema.get("x-tolerant") for part in parts)
        lists = {row.name: row.code_list for row in rows if row.code_list}
        said = tuple(rules(certain, lists, self.language))
        self.sections.append(Section(pattern, title or own_title, description, tuple(rows), said, strict))
        for inner in below:
            self.read(*inner)

    @staticmethod
    def _unwrapped(pattern: str, places: list[Place]) -> tuple[list[Place], str]:
        """
        What is inside lists (and objects with free names), and its pattern.
        """
        inside = children(references().certain_parts(places))
        while set(inside) == {ANY}:
            places, pattern = inside[ANY], f"{pattern}/{ANY}"
            inside = children(references().certain_parts(places))
        return places, pattern

    def _words(self, parts: list[Place]) -> tuple[str, str]:
        prefix = "" if self.language == "fr" else "x-"
        suffix = "" if self.language == "fr" else "-en"
        found = (annotation(parts, f"{prefix}{word}{suffix}") for word in ("title", "description"))
        title, description = (spaced(text or "", self.language) for text in found)
        return title, description

    def _row(
        self,
        pattern: str,
        name: str,
        places: list[Place],
        deeper: list[Place],
        where: str,
        required: bool,
        section: bool,
    ) -> Row:
        parts, innermost = references().parts(places), references().certain_parts(deeper)
        title, description = self._words(parts)
        listed = annotation(innermost, "x-code-list") or annotation(parts, "x-code-list")
        codes = annotation(innermost, "enum") or ()
        shown = annotation(parts, "examples") or annotation(innermost, "examples")
        return Row(
            pattern=pattern,
            name=name,
            title=title,
            description=description,
            required=required,
            category=labelled("data_category", annotation(parts, "x-category"), self.language),
            sensitivity=labelled("sensitivity", annotation(parts, "x-sensitivity"), self.language),
            type=spaced(self._type(places), self.language),
            pattern_of=annotation(innermost, "pattern"),
            codes=tuple(labelled(listed, code, self.language) for code in codes),
            code_list=listed,
            example=json.dumps(shown[0], ensure_ascii=False, indent=2 if section else None) if shown else None,
            section=where if section else None,
            also=None if section or where == pattern else where,
        )

    def _type(self, places: list[Place]) -> str:
        """
        The type in words: "texte, 200 caractères au plus", "liste de 1 à 20 : SIRET".
        """
        parts, words = references().certain_parts(places), TYPES[self.language]

        def said(keyword: str) -> Any:
            return annotation(parts, keyword)

        if (constant := said("const")) is not None:
            return words["const"].format(constant)
        if said("enum"):
            return words["code"]
        inside = children(parts)
        if said("type") == "array" or set(inside) == {ANY}:
            name = "array" if said("type") == "array" else "map"
            what = self._type(inside[ANY]) if ANY in inside else ""
            return f"{_bounded(words, name, said('minItems'), said('maxItems'))}{words['of']}{what}"
        if said("type") == "string" or said("format"):
            known = FORMATS[self.language].get(said("format"))
            longest = words["longest"].format(said("maxLength")) if said("maxLength") else ""
            return known or f"{words['string']}{longest}"
        return _bounded(words, said("type") or "string", said("minimum"), said("maximum"))


def _bounded(words: dict[str, str], name: str, least: int | None, most: int | None) -> str:
    if least is not None and most is not None:
        return words[name] + words["between"].format(least, most)
    if most is not None:
        return words[name] + words["at_most"].format(most)
    return words[name] + (words["at_least"].format(least) if least is not None else "")


def labelled(name: str | None, code: str, language: Language) -> Labelled:
    """
    A code with its label; a code whose list is not known is its own label.
    """
    found = code_list(name).get(code) if name else None
    if found is None:
        return Labelled(code, "")
    return Labelled(code, spaced(found.label_fr, "fr") if language == "fr" else found.label_en)


@cache
def sections(name: str, major: int, language: Language) -> tuple[Section, ...]:
    """
    The sections of a schema, the document itself first. Raises UnknownSchema.
    """
    reader = _Reader(language)
    reader.read("", [References.root(schema(name, major))])
    return tuple(reader.sections)


def rows(name: str, major: int, language: Language) -> Iterator[Row]:
    """
    All the properties of a schema, at every level.
    """
    for section in sections(name, major, language):
        yield from section.rows
