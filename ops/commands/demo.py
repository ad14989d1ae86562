"""
`tdu demo`: the main job from end to end, told in the terminal, on the embedded default.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ops.commands import say
from ops.demo.gateway_process import GatewayDidNotStart, GatewayProcess, started
from ops.demo.partner import PartnerFailed
from ops.demo.story import HOUSEHOLDS, Story

app = typer.Typer()


@app.command()
def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Laisser la passerelle en marche. / Leave the gateway running.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Les chiffres en JSON sur stdout. / The figures as JSON.")
    ] = False,
    households: Annotated[
        int, typer.Option(min=20, max=5000, help="Foyers du flux fictif. / Fictitious households.")
    ] = HOUSEHOLDS,
) -> None:
    """Raconter le travail principal avec trois partenaires fictifs. / Tell the main job with three fictitious partners."""
    console = Console(stderr=as_json, highlight=False, soft_wrap=True)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="trait-dunion-") as directory:
        try:
            with started(Path(directory)) as gateway:
                story = Story(gateway, Path(directory), console, households)
                figures = say.run(story.tell())
                figures.seconds = time.monotonic() - begun
                console.print("\n[bold]8. Les indicateurs[/bold]")
                console.print(story.table())
                console.print(f"Durée : {figures.seconds:.0f} s")
                if as_json:
                    say.result(figures.as_json())
                if keep:
                    _stay(gateway, console)
        except GatewayDidNotStart as error:
            say.fail(f"La passerelle n'a pas démarré :\n{error}", "The gateway did not start.")
        except PartnerFailed as error:
            say.fail(f"Une étape a échoué : {error}", "A step failed.")
    if not (figures.ledger_verified and figures.tampering_detected):
        say.fail("Le journal n'a pas été vérifié comme attendu.", "The ledger was not verified as expected.")
    console.print(
        "\nEt maintenant : « make demo KEEP=1 » laisse la passerelle en marche, « make serve » en démarre une, README.md dit la suite."
    )


def _stay(gateway: GatewayProcess, console: Console) -> None:
    console.print(
        f"\nLa passerelle reste en marche : {gateway.address}   API : {gateway.address}/docs   "
        f"journal : {gateway.address}/ledger/checkpoint   (Ctrl+C pour arrêter)"
    )
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        console.print("Arrêt.")
