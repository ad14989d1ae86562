"""
`tdu directory`: put the directory of structures and services (data·inclusion) in this gateway.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.directory.reading import DirectoryRefused, Found, read
from gateway.directory.store import replace
from gateway.store.database import Database
from ops.commands import say

app = typer.Typer(no_args_is_help=True, help="L'annuaire des services. / The directory of services.")


@app.callback()
def directory() -> None:
    """L'annuaire des services. / The directory of services."""


@app.command("import")
def import_files(
    structures: Annotated[
        Path, typer.Argument(help="Structures, liste JSON au schéma data·inclusion v1. / Structures.", exists=True)
    ],
    services: Annotated[Path, typer.Argument(help="Services, de même. / Services, likewise.", exists=True)],
) -> None:
    """Remplacer ce qui est connu des sources de ces fichiers. / Replace what is known of the sources of these files."""
    try:
        found = read(structures.read_bytes(), services.read_bytes())
    except DirectoryRefused as refusal:
        say.fail(refusal.message_fr, refusal.message_en)
    if not found.structures:
        say.fail("Aucune structure valable : rien n'est changé.", "No valid structure: nothing is changed.")
    say.run(_replace(found))
    told: dict[str, Any] = {"structures": len(found.structures), "services": len(found.services)}
    say.result(told | {"left_out": dict(sorted(found.left_out.items()))})


async def _replace(found: Found) -> None:
    database = Database(say.settings().database)
    try:
        async with database.write() as tx:
            await replace(tx, found)
    finally:
        await database.close()
