"""
`tdu ledger`: write the static log, verify it without the gateway, verify a receipt.
"""

from __future__ import annotations

from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer

from consent.ledger import proving
from consent.ledger.note import Signer
from consent.ledger.source import Directory
from gateway.settings import Settings
from ops.commands import say
from ops.verifier import archive, program
from ops.verifier.address import Address

app = typer.Typer(no_args_is_help=True, help="Le journal des preuves. / The ledger of proofs.")


@app.command(
    "verify", context_settings={"ignore_unknown_options": True, "allow_extra_args": True}, add_help_option=False
)
def verify(context: typer.Context) -> None:
    """Vérifier un journal, un reçu ou une réponse, sans la passerelle (--help). / Verify without the gateway (--help)."""
    raise typer.Exit(program.main(context.args, "tdu ledger verify"))


@app.command("zipapp")
def zipapp(
    target: Annotated[Path, typer.Argument(help="Le fichier à écrire, par exemple verifier.pyz. / The file to write.")],
) -> None:
    """Écrire le vérificateur en un seul fichier, à donner aux auditeurs. / Write the verifier as one file, for auditors."""
    try:
        content = archive.write(target)
    except OSError as error:
        say.fail(f"Impossible d'écrire {target} : {error.strerror}.", f"Cannot write {target}: {error.strerror}.", 2)
    say.result({"file": str(target), "bytes": len(content), "sha256": sha256(content).hexdigest()})


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


@app.command("open-new")
def open_new(
    previous: Annotated[
        str | None,
        typer.Option(help="Clé publique de l'ancien journal, si son fichier n'est plus là. / Old public key."),
    ] = None,
    seen: Annotated[
        Path | None,
        typer.Option(
            help="Dernière tête de l'ancien journal tenue par un tiers. / Its last head held by somebody else."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ne pas demander. / Do not ask.")] = False,
) -> None:
    """Ouvrir un autre journal sur la même base, après une restauration ou la perte de la clé. / Open another log over the base."""
    from ops.commands.succession import run  # noqa: PLC0415 - verifying loads no gateway

    run(previous, seen, yes=yes)


@app.command("prove")
def prove(
    entry: Annotated[
        str,
        typer.Argument(help="Identifiant d'un événement, ou rang d'une entrée. / An event's id, or an entry's index."),
    ],
    output: Annotated[Path | None, typer.Option(help="Fichier .tlog-proof à écrire. / File to write.")] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", help="Dossier ou adresse d'un journal ; sans, la base. / Directory or address; else the database."
        ),
    ] = None,
) -> None:
    """Donner le reçu d'un événement (C2SP tlog-proof), sans son contenu. / Give an event's receipt, without its content."""
    receipt = _proved(source, entry) if source else say.run(_receipt(say.settings(), entry))
    if output is None:
        typer.echo(receipt.decode(), nl=False)
    else:
        output.write_bytes(receipt)


def _proved(source: str, index: str) -> bytes:
    if not index.isdecimal():
        say.fail("Sans la base, donnez le rang d'une entrée.", "Without the database, give an entry's index.", 2)
    try:
        if source.startswith(("http://", "https://")):
            with closing(Address(source)) as log:
                return proving.prove(log, int(index)).encode()
        return proving.prove(Directory(Path(source)), int(index)).encode()
    except (proving.NotProvable, ValueError) as error:
        say.fail(f"Pas de preuve de l'entrée {index} : {error}.", f"No proof of entry {index}: {error}.")


async def _receipt(settings: Settings, entry: str) -> bytes:
    # Proving from files needs no database: only this reads what opens one.
    from consent.ledger.store import Ledger, UnknownEvent  # noqa: PLC0415
    from gateway.store.database import Database  # noqa: PLC0415

    database, ledger = Database(settings.database), Ledger()
    try:
        async with database.read() as tx:
            event_id = await ledger.event_at(tx, int(entry)) if entry.isdecimal() else entry
            receipt = await ledger.receipt(tx, event_id)
    except UnknownEvent:
        say.fail(f"Aucun événement {entry}.", f"No event {entry}.")
    finally:
        await database.close()
    if receipt is None:
        say.fail("Pas encore publié : réessayez dans une seconde.", "Not published yet: try again in a second.")
    return receipt


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
