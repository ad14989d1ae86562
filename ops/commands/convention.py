"""
`tdu convention`: check a sharing agreement, and sign it with one's own key, without any gateway.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from consent.conventions.checks import ConventionRefused
from consent.conventions.convention import Convention
from consent.conventions.files import ConventionUnreadable, read
from consent.conventions.signature import SignatureInvalid
from consent.conventions.signature import sign as sign_convention
from ops.commands import say

app = typer.Typer(no_args_is_help=True, help="Les conventions de partage. / The sharing agreements.")

File = Annotated[Path, typer.Argument(help="Fichier YAML ou JSON. / YAML or JSON file.", exists=True, dir_okay=False)]


@app.command("check")
def check(file: File) -> None:
    """Vérifier une convention : tous les défauts, avec ligne et colonne. / Check a convention."""
    convention = _read(file)
    say.result(
        {
            "id": convention.id,
            "version": convention.version,
            "hash": convention.hash,
            "parties": [{"siret": party.siret, "role": party.role} for party in convention.parties.values()],
            "flows": [flow.id for flow in convention.flows],
        }
    )


@app.command("sign")
def sign(
    file: File,
    key: Annotated[Path, typer.Option(help="Clé privée PEM (EC P-256 ou Ed25519). / Private key.", exists=True)],
    siret: Annotated[str, typer.Option(help="La partie qui signe. / The party that signs.")],
    kid: Annotated[str, typer.Option(help="Nom de la clé enregistrée. / Name of the registered key.")] = "1",
) -> None:
    """Signer une convention ; la signature (JWS) sort sur stdout, à envoyer à …/sign. / Sign a convention."""
    convention = _read(file)
    try:
        jws = sign_convention(dict(convention.document), key.read_bytes(), siret, kid)
    except SignatureInvalid as error:
        say.fail(error.message_fr, error.message_en)
    say.result({"jws": jws})


def _read(file: Path) -> Convention:
    try:
        return read(file.read_bytes())
    except ConventionUnreadable as error:
        say.fail(f"{file.name}:{error.line}:{error.column} : {error.message_fr}", error.message_en)
    except ConventionRefused as error:
        for issue in error.issues:
            place = f"{file.name}:{issue.line}:{issue.column}" if issue.line else file.name
            say.stderr.print(
                f"{place} {issue.pointer} : {issue.message_fr}", f"[dim]{issue.message_en}[/dim]", sep="\n"
            )
        say.fail(f"{len(error.issues)} point(s) à corriger.", f"{len(error.issues)} fault(s) to correct.")
