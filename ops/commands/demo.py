"""
`tdu demo`: the main job from end to end, told in the terminal, on the embedded default.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ops.commands import say
from ops.demo.gateway_process import GatewayDidNotStart, GatewayProcess, started
from ops.demo.partner import KID, Partner, PartnerFailed
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
    # Whoever ends this ends the gateway too, and its fictitious data go with it.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    console = Console(stderr=as_json, highlight=False, soft_wrap=True)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="trait-dunion-") as directory:
        try:
            with started(Path(directory)) as gateway:
                story = Story(gateway, Path(directory), console, households)
                figures = say.run(story.tell())
                figures.seconds = time.monotonic() - begun
                console.print(f"Durée : {figures.seconds:.0f} s")
                if as_json:
                    say.result(figures.as_json())
                if keep:
                    _stay(gateway, story.partners, Path(directory), console)
        except GatewayDidNotStart as error:
            say.fail(f"La passerelle n'a pas démarré :\n{error}", "The gateway did not start.")
        except PartnerFailed as error:
            say.fail(f"Une étape a échoué : {error}", "A step failed.")
    if not (figures.ledger_verified and figures.tampering_detected):
        say.fail("Le journal n'a pas été vérifié comme attendu.", "The ledger was not verified as expected.")
    if not keep:
        console.print(_NEXT)


_NEXT = """
Et maintenant :
   make demo KEEP=1      la même histoire, puis la passerelle reste en marche : son API, ses pages, de quoi l'appeler
   make serve            une passerelle à vous, vide
   .venv/bin/tdu adapter try cnaf-rsa adapters/cnaf_rsa/samples/lone-parent-payable/partner.xml
                         ce que devient un fichier, sans rien envoyer
   README.md             relier un logiciel, envoyer et recevoir, auditer"""


def _stay(gateway: GatewayProcess, partners: tuple[Partner, ...], directory: Path, console: Console) -> None:
    keys = directory / "keys"
    keys.mkdir(mode=0o700)
    for partner in partners:
        (keys / f"{partner.client_id}.pem").touch(mode=0o600)
        (keys / f"{partner.client_id}.pem").write_bytes(partner.pem)
    caf = partners[0].client_id
    token = f".venv/bin/tdu partner token {caf} {keys / caf}.pem --kid {KID} --issuer {gateway.address}"
    console.print(
        f"\nLa passerelle reste en marche : {gateway.address}\n"
        f"   l'API            {gateway.address}/docs\n"
        f"   le langage       {gateway.address}/schemas/\n"
        f"   façade FHIR      {gateway.address}/fhir/R4/metadata\n"
        f"   le journal       {gateway.address}/ledger/checkpoint\n"
        f"   les mesures      {gateway.address}/metrics\n"
        f"\nPour l'appeler comme la CAF (clés des partenaires : {keys}) :\n"
        f'   {token} --get "/v1/exchanges?limit=3"\n'
        "\nCtrl+C l'arrête et efface ses données."
    )
    try:
        signal.pause()
    except KeyboardInterrupt:
        console.print("Arrêt.")
