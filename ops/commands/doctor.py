"""
`tdu init`, `tdu migrate`, `tdu doctor`: prepare a gateway, and say what is wrong with one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx
import sqlalchemy as sa
import typer

from consent.ledger.mark import SequencerRefused
from consent.ledger.policy import Policy
from consent.ledger.witness import origin_digest
from consent.tables import conventions
from gateway.bus.base import BusUnavailable
from gateway.composition import assemble
from gateway.keys import Keys, KeysMissing, token_keys
from gateway.settings import Settings
from gateway.store.database import Database
from gateway.store.root import WrongRoot
from ops import migrations
from ops.commands import say
from ops.commands.secrets import make_keys
from ops.configuration import check_sealing, open_log
from schemas.identity import siret_is_valid

app = typer.Typer()
init_app = typer.Typer()
migrate_app = typer.Typer()


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: its name, whether it is good, and what to do if not."""

    name: str
    good: bool
    message: str


@init_app.command()
def init() -> None:
    """Créer les clés qui manquent et préparer la base. / Make the missing keys and prepare the database."""
    settings = say.settings()
    make_keys(settings)
    say.run(_init(settings))


@migrate_app.command()
def migrate() -> None:
    """Mettre la base à la dernière version. / Bring the database to the newest version."""
    say.run(_migrate(say.settings()))


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Pour un programme. / For a program.")] = False,
) -> None:
    """Dire ce qui ne va pas : réglages, clés, base, bus. / Say what is wrong: settings, keys, database, bus."""
    checks = say.run(_gathered(say.settings()))
    if as_json:
        say.result([{"name": check.name, "good": check.good, "message": check.message} for check in checks])
    else:
        for check in checks:
            say.stdout.print(
                f"{'[green]bon[/green]' if check.good else '[red]à corriger[/red]'}  {check.name} : {check.message}"
            )
    if not all(check.good for check in checks):
        raise typer.Exit(1)


async def _init(settings: Settings) -> None:
    await _migrate(settings)
    try:
        opened = await open_log(settings, say.keys(settings))
    except SequencerRefused as error:
        say.fail(error.message_fr, error.message_en)
    if opened:
        say.stderr.print("Journal ouvert : sa première entrée est signée. / Log opened: its first entry is signed.")


async def _migrate(settings: Settings) -> None:
    database = Database(settings.database)
    await migrations.migrate(database)
    current, _ = await migrations.current(database)
    await database.close()
    say.stderr.print(f"Base prête, révision {current}. / Database ready.")


async def _gathered(settings: Settings) -> list[Check]:
    return [check async for check in _checks(settings)]


async def _checks(settings: Settings) -> AsyncIterator[Check]:
    yield _siret(settings)
    yield (address := _address(settings))
    if not address.good:
        return
    yield (database := await _database(settings))
    try:
        keys = Keys.load(settings)
        token_keys(settings)
    except KeysMissing as error:
        yield Check("clés", False, f"{error} ; faites « tdu init » ou corrigez TDU_KEYS_DIR et TDU_KEK_FILE")
        return
    yield Check("clés", True, f"lues dans {settings.keys}")
    if database.good:
        yield await _sealing(settings, keys)
        yield await _mail(settings)
    yield await _bus(settings, keys)
    if settings.ledger_policy is not None:
        yield await _witnesses(settings.ledger_policy, settings.origin)


def _siret(settings: Settings) -> Check:
    if not siret_is_valid(settings.operator_siret):
        return Check("exploitant", False, "TDU_OPERATOR_SIRET n'est pas un SIRET valide")
    if settings.operator_siret.startswith("999") and settings.public_address.startswith("https://"):
        return Check(
            "exploitant", False, "TDU_OPERATOR_SIRET est fictif : donnez le SIRET de qui exploite la passerelle"
        )
    return Check("exploitant", True, "SIRET valide")


def _address(settings: Settings) -> Check:
    address = settings.public_address
    local = address.startswith(("http://127.0.0.1", "http://localhost"))
    good = not address.endswith("/") and (address.startswith("https://") or local)
    return Check(
        "adresse", good, address if good else "TDU_ISSUER doit être une adresse https sans barre oblique finale"
    )


def _has_no_file(database: Database) -> bool:
    return database.dialect == "sqlite" and not Path(str(database.url.database)).exists()


async def _database(settings: Settings) -> Check:
    database = Database(settings.database)
    if _has_no_file(database):
        return Check("base", False, "pas encore créée ; faites « tdu init »")
    try:
        current, head = await migrations.current(database)
        walled = await database.wall_holds()
    except (sa.exc.SQLAlchemyError, OSError) as error:
        return Check("base", False, f"ne répond pas ({type(error).__name__}) ; vérifiez TDU_DATABASE_URL et le serveur")
    finally:
        await database.close()
    if current != head:
        return Check("base", False, f"révision {current}, attendue {head} ; faites « tdu migrate »")
    if not walled:
        return Check(
            "base",
            False,
            "le rôle est superutilisateur ou a BYPASSRLS : la sécurité par ligne ne le lie pas ; donnez à TDU_DATABASE_URL un rôle "
            "ordinaire, propriétaire de la base",
        )
    return Check("base", True, f"{database.dialect}, révision {current}")


async def _sealing(settings: Settings, keys: Keys) -> Check:
    try:
        await check_sealing(settings, keys)
    except WrongRoot as error:
        return Check("secret", False, error.message_fr)
    return Check("secret", True, "c'est celui qui scelle la base")


async def _mail(settings: Settings) -> Check:
    """Whether officers can be told of emergency accesses, where a convention allows some."""
    database = Database(settings.database)
    async with database.read() as tx:
        texts = (await tx.execute(sa.select(conventions.c.document))).scalars()
        allowed = any("break_glass" in flow for text in texts for flow in text["flows"])
    await database.close()
    if allowed and not settings.smtp_url:
        return Check(
            "courriel",
            False,
            "une convention permet l'accès d'urgence : TDU_SMTP_URL doit dire par où prévenir les DPO",
        )
    return Check("courriel", True, "configuré" if settings.smtp_url else "aucune convention n'en demande")


async def _witnesses(policy_file: Path, origin: str) -> Check:
    """Whether the witnesses that answer are enough; what each last cosigned is public."""
    policy = Policy.parse(await asyncio.to_thread(policy_file.read_bytes))
    answering, silent = set(), list[str]()
    async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
        for name, witness in policy.witnesses.items():
            try:
                address = f"{(witness.url or '').rstrip('/')}/{origin_digest(origin)}/checkpoint"
                known = (await client.get(address)).status_code in (200, 404)
            except (httpx.HTTPError, httpx.InvalidURL):
                known = False
            if known:
                answering.add(witness.key)
            else:
                silent.append(name.decode("utf-8", "replace"))
    told = f"{len(answering)} sur {len(policy.witnesses)} répondent"
    if policy.satisfied(answering):
        return Check("témoins", True, told)
    return Check("témoins", False, f"{told} : le quorum manque, joignez {', '.join(silent)}")


async def _bus(settings: Settings, keys: Keys) -> Check:
    runtime = assemble(settings, keys)
    try:
        await runtime.bus.open()
        await runtime.bus.check()
    except BusUnavailable as error:
        return Check("bus", False, f"ne répond pas ({type(error).__name__}) ; vérifiez TDU_BUS_URL et le serveur")
    finally:
        await runtime.bus.close()
        await runtime.services.database.close()
    return Check("bus", True, "RabbitMQ" if settings.bus_url else "embarqué dans la base")
