"""
`tdu serve`: the gateway, or one of its parts.
"""

from __future__ import annotations

from typing import Annotated

import typer
import uvicorn

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


@app.command()
def serve(
    role: Annotated[Role, typer.Option(help="Ce que fait ce processus. / What this process does.")] = Role.ALL,
) -> None:
    """Démarrer la passerelle (réglages : variables TDU_…). / Start the gateway."""
    settings = say.settings()
    logs.set_up(settings.log_level)
    if settings.embedded and role is Role.ALL:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        generate(settings)
        say.run(_prepare(settings))
    provider = telemetry.set_up(settings)
    app = create_app(assemble(settings, say.keys(settings)), role)
    say.stderr.print(f"Trait d'union ({role.value}) : {settings.public_address}   API : {settings.public_address}/docs")
    uvicorn.run(
        app,
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
    if provider is not None:
        provider.shutdown()


async def _prepare(settings: Settings) -> None:
    database = Database(settings.database)
    await migrate(database)
    await database.close()
    await open_log(settings, say.keys(settings))
