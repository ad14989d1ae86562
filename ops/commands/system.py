"""
`tdu system`: register the software of an organisation, print the program with which it can start, shut it out.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from adapters.registry import ADAPTERS
from gateway.auth.errors import RegistrationRefused
from gateway.auth.profile import SUBJECT_KINDS, Binding, Method, Profile, Security
from gateway.auth.registry import System, add_system, disable_system, get_system
from gateway.limits import KINDS
from gateway.store.database import Database
from ops.commands import endpoint, say, source
from ops.configuration import change
from ops.onboarding import snippets

app = typer.Typer(no_args_is_help=True, help="Les logiciels des organisations. / The organisations' software.")
app.add_typer(endpoint.app, name="endpoint")
app.add_typer(source.app, name="source")

_PAIR = "nom=valeur / name=value"


@app.command("add")
def add(
    client_id: str,
    siret: str,
    name: str,
    jwks: Annotated[Path | None, typer.Option(help="Clés publiques (JWKS). / Public keys.", exists=True)] = None,
    jwks_uri: Annotated[
        str | None, typer.Option(help="Adresse où il publie ses clés. / Where it publishes them.")
    ] = None,
    adapter: Annotated[str, typer.Option(help="Format dans lequel il reçoit. / Format it receives.")] = "shared-json",
    role: Annotated[list[str] | None, typer.Option(help="partner, auditor, administrator")] = None,
    profile: Annotated[
        Profile, typer.Option(help="Règles de ses assertions. / Rules of its assertions.")
    ] = Profile.FAPI,
    method: Annotated[
        Method, typer.Option(help="Comment il s'authentifie. / How it authenticates.")
    ] = Method.PRIVATE_KEY_JWT,
    binding: Annotated[
        Binding | None, typer.Option(help="À quoi ses jetons sont liés. / What its tokens are bound to.")
    ] = None,
    certificate: Annotated[
        str | None, typer.Option(help=f"Nom de son certificat : {', '.join(SUBJECT_KINDS)}, {_PAIR}")
    ] = None,
    network: Annotated[
        list[str] | None, typer.Option(help="Réseau privé où lire ses clés : 10.1.0.0/16. / Private network.")
    ] = None,
    port: Annotated[list[int] | None, typer.Option(help="Autre port que 443 pour ses clés. / Another port.")] = None,
    limit: Annotated[list[str] | None, typer.Option(help=f"{', '.join(KINDS)} : requests=600/minute")] = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Essai avec des personnes fictives : jetons au porteur. / Trial.")
    ] = False,
    signed: Annotated[
        bool, typer.Option("--signed", help="Refuser ses requêtes non signées (RFC 9421). / Refuse unsigned requests.")
    ] = False,
) -> None:
    """Enregistrer un logiciel, et montrer le programme avec lequel il peut commencer. / Register a software."""
    if adapter not in ADAPTERS:
        known = ", ".join(sorted(ADAPTERS))
        say.fail(f"Format inconnu ; connus : {known}.", f"Unknown format; known: {known}.")
    by_certificate = method in (Method.TLS, Method.SELF_SIGNED_TLS)
    security = Security(
        profile=profile,
        method=method,
        binding=binding or (Binding.BEARER if sandbox else Binding.MTLS if by_certificate else Binding.DPOP),
        sandbox=sandbox,
        jwks_uri=jwks_uri,
        network={"networks": network or [], "ports": port or []} if network or port else None,
        tls_subject=_pairs([certificate]) if certificate else None,
        limits=_pairs(limit) if limit else None,
        signed=signed,
    )
    secret = secrets.token_urlsafe(32) if method is Method.SECRET else None
    keys = json.loads(jwks.read_bytes()) if jwks else None
    system = say.run(_added(client_id, siret, name, keys, adapter, role or ["partner"], security, secret))
    issuer = say.settings().public_address
    audience = issuer if profile is Profile.FAPI else f"{issuer}/oauth2/token"
    say.result(
        {"client_id": client_id, "token_endpoint": f"{issuer}/oauth2/token", "audience": audience}
        | ({"client_secret": secret} if secret else {})
    )
    say.stderr.print(
        "Pour commencer, avec la clé privée du logiciel dans cle.pem (« tdu system snippet » le redonne) :"
        if secret is None
        else "Pour commencer (le secret n'est montré qu'ici) :",
        "[dim]To start with[/dim]",
    )
    say.stderr.print(_snippet(system, issuer, secret), markup=False, soft_wrap=True)


@app.command("snippet")
def snippet(client_id: str) -> None:
    """Le programme avec lequel un logiciel peut commencer, sur stdout. / The program with which a software can start."""
    system = say.run(_known(client_id))
    if system is None:
        say.fail("Ce client_id n'est pas enregistré.", "This client_id is not registered.")
    typer.echo(_snippet(system, say.settings().public_address, None), nl=False)


@app.command("disable")
def disable(client_id: str) -> None:
    """Couper un logiciel : plus de jeton, et les siens sont refusés en quelques secondes. / Shut a system out."""
    say.run(_disable(client_id))
    say.result({"client_id": client_id, "disabled": True})


def _snippet(system: System, issuer: str, secret: str | None) -> str:
    return snippets.curl(system, issuer, *([secret] if secret else [])) or snippets.python(system, issuer)


def _pairs(texts: Iterable[str]) -> dict[str, str]:
    split = [text.partition("=") for text in texts]
    if not all(separator for _, separator, _ in split):
        say.fail(f"Écrivez {_PAIR}.", f"Write {_PAIR}.", 2)
    return {name.strip(): value.strip() for name, _, value in split}


async def _added(
    client_id: str,
    siret: str,
    name: str,
    jwks: Any,
    adapter: str,
    roles: list[str],
    security: Security,
    secret: str | None,
) -> System:
    settings = say.settings()
    body = {
        "change": "system_added",
        "partner": siret,
        "client_id": client_id,
        "adapter": adapter,
        "roles": sorted(roles),
        "security": security.as_json(),
    }
    try:
        async with change(settings, say.keys(settings), body) as tx:
            return await add_system(
                tx,
                client_id=client_id,
                partner=siret,
                name=name,
                jwks=jwks,
                adapter=adapter,
                roles=roles,
                security=security,
                secret=secret,
                now=datetime.now(UTC),
            )
    except RegistrationRefused as error:
        say.fail(error.message_fr, error.message_en)


async def _known(client_id: str) -> System | None:
    database = Database(say.settings().database)
    try:
        async with database.read() as tx:
            return await get_system(tx, client_id)
    finally:
        await database.close()


async def _disable(client_id: str) -> None:
    settings = say.settings()
    body = {"change": "system_disabled", "client_id": client_id}
    try:
        async with change(settings, say.keys(settings), body) as tx:
            await disable_system(tx, client_id, datetime.now(UTC))
    except RegistrationRefused as error:
        say.fail(error.message_fr, error.message_en)
