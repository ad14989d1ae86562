"""
`tdu partner`: register organisations; keys are made on the partner's side.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
import typer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from joserfc.jwk import ECKey

from gateway.auth.errors import RegistrationRefused
from gateway.auth.invitations import invite
from gateway.auth.metadata import REGISTER
from gateway.auth.profile import TRIAL, Profile, Security
from gateway.auth.registry import add_partner
from gateway.store.database import Database
from gateway.store.tables import partners
from gateway.store.tables import systems as systems_table
from ops.commands import say
from ops.commands.token import token
from ops.configuration import change

app = typer.Typer(no_args_is_help=True, help="Les organisations de l'échange. / The organisations in the exchange.")
app.command("token")(token)


@app.command("keygen")
def keygen(
    private: Annotated[Path, typer.Argument(help="Où écrire la clé privée (PEM). / Where to write the private key.")],
    kid: Annotated[str, typer.Option(help="Nom de la clé. / Name of the key.")] = "1",
) -> None:
    """Chez le partenaire : créer une clé ES256 ; la partie publique (JWKS) sort sur stdout. / On the partner's side."""
    key = generate_private_key(SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    if private.exists():
        say.fail(f"{private} existe déjà.", f"{private} already exists.")
    private.touch(mode=0o600)
    private.write_bytes(pem)
    public = ECKey.import_key(pem, {"kid": kid, "use": "sig"}).as_dict(private=False)
    say.result({"keys": [public]})


@app.command("add")
def add(
    siret: str,
    name: str,
    jwks: Annotated[
        Path, typer.Option(help="Clés publiques qui signent les conventions (JWKS). / Public keys.", exists=True)
    ],
) -> None:
    """Enregistrer une organisation. / Register an organisation."""
    say.run(_add_partner(siret, name, json.loads(jwks.read_bytes())))
    say.result({"siret": siret, "name": name})


@app.command("list")
def list_partners() -> None:
    """Lister les organisations et leurs logiciels. / List the organisations and their software."""
    say.result(say.run(_listed()))


@app.command("invite")
def invite_partner(
    siret: str,
    uses: Annotated[int, typer.Option(min=1, max=100, help="Logiciels à enregistrer. / Systems to register.")] = 1,
    days: Annotated[int, typer.Option(min=1, max=90, help="Jours de validité. / Days of validity.")] = 7,
    profile: Annotated[
        Profile, typer.Option(help="Règles de leurs assertions. / Rules of their assertions.")
    ] = Profile.FAPI,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Essai avec des personnes fictives. / Trial with fictitious people.")
    ] = False,
) -> None:
    """Inviter une organisation à enregistrer elle-même ses logiciels (RFC 7591). / Invite it to register its software."""
    security = replace(TRIAL if sandbox else Security(), profile=profile)
    token = say.run(_invite(siret, security, uses, days))
    address = f"{say.settings().public_address}{REGISTER}"
    say.result({"registration_endpoint": address, "initial_access_token": token, "uses": uses, "days": days})


async def _invite(siret: str, security: Security, uses: int, days: int) -> str:
    settings, now = say.settings(), datetime.now(UTC)
    body = {"change": "partner_invited", "partner": siret, "uses": uses, "security": security.as_json()}
    try:
        async with change(settings, say.keys(settings), body) as tx:
            return await invite(tx, siret, security, uses=uses, now=now, expires_at=now + timedelta(days=days))
    except RegistrationRefused as error:
        say.fail(error.message_fr, error.message_en)


async def _add_partner(siret: str, name: str, jwks: Any) -> None:
    settings = say.settings()
    try:
        async with change(settings, say.keys(settings), {"change": "partner_added", "partner": siret}) as tx:
            await add_partner(tx, siret=siret, name=name, signing_jwks=jwks, now=datetime.now(UTC))
    except RegistrationRefused as error:
        say.fail(error.message_fr, error.message_en)


async def _listed() -> list[dict[str, Any]]:
    database = Database(say.settings().database)
    try:
        async with database.read() as tx:
            organisations = (await tx.execute(sa.select(partners).order_by(partners.c.siret))).all()
            software = (await tx.execute(sa.select(systems_table).order_by(systems_table.c.client_id))).all()
    finally:
        await database.close()
    return [
        {
            "siret": partner.siret,
            "name": partner.name,
            "systems": [
                {
                    "client_id": each.client_id,
                    "name": each.name,
                    "adapter": each.adapter,
                    "sandbox": Security.read(each.security).sandbox,
                    "binding": Security.read(each.security).binding.value,
                    "disabled": each.disabled_at is not None,
                }
                for each in software
                if each.partner == partner.siret
            ],
        }
        for partner in organisations
    ]
