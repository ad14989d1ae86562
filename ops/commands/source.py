"""
`tdu system source`: how what a partner's software sends is got, when it does not send by itself; set, tried and paused by the operator.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Annotated, Any, Final

import sqlalchemy as sa
import typer

from gateway.delivery.base import Configuration
from gateway.errors import Problem
from gateway.sources import store
from gateway.sources.base import API, Connector, Hook, PullFailed, Source, told
from gateway.store.database import Transaction
from gateway.store.tables import partners
from ops.commands import say
from ops.commands.endpoint import pair, parts
from ops.configuration import change

app = typer.Typer(no_args_is_help=True, help="Comment ses envois sont pris. / How what it sends is got.")

ClientId = Annotated[str, typer.Argument(help="Le logiciel. / The software.")]

_LISTS: Final = frozenset({"processes"})
_NUMBERS: Final = frozenset({"every_seconds"})


@app.command("list")
def list_sources() -> None:
    """Lister les logiciels dont les envois sont pris, et comment cela va. / List the systems that are asked, and how it goes."""
    say.result(say.run(_listed()))


@app.command("add")
def add(
    client_id: ClientId,
    way: Annotated[str, typer.Argument(help="dora, hubee, i-milo, rdv-insertion")],
    setting: Annotated[
        list[str] | None,
        typer.Option(help="nom=valeur ; une liste avec des virgules : processes=A,B / name=value; a list with commas"),
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(help="nom=fichier qui tient ce secret, « - » : entrée standard / name=file that holds it"),
    ] = None,
) -> None:
    """Régler comment ses envois sont pris, à la place d'avant ; un secret créé n'est montré qu'ici. / Set how it is got."""
    asked = {name: _value(name, value) for name, value in map(pair, setting or [])}
    asked |= {name: _secret(value) for name, value in map(pair, secret or [])}
    say.result(say.run(_set(client_id, way, asked)))


@app.command("pause")
def pause(client_id: ClientId) -> None:
    """Ne plus l'interroger, sans rien oublier. / Ask it no more; nothing is forgotten."""
    say.run(_change(client_id, "source_paused", store.pause))
    say.result({"client_id": client_id, "state": "paused"})


@app.command("resume")
def resume(client_id: ClientId) -> None:
    """Reprendre tout de suite, là où elle en était. / Go on at once, from where it was left."""
    say.run(_change(client_id, "source_resumed", store.resume))
    say.result({"client_id": client_id, "state": "active"})


@app.command("remove")
def remove(client_id: ClientId) -> None:
    """Ne plus prendre ses envois : réglages, secrets et place oubliés. / Stop; settings, secrets and place are forgotten."""
    say.result(say.run(_set(client_id, API, {})))


@app.command("test")
def test(client_id: ClientId) -> None:
    """L'interroger une fois, sans rien prendre ni rien lui dire. / Ask it once; nothing is taken and it is told nothing."""
    shown = say.run(_looked(client_id))
    say.result(shown)
    if shown["outcome"] != "answered":
        raise typer.Exit(1)


async def _listed() -> list[dict[str, Any]]:
    async with parts() as runtime, runtime.services.database.read() as tx:
        sirets = (await tx.execute(sa.select(partners.c.siret).order_by(partners.c.siret))).scalars().all()
        vault = runtime.services.vault
        found = [each for siret in sirets for each in await store.of_partner(tx, siret, vault)]
    return [{"siret": each.partner, **each.shown} for each in found if each.way != API]


async def _set(client_id: str, way: str, asked: dict[str, Any]) -> dict[str, Any]:
    async with parts() as runtime:
        known: dict[str, Connector | Hook] = {**runtime.hooks, **runtime.connectors}
        if way not in {API, *known}:
            names = ", ".join(sorted(known))
            say.fail(f"Voies possibles : {names}.", f"Possible ways: {names}.")
        vault, address = runtime.services.vault, runtime.services.settings.public_address
        made, event = Configuration({}, {}, {}), dict[str, Any]()

        async def configure(tx: Transaction, current: Source, now: datetime) -> None:
            nonlocal made
            if way == current.way == API:
                say.fail("Ce logiciel envoie par lui-même.", "This system sends by itself.")
            if way in known:
                made = known[way].configure(asked, current)
            event.update(told(way, made))
            await store.configure(tx, current, way, made, vault, now)

        await _change(client_id, "source_set", configure, event)
        called = {"url": f"{address}/v1/hooks/{client_id}"} if way in runtime.hooks else {}
        return {"client_id": client_id, "way": way, **called, **made.shown}


async def _looked(client_id: str) -> dict[str, Any]:
    async with parts() as runtime:
        async with runtime.services.database.read() as tx:
            source = await store.get(tx, client_id, runtime.services.vault)
        if source is None or source.way not in runtime.connectors:
            say.fail(
                "Ce logiciel n'est pas interrogé : il n'y a rien à essayer.",
                "This system is not asked: nothing to try.",
            )
        began = monotonic()
        try:
            found: dict[str, Any] = {
                "outcome": "answered",
                "messages": await runtime.connectors[source.way].look(source),
            }
        except PullFailed as failure:
            found = {"outcome": "failed", "code": failure.code}
        return found | {"milliseconds": int((monotonic() - began) * 1000)}


async def _change(
    client_id: str,
    name: str,
    work: Callable[[Transaction, Source, datetime], Awaitable[None]],
    event: dict[str, Any] | None = None,
) -> None:
    """Change one source in a transaction with its event, to which `work` may add; says what is wrong otherwise."""
    settings = say.settings()
    body = event if event is not None else {}
    body |= {"change": name, "client_id": client_id}
    async with parts() as runtime:
        vault, asked = runtime.services.vault, runtime.connectors
    try:
        async with change(settings, say.keys(settings), body) as tx:
            source = await store.get(tx, client_id, vault, change=True)
            if source is None:
                say.fail("Ce logiciel n'est pas enregistré, ou il est coupé.", "This system is unknown or shut out.")
            if name != "source_set" and source.way not in asked:
                say.fail("Ce logiciel envoie par lui-même : il n'est pas interrogé.", "This system sends by itself.")
            await work(tx, source, datetime.now(UTC))
    except Problem as problem:
        say.fail(problem.detail_fr, problem.detail_en)


def _value(name: str, text: str) -> Any:
    """A setting as the API takes it: a list, a number, or a text."""
    if name in _LISTS:
        return text.split(",")
    return int(text) if name in _NUMBERS and text.isdigit() else text


def _secret(file: str) -> str:
    """The secret that a file holds, without its last line break: on the command line, everybody on the machine would see it."""
    if file == "-":
        return sys.stdin.read().rstrip("\r\n")
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        say.fail("Un fichier de secret ne peut pas être lu.", "A file of a secret cannot be read.")
