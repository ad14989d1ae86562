"""
`tdu schema`: check documents against the shared language, and compare two versions of a schema.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ops.commands import say
from schemas import Issue, Kind, MalformedJson, parse_json, validate
from schemas.compatibility import diff as compare

app = typer.Typer(no_args_is_help=True, help="Le langage commun. / The shared language.")

_MAX_BYTES = 2_000_000


@app.command("check")
def check(
    files: Annotated[list[Path], typer.Argument(help="Documents JSON. / JSON documents.", exists=True, dir_okay=False)],
) -> None:
    """Vérifier des documents : tous les défauts, sans montrer aucune valeur. / Check documents."""
    faulty = 0
    for file in files:
        issues = _issues(file)
        faulty += bool(issues)
        for issue in issues:
            place = f":{issue.line}:{issue.column}" if issue.line else ""
            typer.echo(f"{file.name}{place} {issue.pointer or '/'} : {issue.message_fr}")
    say.stderr.print(f"{len(files)} document(s), {faulty} à corriger. / {faulty} to correct.")
    raise typer.Exit(1 if faulty else 0)


@app.command("diff")
def diff(old: Annotated[Path, typer.Argument(exists=True)], new: Annotated[Path, typer.Argument(exists=True)]) -> None:
    """Comparer deux versions d'un schéma ; sort en erreur si l'une casse les usages. / Compare two versions of a schema."""
    changes = compare(json.loads(old.read_bytes()), json.loads(new.read_bytes()))
    for change in changes:
        typer.echo(f"{'CASSE ' if change.breaking else 'sûr   '} {change.pattern} : {change.message_fr}")
    raise typer.Exit(1 if any(change.breaking for change in changes) else 0)


def _issues(file: Path) -> list[Issue]:
    try:
        document = parse_json(file.read_bytes(), max_bytes=_MAX_BYTES)
    except MalformedJson as error:
        return [Issue(error.code, "", error.message_fr, error.message_en, line=error.line, column=error.column)]
    kind = document.get("kind") if isinstance(document, dict) else None
    if kind not in {member.value for member in Kind}:
        known = ", ".join(Kind)
        return [Issue("kind", "/kind", f"Genre attendu : {known}.", f"Expected kind: {known}.")]
    return validate(Kind(kind), document)
