"""
Makes the folder of a new adapter: one that passes the exam at once, or the beginning of one made from a partner's file.
"""

from __future__ import annotations

import json
import re
import shutil
import unicodedata
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

import adapters
from adapters.base import AdapterError
from adapters.csv_cells import decode, raw_rows
from adapters.hardened_xlsx import read_sheet
from adapters.mapping.grammar import mapping_schema
from ops.kit.hints import hint
from schemas.identity import fold

NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
FORMATS: Final = ("csv", "xlsx", "json", "xml", "fixed", "python")
_SCHEMA_FILE: Final = "mapping.schema.json"
_SEPARATORS: Final = ";\t,|"


@dataclass(frozen=True, slots=True)
class Proposal:
    """
    What a draft proposes for the columns that are called like this, to be checked by a person: a target and its rule.
    """

    target: str
    rule: str


_PROPOSALS: Final[dict[str, Proposal]] = {
    word: Proposal(target, rule)
    for words, target, rule in (
        ("nom nomnaissance nomdenaissance nomdefamille nomnai", "subject.birth_name", "{{ from: {}, required: true }}"),
        ("nomusage nomdusage nommarital", "subject.used_name", "{}"),
        ("prenom prenoms", "subject.given_names[]", '{{ from: {}, split: " ", required: true }} # vérifiez le séparateur'),
        ("naissance datenaissance datedenaissance datenais dtnai ddn neele nele", "subject.birth_date", "{{ from: {}, do: date_naissance, required: true }}"),
        ("nir numerodesecuritesociale nss numerosecu", "subject.nir", "{{ from: {}, do: nir }}"),
        ("telephone tel telephonefixe telephoneportable portable mobile numerotelephone", "subject.phones[]",
         "{{ from: {}, do: telephone }}"),
        ("courriel email mail adressemail adresseelectronique", "subject.emails[]", "{{ from: {}, do: courriel }}"),
        ("adresse rue adresse1", "subject.address.lines[]", "{}"),
        ("codepostal cp", "subject.address.postcode", "{{ from: {}, do: code_postal }}"),
        ("ville commune", "subject.address.commune", "{{ from: {}, do: texte }}"),
        ("matricule matriculecaf numeroallocataire numeroallocatairecaf numerocaf ncaf nallocataire nallocatairecaf allocataire",
         "subject.identifiers[scheme=caf_matricule].value", "{{ from: {}, do: {{ zeros: 7 }} }}"),
        ("observations observation commentaire commentaires remarques", "notes", "{{ from: {}, do: texte_long }}"),
    )
    for word in words.split()
}  # fmt: skip


_TO_DECIDE: Final = (
    "# Chaque colonne ci-dessous attend votre choix : lui donner une place dans « fields », ou écrire pourquoi elle est laissée.",
    "# Toutes les places : tdu schema places referral ; celles d'un mot : tdu schema places referral --search naissance",
    "ignored:",
)


_OPEN_END: Final = "  open_end: true # la dernière ligne de ce fichier n'est pas terminée : retirez ceci si votre logiciel la termine d'habitude\n"


def make(name: str, form: str, into: Path) -> Path:
    """
    A folder `into/name` (`-` becoming `_`) that passes the exam: the template of that format, under another name.

    Raises `FileExistsError`.
    """
    folder = _new_folder(name, into)
    shutil.copytree(Path(str(files("adapters._template"))) / form, folder, ignore=shutil.ignore_patterns("__pycache__"))
    title = name.replace("-", " ").capitalize()
    for file in ("README.md", "mapping.yaml", "adapter.py"):
        if (folder / file).is_file():
            text = (folder / file).read_text(encoding="utf-8")
            (folder / file).write_text(_renamed(text, name, title), encoding="utf-8")
    return folder


def draft(name: str, source: Path, into: Path, separator: str | None = None) -> Path:
    """
    A folder made from a partner's CSV or XLSX: every column of its first line, with a proposal where its name is a usual
    one, and to be decided elsewhere. Nothing of the file but its first line, and whether its last one is ended, is read into it.

    Raises `FileExistsError`, and `AdapterError` when the file cannot be read.
    """
    raw = source.read_bytes()
    form = "xlsx" if raw.startswith(b"PK") else "csv"
    if form == "xlsx":
        columns, described = next(read_sheet(raw), (1, []))[1], ""
    else:
        text, guessed = decode(raw)
        separator = separator or _separator(text)
        columns = next(raw_rows(text, separator, open_end=True), (1, []))[1]
        described = f'  separator: "{separator}"\n' + ("  encoding: windows-1252\n" if guessed else "")
        described += "" if text.endswith(("\n", "\r")) else _OPEN_END
    columns = [" ".join(column.split()) for column in columns if column.strip()]
    if not columns:
        raise AdapterError(
            "no_columns", "La première ligne ne nomme aucune colonne.", "The first line names no column."
        )
    folder = _new_folder(name, into)
    (folder / "samples").mkdir(parents=True)
    title = name.replace("-", " ").capitalize()
    (folder / "mapping.yaml").write_text(_draft_text(title, form, described, columns), encoding="utf-8")
    template = Path(str(files("adapters._template"))) / "csv"
    (folder / "README.md").write_text(
        _renamed((template / "README.md").read_text(encoding="utf-8"), name, title), encoding="utf-8"
    )
    (folder / "quality.toml").write_text('level = "bronze"\n', encoding="utf-8")
    return folder


def package(name: str, into: Path) -> Path:
    """
    Where a package of one's own is made: `into/tdu-name`, with its `pyproject.toml` and entry point; gives the folder in
    which the adapter's folder goes.
    """
    root = into / f"tdu-{name}"
    root.mkdir(parents=True)
    module = name.replace("-", "_")
    (root / "pyproject.toml").write_text(
        f"""[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "tdu-{name}"
version = "0.1.0"
description = "Un format de plus pour Trait d'union : {name}"
requires-python = ">=3.11"

[project.entry-points."tdu.adapters"]
{name} = "{module}"

[tool.hatch.build.targets.wheel]
packages = ["{module}"]
""",
        encoding="utf-8",
    )
    return root


def as_module(folder: Path) -> None:
    """
    Make a folder a Python package, so that an entry point can name it.
    """
    (folder / "__init__.py").write_text(
        '"""Un format de Trait d\'union. / A format of Trait d\'union."""\n', encoding="utf-8"
    )


def write_schema(folder: Path) -> Path:
    """
    Write the JSON Schema of mapping files where the first line of each tells editors to find it.
    """
    file = folder / _SCHEMA_FILE
    file.write_text(schema_text(), encoding="utf-8")
    return file


def schema_text() -> str:
    """
    The JSON Schema of mapping files, as it is published.
    """
    return json.dumps(mapping_schema(), ensure_ascii=False, indent=1) + "\n"


def home() -> Path | None:
    """
    The folder of the adapters in a checkout of the project; None when the project is installed.
    """
    folder = Path(adapters.__file__).parent
    return folder if (folder.parent / "pyproject.toml").is_file() else None


def _new_folder(name: str, into: Path) -> Path:
    folder = into / name.replace("-", "_")
    if folder.exists():
        raise FileExistsError(folder)
    return folder


def _renamed(text: str, name: str, title: str) -> str:
    text = re.sub(r"Modèle d'adaptateur (?:· Template|\(CSV\))|Modèle \([^)]*\)", title, text)
    text = text.replace('name = "template"', f'name = "{name}"').replace('("template", ', f'("{name}", ')
    text = text.replace("adapters._template.python", f"adapters.{name.replace('-', '_')}").replace(
        "../../README.md", "../README.md"
    )
    return text.replace("class Template", "class " + "".join(part.capitalize() for part in name.split("-")))


def _separator(text: str) -> str:
    first = text.partition("\n")[0]
    return max(_SEPARATORS, key=first.count)


def _draft_text(title: str, form: str, described: str, columns: list[str]) -> str:
    proposed: dict[str, tuple[str, list[str]]] = {}
    left = []
    for column in columns:
        proposal = _PROPOSALS.get(_word(column))
        if proposal and (proposal.target.endswith("[]") or proposal.target not in proposed):
            proposed.setdefault(proposal.target, (proposal.rule, []))[1].append(_quoted(column))
        else:
            left.append(column)
    fields = [
        f"      {target}: " + rule.format(found[0] if len(found) == 1 else f"[{', '.join(found)}]")
        for target, (rule, found) in proposed.items()
    ]
    key = next((each for each in left if "dossier" in fold(each) or fold(each).startswith("id")), columns[0])
    if key in left:  # written too, so that what comes back is recognised
        fields.insert(0, f"      reference: {_quoted(key)}")
    ignored = [f"  {_quoted(column)}: À décider, avec le partenaire{hint(column)}" for column in left if column != key]
    return "\n".join(
        [
            "# yaml-language-server: $schema=../mapping.schema.json",
            "# Brouillon : relisez chaque ligne, et sortez de « ignored » ce qui doit être repris.",
            f"title: {title}",
            "direction: in # both : si vous écrivez aussi ce format (pour l'importer dans votre logiciel)",
            "source:",
            f"  format: {form}",
            *([described.rstrip("\n")] if described else []),
            "documents:",
            "  - kind: referral",
            f"    key: {_quoted(key)} # à vérifier : ce qui reconnaît le même dossier d'un envoi à l'autre",
            "    fields:",
            *(fields or ["      # aucune colonne n'a un nom habituel : choisissez une place pour chacune",
                         f"      subject.birth_name: {_quoted(columns[0])}"]),
            *([*_TO_DECIDE, *ignored] if ignored else []),
            "",
        ]
    )  # fmt: skip


def _word(column: str) -> str:
    return fold(unicodedata.normalize("NFKC", column))


def _quoted(text: str) -> str:
    return (
        text
        if re.fullmatch(r"[^\W\d][\w ]*", text) and text.lower() not in {"true", "false", "null"}
        else json.dumps(text, ensure_ascii=False)
    )
