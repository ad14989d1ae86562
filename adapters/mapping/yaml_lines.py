"""
YAML read strictly, with the line and the column of each value: what a mapping file needs to be corrected.

Words are words: `no`, `on`, `01` and `2026-01-01` stay texts (YAML 1.2), a key given twice is refused.
"""

import re
from typing import Any, Final

import yaml

Path = tuple[str | int, ...]
Positions = dict[Path, tuple[int, int]]

_MAX_VALUES: Final = 50_000


class YamlRefused(ValueError):
    """
    The text is not YAML, or says the same thing twice; `line` and `column` count from 1.
    """

    def __init__(self, message_fr: str, line: int, column: int) -> None:
        super().__init__(message_fr)
        self.message_fr = message_fr
        self.line = line
        self.column = column


class _Loader(yaml.SafeLoader):
    """
    The scalars of YAML 1.2's core schema: true, false, null, decimal integers and floats.
    """

    yaml_implicit_resolvers: Final = {}  # type: ignore[misc]  # the library's own table, replaced


for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("null", r"null|~|", ["n", "~", ""]),
    ("int", r"-?(?:0|[1-9][0-9]*)", "-0123456789"),
    ("float", r"-?(?:0|[1-9][0-9]*)\.[0-9]+", "-0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))
_Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile("^(?:<<)$"), ["<"])


def read_yaml(text: str) -> tuple[Any, Positions]:
    """
    The value of a YAML text, and where each part of it is, by path. Raises `YamlRefused`.
    """
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise YamlRefused(
            "Ce n'est pas du YAML : vérifiez le retrait, les « : » et les guillemets.", line, column
        ) from None
    except yaml.YAMLError:
        raise YamlRefused("Ce n'est pas du YAML : un caractère n'y est pas permis.", 1, 1) from None
    if node is None:
        raise YamlRefused("Le fichier est vide.", 1, 1)
    positions: Positions = {}
    return _value(node, (), positions), positions


def _value(node: yaml.Node, path: Path, positions: Positions) -> Any:
    mark = node.start_mark
    positions[path] = (mark.line + 1, mark.column + 1)
    if len(positions) > _MAX_VALUES:
        raise YamlRefused("Le fichier est trop grand.", mark.line + 1, mark.column + 1)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, positions)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, index), positions) for index, item in enumerate(node.value)]
    return _SCALARS.construct_object(node) if node.tag in _PLAIN else node.value


def _mapping(node: yaml.MappingNode, path: Path, positions: Positions) -> dict[str, Any]:
    found: dict[str, Any] = {}
    merged: dict[str, Any] = {}
    for key, value in node.value:
        line, column = key.start_mark.line + 1, key.start_mark.column + 1
        if key.tag == "tag:yaml.org,2002:merge":
            for part in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                inside = _value(part, path, positions)
                merged = {**(inside if isinstance(inside, dict) else {}), **merged}
            continue
        name = key.value
        if not isinstance(name, str):
            raise YamlRefused("Une clé est un texte.", line, column)
        if name in found:
            raise YamlRefused(f"« {name} » est écrit deux fois : gardez-en un seul.", line, column)
        found[name] = _value(value, (*path, name), positions)
        positions[(*path, name)] = (line, column)
    return {**merged, **found}


class _Scalars(yaml.SafeLoader):
    pass


_SCALARS: Final = _Scalars("")
_PLAIN: Final = frozenset(f"tag:yaml.org,2002:{name}" for name in ("bool", "null", "int", "float"))
