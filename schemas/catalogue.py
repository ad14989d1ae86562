"""
The shared language as it is served: `GET /schemas/{kind}/v{n}.json`, `GET /schemas/codes/{list}.json` and their index.

Plain dictionaries, ready to become JSON. A schema is served as its file is written; what helps is beside it.
"""

from dataclasses import asdict
from functools import cache
from typing import Any

from schemas.correspondence import crosswalk, crosswalks
from schemas.issue import Kind
from schemas.labels import nodes
from schemas.references import References, annotation, subschemas
from schemas.registry import references, schema, schema_versions
from schemas.vocabulary import code_list, code_lists

BASE = "https://trait-dunion.example/schemas/"
"""Where the `$id` of every schema begins: a name, which nobody needs to reach."""


@cache
def index() -> dict[str, Any]:
    """
    What there is: `{schemas: [{name, version, title, title_en, path}], codes: [{name, title, title_en, count, path}],
    crosswalks: [{from, to, path}]}`, `path` being the address under the gateway's own host.
    """
    return {
        "schemas": [
            {
                "name": name,
                "version": major,
                "title": schema(name, major).get("title", name),
                "title_en": schema(name, major).get("x-title-en", name),
                "path": schema_path(name, major),
            }
            for name, majors in schema_versions().items()
            for major in majors
        ],
        "codes": [
            {"name": name, **list_titles(name), "count": len(code_list(name)), "path": code_list_path(name)}
            for name in code_lists()
        ],
        "crosswalks": [{"from": ends[0], "to": ends[1], "path": crosswalk_path(*ends)} for ends in crosswalks()],
    }


def schema_path(name: str, major: int) -> str:
    """
    The address of a schema under the gateway's host.
    """
    return f"/schemas/{name}/v{major}.json"


def code_list_path(name: str) -> str:
    """
    The address of a code list under the gateway's host.
    """
    return f"/schemas/codes/{name}.json"


def crosswalk_path(source: str, target: str) -> str:
    """
    The address of a crosswalk under the gateway's host.
    """
    return f"/schemas/codes/crosswalks/{source}--{target}.json"


def list_titles(name: str) -> dict[str, str]:
    """
    What a code list is called in French (`title`) and in English (`title_en`): it is a code of the list `code_list`.
    """
    listed = code_list("code_list").get(name)
    return {"title": listed.label_fr if listed else name, "title_en": listed.label_en if listed else name}


def schema_document(name: str, major: int) -> dict[str, Any]:
    """
    A schema as its file is written. Raises UnknownSchema.
    """
    return dict(schema(name, major))


@cache
def bundled_schema_document(name: str, major: int) -> dict[str, Any]:
    """
    A schema with those it refers to embedded under `$defs` (JSON Schema 2020-12 section 9.3): one file, valid offline.

    Raises UnknownSchema.
    """
    root = schema(name, major)
    embedded: dict[str, Any] = {}
    waiting = [References.root(root)]
    while waiting:
        place = waiting.pop()
        waiting += subschemas(place)
        if "$ref" in place.schema:
            found = references().resolve(place.schema["$ref"], place.base)
            if found.base not in {root["$id"], *embedded}:
                whole = references().resolve(found.base, found.base)
                embedded[found.base] = whole.schema
                waiting.append(whole)
    return {**root, "$defs": {**root.get("$defs", {}), **embedded}} if embedded else dict(root)


@cache
def code_list_document(name: str) -> dict[str, Any]:
    """
    A code list: `{id, name, title, title_en, codes: [{code, label_fr, label_en, source, version, parent}], used_by: {kind: [pattern]},
    crosswalks: [{list, path}]}`; `parent` is null at the top. Raises UnknownCodeList.
    """
    codes = [
        {
            "code": code.code,
            "label_fr": code.label_fr,
            "label_en": code.label_en,
            "source": code.source,
            "version": code.version,
            "parent": code.parent,
        }
        for code in code_list(name).values()
    ]
    linked = [(ends, ends[1] if ends[0] == name else ends[0]) for ends in crosswalks() if name in ends]
    return {
        "id": f"{BASE}codes/{name}.json",
        "name": name,
        **list_titles(name),
        "codes": codes,
        "used_by": {kind: patterns[name] for kind in map(str, Kind) if name in (patterns := _uses(Kind(kind)))},
        "crosswalks": [{"list": other, "path": crosswalk_path(*ends)} for ends, other in linked],
    }


def crosswalk_document(source: str, target: str) -> dict[str, Any]:
    """
    A crosswalk in the direction asked: `{id, from, to, codes: {code: [{code, relation, note_fr, note_en}]}}`, nearest first.

    Raises UnknownCodeList.
    """
    ways = crosswalk(source, target)
    return {
        "id": f"{BASE}codes/crosswalks/{source}--{target}.json",
        "from": source,
        "to": target,
        "codes": {code: [asdict(way) for way in found] for code, found in ways.items()},
    }


@cache
def _uses(kind: Kind) -> dict[str, list[str]]:
    """
    Where a kind uses each code list: patterns by list.
    """
    uses: dict[str, list[str]] = {}
    for node in nodes(references(), References.root(schema(kind))):
        if listed := annotation(node.parts, "x-code-list"):
            uses.setdefault(listed, []).append(node.pattern)
    return {name: sorted(patterns) for name, patterns in uses.items()}
