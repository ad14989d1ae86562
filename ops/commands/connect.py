"""
`tdu connect`: on the partner's side, try the connection and be told what fails.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ops.commands import say
from ops.onboarding.connection import Identity, Step, steps

app = typer.Typer(no_args_is_help=True, help="Chez le partenaire : essayer le raccordement. / Try the connection.")


@app.callback()
def _connect() -> None:
    """Keep `test` a command of its own."""


@app.command("test")
def test(
    issuer: Annotated[str, typer.Argument(help="Adresse publique de la passerelle. / The gateway's public address.")],
    client_id: Annotated[str, typer.Option(help="Le logiciel ; sans lui, rien n'est signé. / The software.")] = "",
    key: Annotated[Path | None, typer.Option(help="Sa clé privée (PEM). / Its private key.", exists=True)] = None,
    kid: Annotated[str, typer.Option(help="Nom de la clé. / Name of the key.")] = "1",
    as_json: Annotated[bool, typer.Option("--json", help="Pour un programme. / For a program.")] = False,
) -> None:
    """Dire, étape par étape, ce qui marche et ce qui est à corriger. / Say, step by step, what works and what does not."""
    identity = Identity(client_id, key.read_bytes(), kid) if client_id and key else None
    seen = say.run(_seen(issuer, identity))
    if as_json:
        say.result([{"name": step.name, "good": step.good, "message": step.message} for step in seen])
    else:
        for step in seen:
            word = "[green]bon[/green]" if step.good else "[red]à corriger[/red]"
            say.stdout.print(f"{word}  {step.name} : ", end="")
            say.stdout.print(step.message, markup=False)
    if not all(step.good for step in seen):
        raise typer.Exit(1)


async def _seen(issuer: str, identity: Identity | None) -> list[Step]:
    return [step async for step in steps(issuer, identity)]
