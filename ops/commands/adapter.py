"""
`tdu adapter`: try a format on one's own files, on one's own machine; nothing is sent or kept.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from adapters import registry
from adapters.base import Adapter, AdapterError, Context, Translation
from adapters.report import Treatment
from ops.commands import say
from schemas import Kind, validate

app = typer.Typer(no_args_is_help=True, help="Les formats des partenaires. / The partners' formats.")

Name = Annotated[str, typer.Argument(help="Nom de l'adaptateur, par exemple cnaf-rsa. / Name of the adapter.")]
File = Annotated[Path, typer.Argument(help="Fichier du partenaire. / The partner's file.", exists=True, dir_okay=False)]

_ELEMENTS_SHOWN = 40


@app.command("list")
def list_adapters() -> None:
    """Lister les formats connus. / List the known formats."""
    for adapter in registry.ADAPTERS.values():
        typer.echo(f"{adapter.name:24} {adapter.title}")


@app.command("try")
def try_adapter(
    name: Name,
    file: File,
    row: Annotated[
        int | None, typer.Option(min=1, help="Ne montrer que le n-ième document. / Show only the n-th document.")
    ] = None,
) -> None:
    """Traduire un fichier : documents sur stdout, remarques sur stderr. / Translate a file."""
    translation = _translated(_adapter(name), file)
    shown = translation.documents if row is None else translation.documents[row - 1 : row]
    say.result([translated.document for translated in shown])
    for issue in translation.issues:
        say.stderr.print(f"{file.name}:{issue.line or '?'} {issue.pointer} : {issue.message_fr}")
    faults = sum(bool(validate(Kind(each.document["kind"]), each.document)) for each in translation.documents)
    say.stderr.print(
        f"{len(translation.documents)} documents, {len(translation.issues)} remarques, {faults} non conformes."
    )
    raise typer.Exit(1 if faults else 0)


@app.command("report")
def report(
    name: Name,
    file: File,
    as_json: Annotated[bool, typer.Option("--json", help="Pour un programme. / For a program.")] = False,
) -> None:
    """Dire ce qui est repris, gardé, laissé et pourquoi. / Say what is carried, kept, left out and why."""
    coverage = _translated(_adapter(name), file).coverage
    if as_json:
        say.result(coverage.as_document())
        return
    table = Table(
        "Élément",
        "Traitement",
        "Nombre",
        "Vers, ou raison",
        title=", ".join(f"{k} {v}" for k, v in coverage.totals().items()),
    )
    lines = [line for line in coverage.lines if line.treatment is not Treatment.GROUP]
    for line in lines[:_ELEMENTS_SHOWN]:
        table.add_row(line.path, line.treatment.value, str(line.count), line.target or line.reason)
    say.stdout.print(table)
    if len(lines) > _ELEMENTS_SHOWN:
        say.stderr.print(
            f"… et {len(lines) - _ELEMENTS_SHOWN} autres : --json les donne tous. / --json gives them all."
        )


def _adapter(name: str) -> Adapter:
    try:
        return registry.get(name)
    except registry.UnknownAdapter as error:
        say.fail(error.message_fr, error.message_en, 2)


def _translated(adapter: Adapter, file: Path) -> Translation:
    context = Context(
        organisation={"siret": "99900001100018", "name": "Essai"},
        purpose="inform_about_rights",
        now=datetime.now(UTC),
        document_id=lambda _key: str(uuid.uuid4()),
    )
    try:
        return adapter.to_shared(file.read_bytes(), context)
    except AdapterError as error:
        say.fail(f"{file.name}:{error.line or '?'}:{error.column or '?'} : {error.message_fr}", error.message_en)
