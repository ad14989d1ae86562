"""
`tdu directory`: put the directory of structures and services (data·inclusion) in this gateway.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from gateway.directory.capacity import Declaration, declare, withdraw
from gateway.directory.reading import DirectoryRefused, Found, read
from gateway.directory.store import replace, structures_of
from gateway.errors import Problem
from gateway.store.database import Database
from ops.commands import say
from ops.configuration import change

ServiceId = Annotated[str, typer.Argument(help="Le service, source--identifiant. / The service.")]

_UNKNOWN_FR: Final = "Ce service n'est pas dans l'annuaire : importez-le d'abord (tdu directory import)."
_UNKNOWN_EN: Final = "This service is not in the directory: import it first (tdu directory import)."

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


@app.command("declare")
def declare_places(
    service: ServiceId,
    places: Annotated[int, typer.Argument(help="Places libres. / Open places.")],
    until: Annotated[str, typer.Argument(help="Dernier jour compris, AAAA-MM-JJ. / Last day, YYYY-MM-DD.")],
) -> None:
    """Déclarer les places libres d'un service, pour qui ne le fait pas. / Declare a service's open places."""
    try:
        declared = Declaration.of({"places": places, "until": until}, datetime.now(UTC))
    except Problem as problem:
        say.fail(problem.detail_fr, problem.detail_en)
    say.run(_declare(service, declared))
    say.result({"service": service, "places": places, "until": until})


@app.command("withdraw")
def withdraw_places(service: ServiceId) -> None:
    """Retirer cette déclaration : les places sont de nouveau inconnues. / Take the declaration back."""
    say.run(_withdraw(service))
    say.result({"service": service, "places": None})


async def _declare(service: str, declared: Declaration) -> None:
    settings = say.settings()
    body = {"change": "capacity_declared", "service": service, **declared.told}
    async with change(settings, say.keys(settings), body) as tx:
        if service not in await structures_of(tx, [service]):
            say.fail(_UNKNOWN_FR, _UNKNOWN_EN)
        await declare(tx, service, declared, settings.operator_siret, datetime.now(UTC))


async def _withdraw(service: str) -> None:
    settings = say.settings()
    body = {"change": "capacity_withdrawn", "service": service}
    async with change(settings, say.keys(settings), body) as tx:
        if not await withdraw(tx, service):
            say.fail("Rien n'est déclaré pour ce service.", "Nothing is declared for this service.")


async def _replace(found: Found) -> None:
    database = Database(say.settings().database)
    try:
        async with database.write() as tx:
            await replace(tx, found)
    finally:
        await database.close()
