"""
`tdu partner token`: what a partner's system does first, for trying the API by hand.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import httpx
import typer

from gateway.auth.client import Token, TokenRefused, fetch_token
from ops.commands import say


def token(
    client_id: str,
    key: Annotated[Path, typer.Argument(help="Clé privée du logiciel (PEM). / The system's private key.", exists=True)],
    kid: Annotated[str, typer.Option(help="Nom de la clé. / Name of the key.")] = "1",
    issuer: Annotated[
        str | None, typer.Option(help="Adresse publique de la passerelle. / The gateway's public address.")
    ] = None,
    scope: Annotated[str, typer.Option(help="Portées voulues ; vide : toutes. / Wanted scopes.")] = "",
) -> None:
    """Chez le partenaire, pour essayer : un jeton par private_key_jwt, seul sur stdout. / Get a token to try with, alone on stdout."""
    address = issuer or say.settings().public_address
    try:
        got = say.run(_token(address, client_id, key.read_bytes(), kid, scope))
    except TokenRefused as error:
        say.fail(f"Pas de jeton. {error}", "No token.")
    except httpx.TransportError as error:
        say.fail(f"{address} ne répond pas ({type(error).__name__}).", f"{address} does not answer.")
    except ValueError:
        say.fail(f"{key} n'est pas une clé privée en PEM, sans mot de passe.", f"{key} is not a plain PEM private key.")
    say.stderr.print(f"Portées / scopes : {' '.join(sorted(got.scopes))}", soft_wrap=True)
    typer.echo(got.access_token)


async def _token(issuer: str, client_id: str, pem: bytes, kid: str, scope: str) -> Token:
    async with httpx.AsyncClient() as http:
        return await fetch_token(http, issuer=issuer, client_id=client_id, private_key_pem=pem, kid=kid, scope=scope)
