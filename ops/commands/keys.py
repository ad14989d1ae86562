"""
`tdu keys`: the gateway's own keys, changed without anybody noticing.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from sqlalchemy.exc import SQLAlchemyError

from consent.ledger.event import EventType
from gateway.auth.token_keys import LEAD, TokenKeysUnusable, ended_files, next_file
from gateway.keys import Keys, KeysMissing, new_token_key, token_keys
from gateway.settings import Settings
from ops.commands import say, sealing
from ops.configuration import change

app = typer.Typer(no_args_is_help=True, help="Les clés de la passerelle. / The gateway's own keys.")
rotate = typer.Typer(no_args_is_help=True, help="Remplacer une clé. / Replace a key.")
app.add_typer(rotate, name="rotate")
app.add_typer(sealing.app, name="sealing")


@app.command("show")
def show() -> None:
    """Les clés publiques qui vérifient les jetons, et celle qui signe. / The public keys, and the one that signs."""
    try:
        keys, now = token_keys(say.settings()), datetime.now(UTC)
        signing = keys.signing(now)
        say.result([{"kid": kid, "signs": kid == signing} for kid in keys.published(now)])
    except (KeysMissing, TokenKeysUnusable) as error:
        say.fail(f"Clés de jetons inutilisables ({error}).", f"Unusable token keys ({error}).", 2)


@rotate.command("token")
def rotate_token(
    minutes: Annotated[
        int, typer.Option("--in", min=0, help="Minutes avant qu'elle signe. / Minutes before it signs.")
    ] = int(LEAD.total_seconds() // 60),
) -> None:
    """
    Remplacer la clé des jetons : la nouvelle est publiée tout de suite et signe plus tard. / Replace the token key.

    L'ancienne vérifie encore ses jetons, puis son fichier est supprimé à la rotation suivante. Aucun processus n'est à relancer.
    """
    settings = say.settings()
    if settings.token_keys:
        say.fail(
            "Ces clés ne sont pas dans des fichiers (TDU_TOKEN_KEYS) : faites-les tourner là où elles sont.",
            "These keys are not in files (TDU_TOKEN_KEYS): rotate them where they are.",
        )
    now = datetime.now(UTC)
    signs_from = now + timedelta(minutes=minutes)
    if signs_from - now < LEAD:
        say.stderr.print(
            f"Attention : moins de {LEAD.total_seconds() // 60:.0f} minutes. Qui garde les clés publiques en mémoire refusera quelque temps "
            "les nouveaux jetons ; à réserver à une clé compromise. / Shorter than key sets are kept: for a compromised key only."
        )
    path = next_file(settings.keys, signs_from)
    try:
        kid = new_token_key(path)
        ended = ended_files(settings.keys, now)
    except OSError as error:
        say.fail(f"{settings.keys} : {type(error).__name__}.", f"{settings.keys}: {type(error).__name__}.")
    for old in ended:
        old.unlink()
    _record(settings, kid)
    say.result(
        {
            "kid": kid,
            "file": path.name,
            "signs_from": signs_from.isoformat(timespec="seconds"),
            "deleted": [old.name for old in ended],
        }
    )


def _record(settings: Settings, kid: str) -> None:
    """Record the new key in the ledger; a key that is compromised is replaced even when the ledger cannot be written."""

    async def recorded() -> None:
        body = {"change": "token_key_added", "kid": kid}
        async with change(settings, Keys.load(settings), body, EventType.KEY_ROTATED):
            pass

    try:
        asyncio.run(recorded())
    except (KeysMissing, SQLAlchemyError, OSError) as error:
        say.stderr.print(
            f"Attention : la nouvelle clé n'a pas pu être inscrite au journal ({type(error).__name__}). / Not recorded."
        )
