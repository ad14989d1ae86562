"""
The rules that bind several properties of an object, said in words: one of these sets, if this then that, never that.

The schemas use few shapes of them; a shape that has no words here is shown as it is written, never left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from gateway.console.schema_texts import RULES, Language, spaced
from schemas.references import Place, Schema

_KEYWORDS: Final = ("anyOf", "oneOf", "not", "if", "dependentRequired", "dependentSchemas", "contains")
_INLINE: Final = 6
"""Codes that a sentence can hold; more are listed under it."""


class Unsaid(Exception):
    """
    There are no words for a shape of rule.
    """


@dataclass(frozen=True, slots=True)
class Rule:
    """
    One rule: its sentence, and the codes it speaks of when they are too many for the sentence, with their list.
    """

    sentence: Markup
    codes: tuple[str, ...] = ()
    code_list: str | None = None


def rules(parts: list[Place], lists: Mapping[str, str], language: Language) -> list[Rule]:
    """
    The rules of an object: `parts` are the schemas that always apply to it, `lists` the code list of each property.
    """
    return [_rule(part.schema, word, lists, language) for part in parts for word in _KEYWORDS if word in part.schema]


def _rule(schema: Schema, keyword: str, lists: Mapping[str, str], language: Language) -> Rule:
    words = _Words(language)
    try:
        match keyword:
            case "anyOf":
                return Rule(words.say("sets", words.join("or", [words.set_of(branch) for branch in schema["anyOf"]])))
            case "not":
                return Rule(words.say("never", words.values(schema["not"])))
            case "if" if "then" in schema and "else" not in schema:
                sentence = words.say("if", words.values(schema["if"]), words.consequence(schema["then"]))
                return Rule(sentence, *_long_codes(schema, lists))
    except Unsaid:
        pass
    raw = {word: schema[word] for word in (keyword, "then", "else") if word in schema}
    return Rule(words.say("other", _code(raw)))


def _long_codes(rule: Schema, lists: Mapping[str, str]) -> tuple[tuple[str, ...], str | None]:
    """
    The codes that need their labels, or a place under the sentence, with their list: the scheme that the condition names,
    or the property's own.
    """
    asked = rule["if"].get("properties", {})
    scheme = asked.get("scheme", {}).get("const")
    for name, found in [*asked.items(), *rule["then"].get("properties", {}).items()]:
        if len(codes := found.get("enum", ())) > (0 if scheme else _INLINE):
            return tuple(codes), scheme or lists.get(name)
    return (), None


class _Words:
    """
    Says parts of rules in one language.
    """

    def __init__(self, language: Language) -> None:
        self._words = {name: spaced(text, language) for name, text in RULES[language].items()}

    def say(self, name: str, *parts: Any) -> Markup:
        """A sentence of this project, with its parts escaped."""
        return Markup(self._words[name]).format(*parts)  # noqa: S704

    def join(self, name: str, parts: list[Markup]) -> Markup:
        """Parts one after the other; nothing to say is an error."""
        if not parts:
            raise Unsaid
        return Markup(self._words[name]).join(parts)  # noqa: S704

    def names(self, found: list[str]) -> Markup:
        """`a`, `b` and `c`."""
        shown = [_code(name) for name in found]
        return self.join("and", [self.join("comma", shown[:-1]), shown[-1]]) if len(shown) > 1 else shown[0]

    def set_of(self, schema: Schema) -> Markup:
        """Properties that are enough together, and what their values must be."""
        if schema.keys() - {"required", "properties"} or not schema.get("required"):
            raise Unsaid
        names = self.names(schema["required"])
        if "properties" not in schema:
            return names
        return self.say("where", names, self.values({"properties": schema["properties"]}))

    def values(self, schema: Schema) -> Markup:
        """Values of properties; that a property must be there to have one goes without saying."""
        asked = schema.get("properties", {})
        if schema.keys() - {"properties", "required"} or not set(schema.get("required", ())) <= asked.keys():
            raise Unsaid
        said = [self.say("of", _code(name), self.value(found)) for name, found in asked.items()]
        return self.join("and", said)

    def consequence(self, schema: Schema) -> Markup:
        """What must then hold: properties that must be there, their values, or one of several sets."""
        if schema.keys() - {"properties", "required", "anyOf"}:
            raise Unsaid
        said = []
        if required := schema.get("required"):
            said.append(self.say("required" if len(required) == 1 else "are_required", self.names(required)))
        if "properties" in schema:
            said.append(self.values({"properties": schema["properties"]}))
        if "anyOf" in schema:
            said.append(self.say("needs", self.join("or", [self.set_of(branch) for branch in schema["anyOf"]])))
        return self.join("and", said)

    def value(self, schema: Schema) -> Markup:
        """What a value must be: "is at least 12 and at most 24"."""
        said = []
        for keyword, value in schema.items():
            match keyword, value:
                case "enum", list() if len(value) > _INLINE:
                    said.append(self.say("one_of_listed", len(value)))
                case "enum", list():
                    said.append(self.say("one_of", self.join("comma", [_code(code) for code in value])))
                case "minItems", 1:
                    said.append(self.say("filled"))
                case "not", {"const": refused}:
                    said.append(self.say("is_not", _code(refused)))
                case (("const" | "pattern"), _):
                    said.append(self.say(keyword, _code(value)))
                case (("minimum" | "maximum" | "minItems" | "maxItems"), _):
                    said.append(self.say(keyword, value))
                case _:
                    raise Unsaid
        return self.join("and", said)


def _code(value: object) -> Markup:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return Markup("<code>{}</code>").format(text)
