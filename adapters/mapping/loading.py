"""
Reads a mapping file and its tables, and says everything that is wrong with them, with lines, in French and English.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from importlib.resources.abc import Traversable
from typing import Any, Final

import jsonschema_rs

from adapters.mapping.grammar import mapping_schema, words
from adapters.mapping.model import DocumentRule, MappingFile, SourceFormat
from adapters.mapping.problems import MappingRefused, Problem, Problems
from adapters.mapping.rules import RuleReader, as_tuple, read_conditions
from adapters.mapping.steps import FUNCTIONS
from adapters.mapping.yaml_lines import YamlRefused, read_yaml
from adapters.tables import HEADER, Table, TableRefused
from schemas import Kind, code_list
from schemas.diagnosis import Diagnosis
from schemas.references import References
from schemas.vocabulary import UnknownCodeList

FILE: Final = "mapping.yaml"
_MAX_BYTES: Final = 500_000
_LINE_ENDS: Final = {"lf": "\n", "crlf": "\r\n"}


def load_mapping(folder: Traversable, name: str, missing: list[str] | None = None) -> MappingFile:
    """
    The mapping of a folder: `mapping.yaml`, `tables/*.csv`.

    `name` is the adapter's word. Tables without a file are refused too, or, given a list `missing`, put in it and read as
    empty: a file can then be tried to see which values they need. Raises `MappingRefused` with everything that is wrong.
    """
    source = folder / FILE
    raw = source.read_bytes()
    try:
        plain, positions = read_yaml(raw.decode("utf-8-sig")) if len(raw) <= _MAX_BYTES else _too_large()
    except UnicodeDecodeError:
        raise MappingRefused(
            [Problem(FILE, 1, 1, "Le fichier n'est pas en UTF-8.", "The file is not UTF-8.")]
        ) from None
    except YamlRefused as error:
        raise MappingRefused([Problem(FILE, error.line, error.column, error.message_fr, "See YAML.")]) from None
    problems = Problems(FILE, positions)
    _check_shape(plain, problems)
    if problems.found:
        raise MappingRefused(problems.found)
    tables = dict(_tables(folder, plain.get("tables", {}), problems, missing))
    mapping = _mapping(plain, name, tables, problems)
    if problems.found:
        raise MappingRefused(problems.found)
    return mapping


def _too_large() -> Any:
    raise YamlRefused(f"Le fichier dépasse {_MAX_BYTES} octets.", 1, 1)


def _mapping(plain: Mapping[str, Any], name: str, tables: Mapping[str, Table], problems: Problems) -> MappingFile:
    documents = []
    written: dict[str, Any] = plain.get("write", {})
    for index, document in enumerate(plain["documents"]):
        path = ("documents", index)
        if "each" in document and plain.get("direction", "in") != "in":
            problems.add(
                (*path, "each"),
                "Un document par élément d'une liste se lit, et ne s'écrit pas : « direction: in ».",
                "One document for each item of a list is read, and cannot be written: “direction: in”.",
            )
        reader = RuleReader(Kind(document["kind"]), tables, problems)
        documents.append(
            DocumentRule(
                kind=Kind(document["kind"]),
                key=as_tuple(document.get("key", ())),
                each=document.get("each"),
                when=read_conditions(document.get("when")),
                fields=reader.rules(document["fields"], (*path, "fields")),
                line=problems.line(path),
            )
        )
    first = RuleReader(documents[0].kind, tables, problems)
    direction = plain.get("direction", "in")
    return MappingFile(
        name=name,
        title=plain["title"],
        reads=direction != "out",
        writes=direction != "in",
        source=_source(plain["source"], problems),
        tables=tables,
        documents=tuple(documents),
        ignored=plain.get("ignored", {}),
        write=first.written(written, ("write",)),
    )


def _source(plain: Mapping[str, Any], problems: Problems) -> SourceFormat:
    columns = plain.get("columns", ())
    fixed = plain["format"] == "fixed"
    if fixed != isinstance(columns, dict):
        problems.add(
            ("source", "columns"),
            "En largeur fixe, et là seulement, chaque colonne a son début et sa longueur : NOM: [1, 28].",
            "In fixed width, and only there, each column has its start and length: NOM: [1, 28].",
        )
        columns = ()
    records = plain.get("records", "")
    return SourceFormat(
        format=plain["format"],
        encoding=plain.get("encoding"),
        separator=plain.get("separator", ";"),
        header=plain.get("header", True),
        skip=plain.get("skip", 0),
        sheet=plain.get("sheet"),
        lines=plain.get("lines", False),
        single=plain.get("single", False),
        records=tuple(part for part in records.split("/") if part),
        columns=tuple(columns),
        optional=frozenset(plain.get("optional", ())),
        aliases={column: tuple(names) for column, names in plain.get("aliases", {}).items()},
        places={column: (start, length) for column, (start, length) in columns.items()} if fixed and columns else {},
        nothing=frozenset(plain.get("nothing", ("NULL", "null"))) | {""},
        open_end=plain.get("open_end", False),
        trimmed=plain.get("trimmed", False),
        short_rows=plain.get("short_rows", False),
        line_end=_LINE_ENDS[plain.get("line_end", "lf")],
        bom=plain.get("bom", False),
    )


def _tell_missing(name: str, list_name: str, problems: Problems) -> None:
    problems.add(
        ("tables", name),
        f"Il manque le fichier tables/{name}.csv : une première ligne « {','.join(HEADER)} », puis une ligne par valeur du "
        f"partenaire. « tdu adapter try » donne celles d'un fichier, prêtes à coller, « tdu schema codes {list_name} » les codes et leurs libellés.",
        f"The file tables/{name}.csv is missing: a first line {','.join(HEADER)}, then a line for each value.",
    )


def _tables(
    folder: Traversable, declared: Mapping[str, Any], problems: Problems, missing: list[str] | None
) -> Iterator[tuple[str, Table]]:
    for name, said in declared.items():
        list_name, partner_list = (said, None) if isinstance(said, str) else (said["codes"], said.get("partner"))
        if isinstance(said, dict) and "crosswalk" in said:
            try:
                yield name, Table.of_crosswalk(name, said["crosswalk"], list_name)
            except UnknownCodeList:
                problems.add(
                    ("tables", name),
                    f"Le langage commun n'a pas de correspondance entre {said['crosswalk']} et {list_name}.",
                    f"The shared language has no crosswalk between {said['crosswalk']} and {list_name}.",
                )
            continue
        source = folder / "tables" / f"{name}.csv"
        if not source.is_file():
            if missing is None:
                _tell_missing(name, list_name, problems)
            else:
                missing.append(name)
            yield name, Table(name, list_name, {}, {})
            continue
        try:
            table = Table.read(source, list_name, partner_list)
        except TableRefused as error:
            problems.found.append(Problem(f"tables/{name}.csv", error.line, 1, error.message_fr, error.message_en))
            yield name, Table(name, list_name, {}, {})  # declared all the same: the rules that name it are not wrong
            continue
        codes = code_list(list_name)
        for number, shared in enumerate((*table.rows.values(), *table.preferred), 2):
            if shared and shared not in codes:
                near = get_close_matches(shared, codes, n=1)
                problems.found.append(
                    Problem(
                        f"tables/{name}.csv",
                        number,
                        1,
                        f"« {shared} » n'est pas dans la liste {list_name}."
                        + (f" Vouliez-vous dire « {near[0]} » ?" if near else ""),
                        f"“{shared}” is not in the list {list_name}.",
                    )
                )
        yield name, table


@cache
def _validator() -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(dict(mapping_schema()), offline=True)


@cache
def _diagnosis() -> Diagnosis:
    schema = mapping_schema()
    return Diagnosis(References([schema]), References.root(schema), {})


def _check_shape(plain: Any, problems: Problems) -> None:
    for error in _validator().iter_errors(plain):
        unknown = getattr(error.kind, "unexpected", [])
        path = (*error.instance_path, *unknown[:1])
        if unknown and "do" not in path:
            near = get_close_matches(unknown[0], words(), n=1)
            french = f"« {unknown[0]} » n'est pas un mot de ce fichier." + (
                f" Vouliez-vous dire « {near[0]} » ?" if near else ""
            )
            english = f"“{unknown[0]}” is no word of this file." + (f" Did you mean “{near[0]}”?" if near else "")
            if unknown[0] in FUNCTIONS:
                french = f"« {unknown[0]} » est une fonction : plusieurs s'écrivent entre crochets, do: [minuit, {unknown[0]}]."
                english = f"“{unknown[0]}” is a function: several go between brackets, do: [minuit, {unknown[0]}]."
        elif "do" in path:
            french, english = _functions_known(plain, path)
        else:
            issue = _diagnosis().issues([error], plain)[0]
            french, english = issue.message_fr, issue.message_en
        problems.add(path, french, english)


def _functions_known(plain: Any, path: tuple[str | int, ...]) -> tuple[str, str]:
    value = plain
    for part in path:
        value = value[part]
    words = [value] if isinstance(value, str) else list(value) if isinstance(value, list | dict) else []
    unknown = [word for word in words if isinstance(word, str) and word not in FUNCTIONS]
    if not unknown:
        return (
            "Une fonction de « do » n'a pas le paramètre qu'il lui faut, ou n'est pas écrite comme il faut. Une fonction et son paramètre : "
            "do: { zeros: 7 } ; plusieurs, dans l'ordre : do: [minuit, rang]. Les fonctions : adapters/mapping/README.md.",
            "A function of “do” lacks the parameter that it needs, or is not well written. One and its parameter: do: { zeros: 7 }; "
            "several, in order: do: [minuit, rang]. The functions: adapters/mapping/README.md.",
        )
    near = get_close_matches(unknown[0], FUNCTIONS, n=1)
    meant_fr = f" Vouliez-vous dire « {near[0]} » ?" if near else ""
    meant_en = f" Did you mean “{near[0]}”?" if near else ""
    return (
        f"« {unknown[0]} » n'est pas une fonction de « do ».{meant_fr} Les fonctions : adapters/mapping/README.md.",
        f"“{unknown[0]}” is no function of “do”.{meant_en} The functions: adapters/mapping/README.md.",
    )
