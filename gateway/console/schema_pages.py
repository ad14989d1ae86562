"""
The pages of the shared language, made from the schemas, the code lists and the examples of the package.

Each function gives a whole page in one language; it raises UnknownSchema, UnknownCodeList or UnknownPage when there is no
such thing to show.
"""

from __future__ import annotations

import csv
import re
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from io import StringIO
from itertools import groupby

from gateway.console.schema_layout import WORDS, UnknownPage, page, words
from gateway.console.schema_page_texts import SYSTEMS, WAYS
from gateway.console.schema_texts import CATEGORIES, FORMATS, LANGUAGES, RELATIONS, Language, spaced
from gateway.console.schema_view import labelled, rows, sections
from schemas import Kind, catalogue, code_list, code_lists, crosswalk, fields, schema, schema_versions
from schemas.checking import check
from schemas.identity import fold
from schemas.registry import FORMATS as OWN_FORMATS


def index(language: Language) -> str:
    """
    The first page: the kinds of document, how to check one, where the codes and categories are.
    """
    kinds = [
        {"name": name, "major": major, "properties": sum(1 for _ in rows(name, major, language))}
        | words(schema(name, major), language)
        for name in [*map(str, Kind), *(name for name in schema_versions() if name not in {*map(str, Kind)})]
        for major in schema_versions()[name]
    ]
    formats = [(name, FORMATS[language][name]) for name in sorted(OWN_FORMATS)]
    counts = {"lists": len(code_lists()), "codes": sum(len(code_list(name)) for name in code_lists())}
    return page("index", language, "", "documents", [], kinds=kinds, formats=formats, **counts)


@cache
def kind(language: Language, name: str, major: int) -> str:
    """
    The page of a schema: every property, the rules, the examples. Kept: it is the longest to make.
    """
    folder = _folder(name, major)
    shown = [
        {
            "pattern": section.pattern,
            "depth": len([part for part in section.pattern.split("/") if part not in {"", "*"}]),
            "title": section.title,
            "description": section.description,
            "strict": section.strict,
            "rows": section.rows,
            "rules": [
                (rule, [labelled(rule.code_list, code, language) for code in rule.codes]) for rule in section.rules
            ],
        }
        for section in sections(name, major, language)
    ]
    return page(
        "kind",
        language,
        f"{name}/v{major}/",
        "documents",
        [],
        name=name,
        major=major,
        document=words(schema(name, major), language),
        sections=shown,
        valid=_names(folder / "valid", ".json"),
        invalid=_names(folder / "invalid", ".json"),
        tables=_names(folder, ".csv"),
        changes=_changes((folder / "CHANGES.md").read_text(encoding="utf-8"), language),
    )


def example(language: Language, name: str, major: int, group: str, file: str) -> str:
    """
    An example document, and what the check answers about it.
    """
    raw = example_file(name, major, group, file)
    issues = check(raw, Kind(name)).issues
    return page(
        "example",
        language,
        f"{name}/v{major}/{group}/{file}/",
        "documents",
        [_crumb(name, major, language)],
        name=name,
        major=major,
        folder=group,
        file=file,
        text=raw.decode(),
        issues=[
            {
                "pointer": issue.pointer or "/",
                "line": issue.line,
                "message": spaced(issue.message_fr, "fr") if language == "fr" else issue.message_en,
            }
            for issue in issues
        ],
    )


def example_file(name: str, major: int, group: str, file: str) -> bytes:
    """
    An example document as its file is written.
    """
    folder = _folder(name, major)
    if group not in {"valid", "invalid", "sources"} or file not in _names(folder / group, ".json"):
        raise UnknownPage(file)
    return (folder / group / f"{file}.json").read_bytes()


def table(language: Language, name: str, major: int, file: str) -> str:
    """
    Where fields of other systems, or of a standard, are in a document.
    """
    folder = _folder(name, major)
    if file not in _names(folder, ".csv"):
        raise UnknownPage(file)
    found = csv.DictReader(StringIO((folder / f"{file}.csv").read_text(encoding="utf-8"), newline=""))
    blank = {"system": "", "form": "", "how": ""}
    lines = [blank | row | {"note": spaced(row.get(f"note_{language}") or "", language)} for row in found]
    return page(
        "table",
        language,
        f"{name}/v{major}/tables/{file}/",
        "documents",
        [_crumb(name, major, language)],
        name=name,
        major=major,
        heading=WORDS[language][f"table_{file}"],
        groups=[(system, list(group)) for system, group in groupby(lines, key=lambda row: row["system"])],
        systems=SYSTEMS,
        ways=[(way, spaced(meaning, language)) for way, meaning in WAYS[language].items()],
    )


def codes(language: Language) -> str:
    """
    The code lists: how many codes, who uses them, their crosswalks.
    """
    lists = []
    for name in code_lists():
        found = catalogue.code_list_document(name)
        crosswalks = [(each["list"], _list_title(each["list"], language)) for each in found["crosswalks"]]
        lists.append(
            {
                "name": name,
                "title": _list_title(name, language),
                "count": len(found["codes"]),
                "used_by": list(found["used_by"]),
                "crosswalks": crosswalks,
            }
        )
    lists.sort(key=lambda found: fold(str(found["title"])))
    return page("codes", language, "codes/", "codes", [], lists=lists, kinds=_kinds(language))


def one_code_list(language: Language, name: str) -> str:
    """
    A code list with its crosswalks, each read from this list to the other.
    """
    found = catalogue.code_list_document(name)
    crosswalks = [
        {
            "to": linked["list"],
            "title": _list_title(linked["list"], language),
            "rows": [
                {
                    "code": code,
                    "label": labelled(name, code, language).label,
                    "relation": RELATIONS[language][way.relation],
                    "target": way.code,
                    "target_label": labelled(linked["list"], way.code, language).label,
                    "note": spaced(way.note_fr, "fr") if language == "fr" else way.note_en,
                }
                for code, ways in crosswalk(name, linked["list"]).items()
                for way in ways
            ],
        }
        for linked in found["crosswalks"]
    ]
    crumbs = [("codes/", WORDS[language]["codes"])]
    context = {"name": name, "codes": found["codes"], "used_by": found["used_by"], "crosswalks": crosswalks}
    titles = {"title": _list_title(name, language), "kinds": _kinds(language)}
    return page("code_list", language, f"codes/{name}/", "codes", crumbs, **context, **titles)


def categories(language: Language) -> str:
    """
    The data categories: what each holds, and the properties that carry it.
    """
    labels = {each: fields(each).values() for each in Kind}
    shown = []
    for code in code_list("data_category"):
        carried = {each: [label for label in found if label.category == code] for each, found in labels.items()}
        levels = sorted({label.sensitivity for found in carried.values() for label in found})
        shown.append(
            {
                "code": code,
                "label": labelled("data_category", code, language).label,
                "meaning": spaced(CATEGORIES[code][LANGUAGES.index(language)], language),
                "uses": [(str(each), [label.pattern for label in found]) for each, found in carried.items() if found],
                "sensitivities": [labelled("sensitivity", each, language) for each in levels],
            }
        )
    sensitivities = [labelled("sensitivity", code, language) for code in code_list("sensitivity")]
    context = {"categories": shown, "sensitivities": sensitivities, "kinds": _kinds(language)}
    return page("categories", language, "categories/", "categories", [], **context)


def not_found(language: Language) -> str:
    """
    The page of an address that leads nowhere.
    """
    return page("not_found", language, "", "", [])


def _list_title(name: str, language: Language) -> str:
    return spaced(catalogue.list_titles(name)["title" if language == "fr" else "title_en"], language)


def _kinds(language: Language) -> dict[str, str]:
    return {str(kind): words(schema(kind), language)["title"] for kind in Kind}


def _changes(text: str, language: Language) -> list[tuple[str, list[str]]]:
    """
    The versions of a `CHANGES.md`, each with its lines in one language: there, English follows French, between asterisks.
    """
    versions: list[tuple[str, list[str]]] = []
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        version, _, lines = part.partition("\n")
        told = [" ".join(line.split()).partition(" *") for line in re.split(r"^- ", lines, flags=re.MULTILINE)[1:]]
        versions.append(
            (version.strip(), [french if language == "fr" else english.rstrip("*") for french, _, english in told])
        )
    return versions


def _crumb(name: str, major: int, language: Language) -> tuple[str, str]:
    return f"{name}/v{major}/", words(schema(name, major), language)["title"]


def _folder(name: str, major: int) -> Traversable:
    schema(name, major)  # raises UnknownSchema before anything of the address is looked for on the disk
    return files("schemas") / name / f"v{major}"


def _names(folder: Traversable, suffix: str) -> list[str]:
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path.name.removesuffix(suffix) for path in found if path.name.endswith(suffix))
