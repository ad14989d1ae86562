"""
`tdu bench`: measure on this machine, beside what one compares with, in the same run.
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from rich.table import Table

from ops.bench import BENCHES
from ops.bench.measured import Measured
from ops.bench.servers import ServerMissing
from ops.commands import say

app = typer.Typer()


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help=f"{', '.join(BENCHES)}, all")],
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Un objet JSON ; une liste pour « all ». / One JSON object; a list for “all”."),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Sortir en erreur si un but est manqué. / Fail when a goal is missed.")
    ] = False,
) -> None:
    """Mesurer ; les chiffres d'un même passage se comparent entre eux. / Measure; figures of one run compare."""
    if name != "all" and name not in BENCHES:
        known = ", ".join(BENCHES)
        say.fail(f"Mesures possibles : {known}, all.", f"Possible benches: {known}, all.", 2)
    results: dict[str, Measured] = {}
    for each in BENCHES if name == "all" else (name,):
        say.stderr.print(f"[dim]{each}…[/dim]")
        results[each] = _measured(each)
        if not as_json:
            _show(each, results[each])
    if as_json:
        objects: list[dict[str, Any]] = [measured.as_json(each) for each, measured in results.items()]
        say.result(objects if name == "all" else objects[0])
    raise typer.Exit(1 if strict and not all(measured.met for measured in results.values()) else 0)


def _measured(name: str) -> Measured:
    try:
        measured: Measured = import_module(BENCHES[name]).run(lambda text: say.stderr.print(f"  [dim]{text}[/dim]"))
    except ServerMissing as missing:
        say.fail(
            f"La mesure {name} demande un serveur dont l'adresse manque : {missing.variable} n'est pas renseignée. "
            "« make bench » le trouve ou le démarre.",
            f"The bench {name} needs a server whose address is missing: {missing.variable} is not set. "
            "“make bench” finds or starts it.",
            2,
        )
    return measured


def _show(name: str, measured: Measured) -> None:
    table = Table("Mesure", "Valeur", "But", title=f"tdu bench {name}")
    for figure, value in measured.as_json(name)["figures"].items():
        goal = measured.goals.get(figure)
        bound = f"{'≤' if goal.at_most else '≥'} {goal.goal:g} {'✓' if goal.met else '✗'}" if goal else ""
        table.add_row(figure, f"{value:,.10g}".replace(",", " "), bound)
    say.stdout.print(table)
