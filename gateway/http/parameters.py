"""
What is wrong with a parameter of the address or a header, in a sentence: FastAPI's own answer would echo what was sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from schemas import Issue

_RULES: Final[Mapping[str, tuple[str, str]]] = {
    "missing": ("Ce paramètre est obligatoire.", "This parameter is required."),
    "string_too_short": (
        "Trop court : {min_length} caractères au moins.",
        "Too short: at least {min_length} characters.",
    ),
    "string_too_long": ("Trop long : {max_length} caractères au plus.", "Too long: at most {max_length} characters."),
    "string_pattern_mismatch": ("Forme attendue : {pattern}", "Expected form: {pattern}"),
    "int_parsing": ("Un nombre entier est attendu.", "A whole number is expected."),
    "float_parsing": ("Un nombre est attendu.", "A number is expected."),
    "finite_number": ("Un nombre fini est attendu.", "A finite number is expected."),
    "greater_than_equal": ("{ge} au moins.", "At least {ge}."),
    "less_than_equal": ("{le} au plus.", "At most {le}."),
    "enum": ("Valeurs possibles : {expected}.", "Possible values: {expected}."),
    "literal_error": ("Valeurs possibles : {expected}.", "Possible values: {expected}."),
}
"""By the type of pydantic's error: the sentences, completed with what our own rule says and never with what was sent."""

_ANY: Final = ("Paramètre absent ou mal formé.", "Parameter missing or malformed.")


def parameter_issue(fault: Mapping[str, Any]) -> Issue:
    """Tell one error of pydantic: the parameter's place and the rule it breaks."""
    code = str(fault["type"])
    french, english = _RULES.get(code, _ANY)
    rule = {name: _plain(value) for name, value in fault.get("ctx", {}).items()}
    pointer = "/" + "/".join(map(str, fault["loc"]))
    return Issue(code, pointer, french.format_map(rule), english.format_map(rule))


def _plain(value: object) -> object:
    """25.0 is read 25."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
