"""
`tdu ledger`: write the static log, verify it without the gateway, verify a receipt.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from consent.completeness import is_answer, verify_answer
from consent.ledger.note import Signer
from consent.verify import Report, verify_directory, verify_receipt
from ops.commands import say

app = typer.Typer(no_args_is_help=True, help="Le journal des preuves. / The ledger of proofs.")

Json = Annotated[bool, typer.Option("--json", help="Pour un programme. / For a program.")]


@app.command("verify")
def verify(
    path: Annotated[
        Path,
        typer.Argument(
            help="Dossier d'un journal exporté, reçu .tlog-proof ou réponse d'un audit. / Exported log, receipt or answer.",
            exists=True,
        ),
    ],
    vkey: Annotated[
        str | None,
        typer.Option(help="Clé publique du journal, obtenue à part. / The log's public key, obtained apart."),
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="Fichier qui garde le dernier état vu. / File that keeps the last state seen.")
    ] = None,
    witness: Annotated[
        list[str] | None, typer.Option(help="Clé publique d'un témoin. / A witness's public key.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Vérifier hors ligne un journal ou un reçu. Sortie : 0 valable, 1 altéré, 2 inutilisable. / Verify offline."""
    if path.is_dir():
        report = verify_directory(path, vkey, state=state, witnesses=witness or ())
    elif vkey is None:
        say.fail("Pour un reçu ou une réponse, donnez --vkey.", "For a receipt or an answer, give --vkey.", 2)
    elif is_answer(path):
        with path.open("rb") as lines:
            report = verify_answer(lines, vkey, witnesses=witness or ())
    else:
        report = verify_receipt(path.read_bytes(), vkey, witnesses=witness or ())
    _tell(report, as_json)
    raise typer.Exit(report.exit_code)


@app.command("witness")
def witness(
    directory: Annotated[
        Path,
        typer.Argument(help="Où le témoin garde sa clé et ce qu'il a cosigné. / Where its key and memory are kept."),
    ],
    name: Annotated[
        str, typer.Option(help="Nom du témoin, par exemple temoin.exemple.fr/w1. / The witness's own name.")
    ],
    log: Annotated[
        list[str] | None,
        typer.Option(help="Clé publique d'un journal à témoigner, obtenue à part. / Public key of a log to witness."),
    ] = None,
    host: Annotated[str, typer.Option(help="Adresse d'écoute. / Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port d'écoute. / Port to listen on.")] = 8090,
    key_only: Annotated[
        bool, typer.Option("--key", help="Écrire la clé publique et s'arrêter. / Print the public key and stop.")
    ] = False,
) -> None:
    """Être témoin de journaux (C2SP tlog-witness) : cosigner ce qui continue, refuser ce qui réécrit. / Witness logs."""
    from ops.commands.witness import run  # noqa: PLC0415 - verifying loads no web server

    run(directory, name, log or [], host, port, key_only=key_only)


@app.command("export")
def export(
    directory: Annotated[Path, typer.Argument(help="Où écrire le journal statique. / Where to write the static log.")],
) -> None:
    """Écrire le journal public en fichiers statiques (C2SP tlog-tiles). / Write the public log as static files."""
    settings = say.settings()
    signer = Signer(settings.origin, say.keys(settings).ledger)
    directory.mkdir(parents=True, exist_ok=True)
    size = say.run(_export(settings.database, directory, signer.vkey))
    say.result({"directory": str(directory), "size": size, "vkey": signer.vkey})


async def _export(url: str, directory: Path, vkey: str) -> int:
    # Verifying needs no database: only this command reads what opens one.
    from consent.ledger.export import ExportRefused, export  # noqa: PLC0415
    from gateway.store.database import Database  # noqa: PLC0415

    database = Database(url)
    try:
        async with database.read() as tx:
            checkpoint = await export(tx, directory, vkey)
    except ExportRefused as error:
        say.fail(error.message_fr, error.message_en)
    finally:
        await database.close()
    return checkpoint.size if checkpoint else 0


def _tell(report: Report, as_json: bool) -> None:
    if as_json:
        say.result(report.to_json())
    else:
        typer.echo(report.to_text_fr(), nl=False)
