"""
`tdu faults`: break a gateway on purpose, on this machine, and count what was lost.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ops.commands import say
from ops.faults.campaign import Plan, run
from ops.faults.results import written

app = typer.Typer(no_args_is_help=True, help="Les pannes provoquées. / Faults made on purpose.")


class Form(StrEnum):
    """Which gateway is broken."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


@app.command("campaign")
def campaign(
    form: Annotated[Form, typer.Argument(help="sqlite ; postgresql (avec RabbitMQ / with RabbitMQ)")],
    folder: Annotated[Path, typer.Argument(help="Où tout est gardé ; reprend ce qui s'y trouve. / Where all is kept.")],
    kills: Annotated[int, typer.Option(help="Processus tués, un rôle par processus. / Kills, one role a process.")] = 0,
    kills_all: Annotated[
        int, typer.Option(help="Processus tués, tous les rôles en un. / Kills, all roles in one.")
    ] = 0,
    server_kills: Annotated[int, typer.Option(help="Chaque serveur tué, avec postgresql. / Kills of each server.")] = 0,
    fault_runs: Annotated[int, typer.Option(help="Passages par panne et par liaison. / Runs per fault and hop.")] = 0,
    store_outage: Annotated[float, typer.Option(help="Secondes sans base, avec postgresql. / Without database.")] = 0,
    webhook_outage: Annotated[float, typer.Option(help="Secondes sans un partenaire. / Without a partner.")] = 0,
    poison_among: Annotated[int, typer.Option(help="Un document refusé parmi tant. / One refused among so many.")] = 0,
    documents: Annotated[int, typer.Option(help="Échanges à acquitter en tout. / Exchanges to promise in all.")] = 0,
    soak_minutes: Annotated[float, typer.Option(help="Endurance, une panne par minute. / A fault a minute.")] = 0,
    rate: Annotated[float, typer.Option(help="Documents par seconde. / Documents a second.")] = 40,
) -> None:
    """Mener une campagne de pannes et compter de l'extérieur. / Run a campaign of faults and count from outside."""
    plan = Plan(
        servers=form is Form.POSTGRESQL,
        kills=kills,
        kills_all=kills_all,
        server_kills=server_kills if form is Form.POSTGRESQL else 0,
        fault_runs=fault_runs,
        store_outage=store_outage if form is Form.POSTGRESQL else 0,
        webhook_outage=webhook_outage,
        poison_among=poison_among,
        documents=documents,
        soak_minutes=soak_minutes,
        rate=rate,
    )
    say.result(run(folder.resolve(), plan, lambda text: say.stderr.print(f"[dim]{text}[/dim]")))


@app.command("report")
def report(
    folders: Annotated[list[Path], typer.Argument(help="Les dossiers des campagnes. / The campaigns' folders.")],
    output: Annotated[Path, typer.Option(help="Le compte rendu à écrire. / The report to write.")],
) -> None:
    """Écrire le compte rendu de campagnes finies ou en cours. / Write the report of campaigns, over or not."""
    output.write_text(written(folders), encoding="utf-8")
