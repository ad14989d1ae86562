"""
`tdu quarantine`: the files that were refused whole and are kept aside for a short time, to help their senders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.quarantine import Aside, listed, opened
from gateway.store.crypto import Unreadable, Vault
from gateway.store.database import Database
from ops.commands import say

app = typer.Typer(no_args_is_help=True, help="Les fichiers refusés, gardés pour aider. / Refused files, kept to help.")


@app.command("list")
def list_files() -> None:
    """Lister les fichiers en quarantaine, sans rien de leur contenu. / List the files, nothing of their content."""
    say.result([asdict(file) for file in say.run(_listed())])


@app.command("open")
def open_file(
    ident: Annotated[str, typer.Argument(help="Celui que la réponse de refus donne. / The one the refusal gave.")],
    file: Annotated[Path, typer.Argument(help="Où l'écrire, lisible de vous seul. / Where to write it.")],
) -> None:
    """Sortir un fichier de la quarantaine pour l'examiner ; cette lecture entre au journal. / Take a file out; recorded."""
    if file.exists():
        say.fail(f"{file} existe déjà.", f"{file} already exists.")
    try:
        raw = say.run(_opened(ident))
    except Unreadable:
        say.fail(
            "Ce fichier ne s'ouvre pas avec le secret de cette passerelle.", "The gateway's secret does not open it."
        )
    if raw is None:
        say.fail("Rien de ce numéro en quarantaine.", "Nothing of that number is in quarantine.")
    file.touch(mode=0o600)
    file.write_bytes(raw)
    say.stderr.print(
        f"{file} : {len(raw)} octets. Effacez-le dès que vous avez fini. / Delete it as soon as you have finished.",
        soft_wrap=True,
    )


async def _listed() -> Sequence[Aside]:
    database = Database(say.settings().database)
    try:
        async with database.read() as tx:
            return await listed(tx)
    finally:
        await database.close()


async def _opened(ident: str) -> bytes | None:
    settings = say.settings()
    vault = Vault(say.keys(settings).ring)
    database = Database(settings.database)
    try:
        async with database.write() as tx:
            return await opened(tx, ident, vault, settings.operator_siret, datetime.now(UTC))
    finally:
        await database.close()
