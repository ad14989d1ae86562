"""
`tdu system endpoint`: how a partner's software receives, set by the operator; what it opens, and what it suspends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import sqlalchemy as sa
import typer

from gateway.composition import assemble
from gateway.delivery import endpoints
from gateway.delivery.base import Configuration, Endpoint, Outcome, Policy
from gateway.delivery.settlement import record_test
from gateway.errors import Problem
from gateway.outgoing_addresses import Allowance
from gateway.runtime import Runtime
from gateway.store.database import Transaction
from gateway.store.tables import partners
from ops.commands import say
from ops.configuration import change
from schemas import Kind

app = typer.Typer(no_args_is_help=True, help="Comment un logiciel reçoit. / How a software receives.")

ClientId = Annotated[str, typer.Argument(help="Le logiciel. / The software.")]


@app.command("list")
def list_endpoints() -> None:
    """Lister comment chaque logiciel reçoit, et comment cela va. / List how each software receives, and how it goes."""
    say.result(say.run(_listed()))


@app.command("set")
def set_endpoint(
    client_id: ClientId,
    transport: Annotated[str, typer.Option(help="pull, webhook, sftp, amqp")],
    setting: Annotated[
        list[str] | None, typer.Option(help="nom=valeur, par exemple url=https://… / name=value")
    ] = None,
    kind: Annotated[list[Kind] | None, typer.Option(help="Genres reçus ; tous par défaut. / Kinds received.")] = None,
    policy: Annotated[list[str] | None, typer.Option(help="nom=nombre, par exemple refusals=5 / name=number")] = None,
) -> None:
    """Régler la remise ; le secret créé n'est montré qu'ici. / Set the delivery; the secret made is shown here only."""
    asked = dict(pair(each) for each in setting or [])
    tried = {name: int(value) if value.isdigit() else value for name, value in map(pair, policy or [])}
    say.result(say.run(_set(client_id, transport, asked, frozenset(kind) if kind else None, tried)))


@app.command("allow")
def allow(
    client_id: ClientId,
    network: Annotated[list[str] | None, typer.Option(help="Réseau privé à ouvrir, 10.12.0.0/16. / Network.")] = None,
    port: Annotated[list[int] | None, typer.Option(help="Port à ouvrir. / Port to open.")] = None,
) -> None:
    """Ouvrir des réseaux et des ports pour ce logiciel, à la place de ceux d'avant. / Open networks and ports for it."""
    try:
        opened = Allowance.of(network or [], port or [])
    except ValueError:
        say.fail("Un réseau s'écrit 10.12.0.0/16.", "A network is written 10.12.0.0/16.")
    say.run(_allow(client_id, opened))
    say.result({"client_id": client_id, "networks": sorted(map(str, opened.networks)), "ports": sorted(opened.ports)})


@app.command("secret")
def secret(
    client_id: ClientId,
    overlap_hours: Annotated[int, typer.Option(min=0, max=168, help="Durée de l'ancien. / Life of the old one.")] = 24,
) -> None:
    """Changer le secret ; il n'est montré qu'ici. / Replace the secret; it is shown here only."""
    say.result(say.run(_rotate(client_id, timedelta(hours=overlap_hours))))


@app.command("test")
def test(client_id: ClientId) -> None:
    """Essayer la remise, avec quelque chose qui ne concerne personne. / Try it, with something about nobody."""
    outcome = say.run(_try(client_id))
    say.result({"outcome": outcome.result.value, "code": outcome.code, "milliseconds": outcome.milliseconds})
    if not outcome.went_through:
        raise typer.Exit(1)


@app.command("suspend")
def suspend(client_id: ClientId) -> None:
    """Suspendre : ce qui arrive attend dans la boîte. / Suspend: what comes waits in the mailbox."""
    say.run(
        _change(client_id, "endpoint_suspended", lambda tx, it: endpoints.suspend(tx, it, "by the operator", _now()))
    )
    say.result({"client_id": client_id, "state": "suspended"})


@app.command("resume")
def resume(client_id: ClientId) -> None:
    """Reprendre, tout de suite. / Resume, at once."""
    say.run(_change(client_id, "endpoint_resumed", lambda tx, it: endpoints.resume(tx, it, _now())))
    say.result({"client_id": client_id, "state": "active"})


async def _listed() -> list[dict[str, Any]]:
    async with parts() as runtime, runtime.services.database.read() as tx:
        sirets = (await tx.execute(sa.select(partners.c.siret).order_by(partners.c.siret))).scalars().all()
        vault = runtime.services.vault
        found = [each for siret in sirets for each in await endpoints.of_partner(tx, siret, vault)]
    return [
        {
            "client_id": each.client_id,
            "siret": each.partner,
            "transport": each.transport,
            "state": "suspended" if each.suspended else "active",
            "failures_in_a_row": each.failures,
            "last_error": each.last_error,
            "networks": sorted(map(str, each.allowance.networks)),
            "ports": sorted(each.allowance.ports),
        }
        for each in found
    ]


async def _set(
    client_id: str, transport: str, asked: dict[str, str], kinds: frozenset[Kind] | None, policy: dict[str, Any]
) -> dict[str, Any]:
    async with parts() as runtime:
        if transport not in {endpoints.PULL, *runtime.transports}:
            known = ", ".join([endpoints.PULL, *sorted(runtime.transports)])
            say.fail(f"Remises possibles ici : {known}.", f"Possible here: {known}.")
        vault, made = runtime.services.vault, Configuration({}, {}, {})

        async def configure(tx: Transaction, current: Endpoint) -> None:
            nonlocal made
            if transport in runtime.transports:
                made = runtime.transports[transport].configure(asked, current)
            await endpoints.configure(tx, current, transport, made, kinds, Policy.of(policy), vault, _now())

        await _change(client_id, "endpoint_set", configure, transport=transport)
        return {"client_id": client_id, "transport": transport, **made.shown}


async def _allow(client_id: str, opened: Allowance) -> None:
    told = {"networks": sorted(map(str, opened.networks)), "ports": sorted(opened.ports)}
    await _change(client_id, "endpoint_allowed", lambda tx, it: endpoints.allow(tx, it, opened, _now()), **told)


async def _rotate(client_id: str, overlap: timedelta) -> dict[str, Any]:
    async with parts() as runtime:
        made = Configuration({}, {}, {})

        async def rotate(tx: Transaction, current: Endpoint) -> None:
            nonlocal made
            if current.transport not in runtime.transports:
                say.fail("Ce logiciel relève sa boîte : il n'a pas de secret.", "This system pulls: it has no secret.")
            made = runtime.transports[current.transport].rotate(current, overlap)
            await endpoints.replace_secrets(tx, current, made, runtime.services.vault, _now())

        await _change(client_id, "endpoint_secret_rotated", rotate)
        return {"client_id": client_id, **made.shown}


async def _try(client_id: str) -> Outcome:
    async with parts() as runtime:
        async with runtime.services.database.read() as tx:
            endpoint = await endpoints.get(tx, client_id, runtime.services.vault)
        if endpoint is None or endpoint.transport not in runtime.transports:
            say.fail("Ce logiciel relève sa boîte : il n'y a rien à essayer.", "This system pulls: nothing to try.")
        outcome = await runtime.transports[endpoint.transport].test(endpoint)
        await record_test(endpoint, outcome, runtime.services)
        return outcome


async def _change(client_id: str, name: str, work: Callable[[Transaction, Endpoint], Any], **told: Any) -> None:
    """Change one endpoint in a transaction with its event; says what is wrong otherwise."""
    settings = say.settings()
    keys = say.keys(settings)
    async with parts() as runtime:
        vault = runtime.services.vault
    try:
        async with change(settings, keys, {"change": name, "client_id": client_id, **told}) as tx:
            endpoint = await endpoints.get(tx, client_id, vault, change=True)
            if endpoint is None:
                say.fail("Ce logiciel n'est pas enregistré, ou il est coupé.", "This system is unknown or shut out.")
            await work(tx, endpoint)
    except Problem as problem:
        say.fail(problem.detail_fr, problem.detail_en)


@asynccontextmanager
async def parts() -> AsyncIterator[Runtime]:
    """The parts of the gateway, none of them running."""
    settings = say.settings()
    runtime = assemble(settings, say.keys(settings))
    try:
        yield runtime
    finally:
        for transport in runtime.transports.values():
            await transport.close()
        await runtime.outgoing.close()
        await runtime.services.database.close()


def pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        say.fail("Un réglage s'écrit nom=valeur.", "A setting is written name=value.")
    return name, value


def _now() -> datetime:
    return datetime.now(UTC)
