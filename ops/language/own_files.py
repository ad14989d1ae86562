"""
The check of the project's own files: schemas, the examples that they show, example documents, code lists, crosswalks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import jsonschema_rs

from schemas import Code, Kind, code_list, code_lists, crosswalk, crosswalks, schema, schema_versions
from schemas.checking import check
from schemas.positions import escape
from schemas.registry import FORMATS
from schemas.vocabulary import folder, read_table


@dataclass(frozen=True, slots=True)
class Fault:
    """
    What is wrong in one of the project's files.
    """

    file: str
    message_fr: str
    message_en: str


@dataclass(slots=True)
class OwnFiles:
    """
    How many things of each sort were looked at, and what is wrong.
    """

    counts: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def look(self, sort: str, found: Fault | None = None) -> None:
        """Count one thing of a sort, with its fault if it has one."""
        self.counts[sort] = self.counts.get(sort, 0) + 1
        if found is not None:
            self.faults.append(found)


def check_own_files() -> OwnFiles:
    """
    Look at everything that the package publishes.
    """
    result = OwnFiles()
    for name, majors in schema_versions().items():
        for major in majors:
            _schema(result, name, major)
            _examples(result, name, major)
    for name in code_lists():
        _code_list(result, name)
    for source, target in crosswalks():
        _crosswalk(result, source, target)
    return result


def _examples(result: OwnFiles, name: str, major: int) -> None:
    package = files("schemas") / name / f"v{major}"
    for path in _documents(package / "valid"):
        issues = check(path.read_bytes()).issues
        file = f"{name}/v{major}/valid/{path.name}"
        result.look("valid_examples", Fault(file, issues[0].message_fr, issues[0].message_en) if issues else None)
    for path in _documents(package / "invalid"):
        fault = None
        if not check(path.read_bytes(), Kind(name)).issues:
            french, english = (
                "cet exemple, dit non valable, est accepté",
                "this example, said to be invalid, is accepted",
            )
            fault = Fault(f"{name}/v{major}/invalid/{path.name}", french, english)
        result.look("invalid_examples", fault)


def _schema(result: OwnFiles, name: str, major: int) -> None:
    file = f"{name}/v{major}/schema.json"
    try:
        jsonschema_rs.meta.validate(dict(schema(name, major)))
    except jsonschema_rs.ValidationError:
        result.look("schemas", Fault(file, "ce n'est pas un schéma JSON 2020-12", "this is not a JSON Schema 2020-12"))
        return
    result.look("schemas")
    registry = jsonschema_rs.Registry([(schema(each)["$id"], dict(schema(each))) for each in schema_versions()])
    for pointer, example in _shown(schema(name, major), ""):
        validator = jsonschema_rs.validator_for(
            {"$ref": f"{schema(name, major)['$id']}#{pointer}"},
            registry=registry,
            offline=True,
            validate_formats=True,
            ignore_unknown_formats=False,
            formats=dict(FORMATS),
            pattern_options=jsonschema_rs.RegexOptions(),
        )
        fault = None
        if not validator.is_valid(example):
            french, english = (
                f"l'exemple de {pointer} ne suit pas le schéma",
                f"the example of {pointer} breaks its schema",
            )
            fault = Fault(file, french, english)
        result.look("shown_examples", fault)


def _shown(node: Any, pointer: str) -> Iterator[tuple[str, Any]]:
    """
    The examples that a schema file shows, with the place of the schema that they must follow.
    """
    inside = dict(enumerate(node)) if isinstance(node, list) else node if isinstance(node, Mapping) else {}
    shown = inside.get("examples")
    if isinstance(shown, list):
        yield from ((pointer, example) for example in shown)
    for key, child in inside.items():
        if key not in {"examples", "enum", "const"}:
            yield from _shown(child, f"{pointer}/{escape(str(key))}")


def _documents(folder: Traversable) -> list[Traversable]:
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted((path for path in found if path.name.endswith(".json")), key=lambda path: path.name)


def _code_list(result: OwnFiles, name: str) -> None:
    file, rows = f"codes/{name}.csv", read_table(folder(), name)
    codes = code_list(name)
    result.look("code_lists")
    if name not in code_list("code_list"):
        result.faults.append(
            Fault(file, "la liste n'a pas de titre dans code_list.csv", "the list has no title in code_list.csv")
        )
    if len(codes) < len(rows):
        result.faults.append(Fault(file, "le même code est donné deux fois", "the same code is given twice"))
    for code in codes.values():
        problem = None
        if not (code.label_fr.strip() and code.label_en.strip() and code.source and code.version):
            problem = ("il manque un libellé, une source ou une version", "a label, a source or a version is missing")
        elif code.parent is not None and code.parent not in codes:
            problem = (f"le parent {code.parent} n'existe pas", f"the parent {code.parent} does not exist")
        elif code.code in _ancestors(codes, code):
            problem = ("ce code est son propre parent", "this code is its own parent")
        result.look("codes", problem and Fault(f"{file} {code.code}", *problem))


def _ancestors(codes: Mapping[str, Code], code: Code) -> Iterator[str]:
    parent = code.parent
    for _ in codes:
        if parent is None or parent not in codes:
            return
        yield parent
        parent = codes[parent].parent


def _crosswalk(result: OwnFiles, source: str, target: str) -> None:
    file = f"codes/crosswalks/{source}--{target}.csv"
    result.look("crosswalks")
    for start, ways in crosswalk(source, target).items():
        for way in ways:
            lost = [code for code, name in ((start, source), (way.code, target)) if code not in code_list(name)]
            said = (
                (f"le code {lost[0]} n'est pas dans sa liste", f"the code {lost[0]} is not in its list")
                if lost
                else None
            )
            result.look("correspondences", said and Fault(file, *said))
