"""
`tdu partner token`: what a partner's system does first, for trying the API by hand.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import httpx
import typer
from joserfc.jwk import ECKey

from gateway.auth.client import Token, TokenRefused, fetch_token
from gateway.auth.client_dpop import DpopKey
from ops.commands import say


def token(
    client_id: str,
    key: Annotated[Path, typer.Argument(help="Clé privée du logiciel (PEM). / The system's private key.", exists=True)],
    kid: Annotated[str, typer.Option(help="Nom de la clé. / Name of the key.")] = "1",
    issuer: Annotated[
        str | None, typer.Option(help="Adresse publique de la passerelle. / The gateway's public address.")
    ] = None,
    scope: Annotated[str, typer.Option(help="Portées voulues ; vide : toutes. / Wanted scopes.")] = "",
    dpop: Annotated[
        Path | None,
        typer.Option(help="Clé P-256 (PEM) à laquelle lier le jeton (DPoP). / Key to bind the token to.", exists=True),
    ] = None,
    get: Annotated[
        str, typer.Option(help="Adresse à appeler, avec une preuve DPoP ; sa réponse sur stdout. / Address to call.")
    ] = "",
) -> None:
    """
    Chez le partenaire, pour essayer : un jeton par private_key_jwt, seul sur stdout ; ou, avec --get, ce que répond une adresse.

    Get a token to try with, alone on stdout; or, with --get, what an address answers.
    """
    address = issuer or say.settings().public_address
    try:
        proving = _proving(dpop, fresh=bool(get))
        got, answer = say.run(_asked(address, client_id, key.read_bytes(), kid, scope, proving, get))
    except TokenRefused as error:
        say.fail(f"Pas de jeton. {error}", "No token.")
    except httpx.TransportError as error:
        say.fail(f"{address} ne répond pas ({type(error).__name__}).", f"{address} does not answer.")
    except ValueError:
        say.fail(f"{key} n'est pas une clé privée en PEM, sans mot de passe.", f"{key} is not a plain PEM private key.")
    say.stderr.print(f"Portées / scopes : {' '.join(sorted(got.scopes))}", soft_wrap=True)
    if answer is None:
        typer.echo(got.access_token)
        return
    typer.echo(answer.text)
    if answer.is_error:
        raise typer.Exit(1)


def _proving(key: Path | None, *, fresh: bool) -> DpopKey | None:
    """The key that proves possession: the one given, or one made for a call."""
    if key is not None:
        return DpopKey(ECKey.import_key(key.read_bytes()))
    return DpopKey.generate() if fresh else None


async def _asked(
    issuer: str, client_id: str, pem: bytes, kid: str, scope: str, proving: DpopKey | None, get: str
) -> tuple[Token, httpx.Response | None]:
    async with httpx.AsyncClient() as http:
        got = await fetch_token(
            http, issuer=issuer, client_id=client_id, private_key_pem=pem, kid=kid, scope=scope, dpop=proving
        )
        if not get or proving is None:
            return got, None
        return got, await http.get(issuer + get, auth=proving.with_token(got.access_token))
