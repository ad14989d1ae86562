"""
`tdu user`: the people who may sign in to the console. Each change is an event of the ledger, which names nobody.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import segno
import typer

from gateway.auth.errors import RegistrationRefused
from gateway.auth.people import accounts, sessions
from gateway.auth.people.roles import PersonRole
from gateway.store.crypto import Vault
from gateway.store.database import Database
from ops.commands import say
from ops.configuration import change

app = typer.Typer(no_args_is_help=True, help="Les personnes de la console. / The people of the console.")

Roles = Annotated[
    list[PersonRole], typer.Option("--role", help="Rôle, autant de fois que nécessaire. / Role, repeatable.")
]
Partner = Annotated[
    str, typer.Option(help="SIRET de l'organisation d'un opérateur. / SIRET of an operator's organisation.")
]


@app.command("add")
def add(
    login: str,
    roles: Roles,
    partner: Partner = "",
    openid: Annotated[
        str, typer.Option(help="Son « sub » chez le fournisseur OpenID : ni mot de passe ni code ici. / Its “sub”.")
    ] = "",
) -> None:
    """Ouvrir un compte : le mot de passe est demandé (ou lu sur l'entrée standard), le code d'application est montré. / Open an account."""
    now = datetime.now(UTC)
    if openid:
        say.run(_invited(login, openid, [role.value for role in roles], partner, now))
        say.result({"login": login, "openid": True})
        return
    uri = say.run(_added(login, _password(), [role.value for role in roles], partner, now))
    say.stderr.print("À lire avec une application d'authentification, maintenant : ce n'est montré qu'une fois.")
    if sys.stderr.isatty():
        segno.make(uri, micro=False).terminal(out=sys.stderr, compact=True)
    say.result({"login": login, "totp_uri": uri})


@app.command("list")
def list_people() -> None:
    """Lister les comptes. / List the accounts."""
    found = say.run(_every())
    say.result(
        [
            {"login": person.login, "roles": sorted(person.roles), "partner": person.partner, "disabled": disabled}
            for person, disabled in found
        ]
    )


@app.command("disable")
def disable(login: str) -> None:
    """Fermer un compte et toutes ses sessions. / Shut an account out, with all its sessions."""
    say.result({"login": login, "sessions_ended": say.run(_disabled(login, datetime.now(UTC)))})


def _password() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Mot de passe", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().rstrip("\n")


async def _added(login: str, password: str, roles: list[str], partner: str, now: datetime) -> str:
    settings = say.settings()
    keys = say.keys(settings)
    try:
        async with change(settings, keys, _told("person_added", roles)) as tx:
            enrolled = await accounts.add(
                tx,
                login=login,
                password=password,
                roles=roles,
                partner=partner,
                issuer=f"Trait d'union {settings.origin.partition('/')[0]}",
                key=Vault(keys.ring).own,
                now=now,
            )
    except RegistrationRefused as error:
        say.fail(error.message_fr, error.message_en, 2)
    return enrolled.totp_uri


async def _invited(login: str, subject: str, roles: list[str], partner: str, now: datetime) -> None:
    settings = say.settings()
    try:
        async with change(settings, say.keys(settings), _told("person_added", roles)) as tx:
            await accounts.invite(tx, login=login, subject=subject, roles=roles, partner=partner, now=now)
    except RegistrationRefused as error:
        say.fail(error.message_fr, error.message_en, 2)


async def _disabled(login: str, now: datetime) -> int:
    settings = say.settings()
    async with change(settings, say.keys(settings), _told("person_disabled", [])) as tx:
        person = await accounts.disable(tx, login, now)
        if person is None:
            say.fail("Aucun compte ouvert sous cet identifiant.", "No open account under this login.", 2)
        return await sessions.end_all(tx, person, now)


async def _every() -> list[Any]:
    database = Database(say.settings().database)
    try:
        async with database.read() as tx:
            return await accounts.every(tx)
    finally:
        await database.close()


def _told(what: str, roles: list[str]) -> dict[str, Any]:
    return {"change": what, "roles": sorted(roles)}
