"""
`tdu serve`: the gateway, or one of its parts.
"""

from __future__ import annotations

import os
from typing import Annotated, Final

import typer
import uvicorn
from fastapi import FastAPI

from gateway import logs, telemetry
from gateway.app import Role, assemble, create_app
from gateway.http.connections import PatientProtocol
from gateway.keys import generate
from gateway.settings import Settings
from gateway.store.database import Database
from ops.commands import say
from ops.configuration import open_log
from ops.migrations import migrate

app = typer.Typer()

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
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        generate(settings)
        say.run(_prepare(settings))
    if workers > 1 and role is not Role.API:
        say.fail("--workers va avec --role api.", "--workers goes with --role api.", 2)
    say.keys(settings)  # missing ones are told here, and not by each process
    os.environ[_ROLE] = role.value
    say.stderr.print(f"Trait d'union ({role.value}) : {settings.public_address}   API : {settings.public_address}/docs")
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


def application() -> FastAPI:
    """The application of one process, as uvicorn makes it in each: by the settings of its environment."""
    settings = say.settings()
    logs.set_up(settings.log_level)
    telemetry.set_up(settings)
    return create_app(assemble(settings, say.keys(settings)), Role(os.environ[_ROLE]))


async def _prepare(settings: Settings) -> None:
    database = Database(settings.database)
    await migrate(database)
    await database.close()
    await open_log(settings, say.keys(settings))
