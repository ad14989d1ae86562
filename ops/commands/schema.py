"""
`tdu schema`: check documents against the shared language, compare two versions of a schema, keep what is published whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from ops.commands import say, vocabulary
from ops.language import history as published
from ops.language.own_files import check_own_files
from ops.language.report import Report
from schemas import Kind, MalformedJson, parse_json, schema, schema_versions
from schemas.checking import Checked, check_lines
from schemas.checking import check as check_document
from schemas.compatibility import Change
from schemas.compatibility import diff as compare
from schemas.references import UnknownReference
from schemas.strict_json import MAX_BYTES

app = typer.Typer(no_args_is_help=True, help="Le langage commun. / The shared language.")

Json = Annotated[bool, typer.Option("--json", help="Pour un programme. / For a program.")]

_LINES = {".ndjson", ".jsonl"}


app.command("places")(vocabulary.places)
app.command("codes")(vocabulary.codes)


@app.command("check")
def check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Documents JSON, ou fichiers .ndjson (un document par ligne). / JSON documents, or .ndjson files.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    own: Annotated[
        bool,
        typer.Option(
            "--all", help="Vérifier les exemples et les listes de codes du projet. / Check the project's own."
        ),
    ] = False,
    kind: Annotated[
        Kind | None, typer.Option(help="Genre attendu (par défaut : celui que dit le document). / Expected kind.")
    ] = None,
    lines: Annotated[bool, typer.Option("--lines", help="Un document par ligne. / One document a line.")] = False,
    tolerant: Annotated[
        bool,
        typer.Option(
            "--tolerant", help="Admettre ce qu'ajoute une version mineure plus récente. / Read a newer minor."
        ),
    ] = False,
    first: Annotated[int, typer.Option(min=0, help="Problèmes montrés un par un. / Problems shown one by one.")] = 100,
    as_json: Json = False,
) -> None:
    """Vérifier des documents : tous les défauts, sans montrer aucune valeur. / Check documents. 0 : valables, 1 : à corriger."""
    if own != (not files):
        say.fail("Donnez des fichiers, ou --all.", "Give files, or --all.", 2)
    if own:
        _check_own_files(as_json)
    report = Report(shown=first)
    for file in files or ():
        with _reading(file) as stream:
            if lines or file.suffix in _LINES:
                found: Iterable[Checked] = check_lines(stream, kind, tolerant=tolerant, located=first)
            else:
                found = [check_document(stream.read(MAX_BYTES + 1), kind, tolerant=tolerant)]
            for checked in found:
                report.add(file.name, checked)
    if as_json:
        say.result(report.as_json())
    else:
        _show(report)
    raise typer.Exit(1 if report.invalid else 0)


@app.command("diff")
def diff(
    old: Annotated[Path, typer.Argument(help="Version d'avant. / Older version.", exists=True, dir_okay=False)],
    new: Annotated[Path, typer.Argument(help="Version d'après. / Newer version.", exists=True, dir_okay=False)],
    as_json: Json = False,
) -> None:
    """Comparer deux versions d'un schéma ; sort en erreur si la seconde casse les usages. / Compare two versions of a schema."""
    others = [schema(name) for name in schema_versions()]
    try:
        changes = compare(_schema_file(old), _schema_file(new), others)
    except UnknownReference as error:
        say.fail(f"Un $ref ne mène nulle part : {error}", f"A $ref leads nowhere: {error}", 2)
    _tell({"": changes}, as_json)


@app.command("history")
def history(as_json: Json = False) -> None:
    """Refuser ce qui casserait, dans v1, ce qui est déjà publié. / Refuse what would break what is published."""
    if missing := published.unpublished():
        names = ", ".join(missing)
        say.fail(
            f"Jamais publiés : {names}. Faites « tdu schema publish ».",
            f"Never published: {names}. Run “tdu schema publish”.",
        )
    _tell(published.changes(), as_json)


@app.command("publish")
def publish() -> None:
    """Garder les schémas et les codes d'aujourd'hui comme la version publiée. / Keep today's schemas as the published ones."""
    try:
        written = published.publish()
    except published.BreakingChange:
        say.fail(
            "Un changement casse ce qui est publié : voyez « tdu schema history ». Ce qui casse attend v2.",
            "A change breaks what is published: see “tdu schema history”. What breaks waits for v2.",
        )
    for path in written:
        typer.echo(f"{path.parent.name}/{path.name}")
    say.stderr.print(f"{len(written)} fichier(s) à valider dans le dépôt. / file(s) to commit.")


@contextmanager
def _reading(file: Path) -> Iterator[BinaryIO]:
    """
    The bytes of a file, with a bar on stderr (when a person looks at it) that advances as they are read.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    quiet = not say.stderr.is_terminal
    with Progress(*columns, console=say.stderr, disable=quiet) as progress, file.open("rb") as stream:
        yield progress.wrap_file(stream, total=file.stat().st_size, description=escape(file.name))


def _show(report: Report) -> None:
    for found, total, word in (
        (report.first, report.problems, ""),
        (report.first_doubts, report.warnings, "à vérifier : "),
    ):
        for file, issue in found:
            place = f":{issue.line}" + (f":{issue.column}" if issue.column else "") if issue.line else ""
            typer.echo(f"{file}{place} {issue.pointer or '/'} : {word}{issue.message_fr}")
        if hidden := total - len(found):
            typer.echo(f"… et {hidden} autres ; --first en montre plus. / and {hidden} more; --first shows more.")
    if report.documents > 1:
        _table("Par règle et par endroit / By rule and place", report.counts(report.rules))
        _table("À vérifier / To be checked", report.counts(report.doubts))
    say.stderr.print(
        f"{report.documents} document(s), {report.invalid} à corriger, {report.problems} problème(s), "
        f"{report.warnings} point(s) à vérifier. / {report.invalid} to correct, {report.problems} problem(s), "
        f"{report.warnings} to be checked.",
        soft_wrap=True,
    )


def _table(title: str, counts: list[tuple[str, str, int]]) -> None:
    if counts:
        say.rows([(code, pointer or "/", str(count)) for code, pointer, count in counts], title=title)


def _check_own_files(as_json: bool) -> None:
    found = check_own_files()
    if as_json:
        say.result({**found.counts, "faults": [asdict(fault) for fault in found.faults]})
    else:
        for fault in found.faults:
            typer.echo(f"{fault.file} : {fault.message_fr} / {fault.message_en}")
        for sort, count in found.counts.items():
            say.stderr.print(f"{sort} : {count}")
    raise typer.Exit(1 if found.faults else 0)


def _schema_file(file: Path) -> dict[str, Any]:
    try:
        found = parse_json(file.read_bytes())
    except MalformedJson as error:
        say.fail(f"{file.name}:{error.line}:{error.column} : {error.message_fr}", error.message_en, 2)
    if not isinstance(found, dict):
        say.fail(f"{file.name} n'est pas un schéma.", f"{file.name} is not a schema.", 2)
    return found


def _tell(changes: dict[str, list[Change]], as_json: bool) -> None:
    """
    Say what changed, place by place, and stop with 1 if something breaks.
    """
    listed = [(name, change) for name, found in changes.items() for change in found]
    breaking = any(change.breaking for _, change in listed)
    if as_json:
        rows = [({"schema": name} if name else {}) | asdict(change) for name, change in listed]
        say.result({"breaking": breaking, "changes": rows})
    else:
        for name, change in listed:
            word = "CASSE" if change.breaking else "gare " if change.code.endswith("_strict") else "sûr  "
            typer.echo(f"{word} {name} {change.pattern or '/'} : {change.message_fr} / {change.message_en}")
        if not listed:
            typer.echo("Rien n'a changé. / Nothing changed.")
    raise typer.Exit(1 if breaking else 0)
