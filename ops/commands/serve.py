"""
`tdu serve`: the gateway, or one of its parts.
"""

from __future__ import annotations

import asyncio
import gc
import os
from typing import TYPE_CHECKING, Annotated, Final

import sqlalchemy as sa
import typer
import uvicorn

from gateway import logs, telemetry
from gateway.app import create_app
from gateway.composition import Role, assemble
from gateway.http.connections import PatientProtocol
from gateway.keys import Keys
from gateway.person.erased import ErasedList, erase_those_back
from gateway.settings import Settings
from gateway.store.database import Database
from gateway.store.root import WrongRoot
from ops.commands import say
from ops.commands.secrets import make_keys
from ops.configuration import check_sealing, open_log
from ops.migrations import migrate

if TYPE_CHECKING:
    from starlette.applications import Starlette

app = typer.Typer()

_DATABASE_SECONDS: Final = 30
"""How long a process waits for its database before it gives up and lets its supervisor start it again."""

_ROLE: Final = "TDU_SERVE_ROLE"
"""How the command tells its processes what they do."""


@app.command()
def serve(
    role: Annotated[Role, typer.Option(help="Ce que fait ce processus. / What this process does.")] = Role.ALL,
    workers: Annotated[
        int, typer.Option(min=1, help="Processus qui servent l'API, avec --role api. / Processes, with --role api.")
    ] = 1,
) -> None:
    """Démarrer la passerelle (réglages : variables TDU_…). / Start the gateway."""
    settings = say.settings()
    logs.set_up(settings.log_level)
    if settings.embedded and role is Role.ALL:
        make_keys(settings)
        say.run(_prepare(settings))
    if workers > 1 and role is not Role.API:
        say.fail("--workers va avec --role api.", "--workers goes with --role api.", 2)
    say.run(_check(settings, say.keys(settings)))  # what is wrong is told here once, and not by each process
    os.environ[_ROLE] = role.value
    address = settings.public_address
    serves = (
        f"{address}   API : {address}/docs" if role in (Role.ALL, Role.API) else f"santé sur le port {settings.port}"
    )
    say.stderr.print(f"Trait d'union ({role.value}) : {serves}", soft_wrap=True)
    uvicorn.run(
        "ops.commands.serve:application",
        factory=True,
        workers=workers,
        host=settings.host,
        port=settings.port,
        http=PatientProtocol,
        # The peer's address is the connection's: what a header says of it would be the client's word.
        proxy_headers=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=20,
        limit_concurrency=1000,
    )


def application() -> Starlette:
    """The application of one process, as uvicorn makes it in each: by the settings of its environment."""
    # What is made here lives as long as the process: the collector would look through it again and again while it is made,
    # and later stop every request meanwhile.
    gc.disable()
    try:
        settings = say.settings()
        logs.set_up(settings.log_level)
        telemetry.set_up(settings)
        return create_app(assemble(settings, say.keys(settings)), Role(os.environ[_ROLE]))
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


async def _check(settings: Settings, keys: Keys) -> None:
    """Refuse to start with another root secret than the database's; a database that is still starting is waited for."""
    for left in range(_DATABASE_SECONDS, -1, -1):
        try:
            await check_sealing(settings, keys)
            await _keep_erased(settings, keys)
            return
        except WrongRoot as error:
            say.fail(error.message_fr, error.message_en, 2)
        except (sa.exc.SQLAlchemyError, OSError) as error:
            name = type(error).__name__
            if not left:
                say.fail(
                    f"La base ne répond pas, ou n'est pas préparée ({name}). « tdu doctor » dit ce qu'il en est.",
                    f"The database does not answer, or is not prepared ({name}). “tdu doctor” tells more.",
                )
            await asyncio.sleep(1)


async def _keep_erased(settings: Settings, keys: Keys) -> None:
    """Before anything is served: whom a restored backup brought back is erased again, where the list of the erased is."""
    services = assemble(settings, keys).services
    try:
        if again := await erase_those_back(services, ErasedList(settings.marks)):
            say.stderr.print(
                f"Sauvegarde restaurée : {again} personne(s) effacée(s) de nouveau. / Restored backup: {again} erased again.",
                soft_wrap=True,
            )
    finally:
        await services.database.close()


async def _prepare(settings: Settings) -> None:
    database = Database(settings.database)
    await migrate(database)
    await database.close()
    await open_log(settings, say.keys(settings))
