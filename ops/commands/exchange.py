"""
`tdu exchange`: look at exchanges and their deliveries, and replay what was set aside.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import sqlalchemy as sa
import typer

from gateway.composition import assemble
from gateway.delivery import lookup, replays
from gateway.delivery.lookup import Filters
from gateway.delivery.replays import Replayer
from gateway.errors import Problem
from gateway.runtime import Runtime
from gateway.store.tables import deliveries, exchanges
from ops.commands import say

app = typer.Typer(no_args_is_help=True, help="Suivre et rejouer les échanges. / Follow and replay exchanges.")

State = Annotated[
    list[str] | None, typer.Option(help="refused queued available leased acknowledged rejected abandoned stopped")
]
Kind = Annotated[str | None, typer.Option(help="referral bilan status consent")]
Reason = Annotated[str | None, typer.Option(help="Le motif exact. / The exact reason.")]
Sender = Annotated[str | None, typer.Option(help="SIRET")]
Recipient = Annotated[str | None, typer.Option(help="SIRET")]
Since = Annotated[str | None, typer.Option(help="2026-11-23T09:00:00+01:00, compris. / Included.")]
Until = Annotated[str | None, typer.Option(help="2026-11-24T09:00:00+01:00, non compris. / Not included.")]
Json = Annotated[bool, typer.Option("--json", help="Pour les programmes. / For programs.")]


@app.command("list")
def list_deliveries(
    state: State = None,
    kind: Kind = None,
    reason: Reason = None,
    sender: Sender = None,
    recipient: Recipient = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    as_json: Json = False,
) -> None:
    """Lister les remises, les dernières d'abord. / List deliveries, the newest first."""
    filters = _filters(state, kind, reason, sender, recipient, since, until)
    found = say.run(_list(filters, limit))
    if as_json:
        say.result(found)
        return
    columns = ("id", "kind", "sender", "recipient", "state", "reason", "created_at")
    say.stderr.print("\t".join(columns))
    for each in found:  # one line each, whole: made to be searched and cut
        typer.echo("\t".join(str(each[name] or "-") for name in columns))


@app.command("show")
def show(ident: Annotated[str, typer.Argument(help="Un échange ou une remise. / An exchange or a delivery.")]) -> None:
    """Montrer un échange avec ses remises, ou une remise avec ses essais. / Show an exchange, or a delivery."""
    found = say.run(_show(ident))
    if found is None:
        say.fail("Aucun échange ni remise ne porte cet identifiant.", "No exchange nor delivery has this identifier.")
    say.result(found)


@app.command("replay")
def replay(
    ident: Annotated[
        list[str] | None, typer.Argument(help="Des remises ; sinon, ce que les filtres trouvent. / Deliveries.")
    ] = None,
    state: State = None,
    kind: Kind = None,
    reason: Reason = None,
    sender: Sender = None,
    recipient: Recipient = None,
    since: Since = None,
    until: Until = None,
    dry_run: Annotated[bool, typer.Option(help="Compter seulement. / Only count.")] = False,
) -> None:
    """Rejouer ce qui a été mis de côté ; la décision est reprise pour chacune. / Replay what was set aside."""
    if ident and dry_run:
        say.fail("--dry-run compte ce que des filtres trouvent.", "--dry-run counts what filters find.")
    if ident:
        say.result(say.run(_replay_some(ident)))
        return
    filters = _filters(state, kind, reason, sender, recipient, since, until)
    say.result(say.run(_count(filters) if dry_run else _replay_all(filters)))


async def _list(filters: Filters, limit: int) -> list[dict[str, Any]]:
    async with _runtime() as runtime, runtime.services.database.read() as tx:
        found, _ = await lookup.listed(tx, None, filters, None, limit)
    return found


async def _show(ident: str) -> dict[str, Any] | None:
    async with _runtime() as runtime, runtime.services.database.read() as tx:
        try:
            return await lookup.one(tx, ident, None, runtime.services)
        except Problem:
            row = (await tx.execute(sa.select(exchanges).where(exchanges.c.id == ident))).first()
        if row is None:
            return None
        query = sa.select(deliveries).where(deliveries.c.exchange_id == ident)
        parts = (await tx.execute(query.order_by(deliveries.c.created_at, deliveries.c.id))).all()
    shown = ("id", "kind", "purpose", "sender", "client_id", "document_id", "received_at", "source_line")
    return {name: getattr(row, name) for name in shown} | {"deliveries": [lookup.told(part) for part in parts]}


async def _replay_some(idents: list[str]) -> list[dict[str, Any]]:
    made = []
    async with _runtime() as runtime:
        for ident in idents:
            async with runtime.services.database.write() as tx:
                try:
                    made.append(await replays.replay_one(tx, ident, None, runtime.services))
                except Problem as problem:
                    say.fail(f"{ident} : {problem.detail_fr}", f"{ident}: {problem.detail_en}")
    return made


async def _count(filters: Filters) -> dict[str, Any]:
    async with _runtime() as runtime, runtime.services.database.read() as tx:
        return await replays.count(tx, None, filters)


async def _replay_all(filters: Filters) -> dict[str, Any]:
    """Ask for a task and take part in it until it is done, telling how far it is."""
    async with _runtime() as runtime:
        services = runtime.services
        async with services.database.write() as tx:
            task = await replays.begin(tx, "", None, filters, services)
        replayer = Replayer(services)
        while task["state"] == "running":
            await replayer.once()
            async with services.database.read() as tx:
                task = await replays.get(tx, None, task["id"])
            say.stderr.print(f"{task['replayed'] + task['refused']} / {task['total']}")
        return task


def _filters(
    state: list[str] | None,
    kind: str | None,
    reason: str | None,
    sender: str | None,
    recipient: str | None,
    since: str | None,
    until: str | None,
) -> Filters:
    asked = {"kind": kind, "reason": reason, "sender": sender, "recipient": recipient, "since": since, "until": until}
    try:
        return Filters.of({"states": state, **asked})
    except Problem as problem:
        say.fail(problem.detail_fr, problem.detail_en)


@asynccontextmanager
async def _runtime() -> AsyncIterator[Runtime]:
    """The parts of the gateway, none of them running."""
    settings = say.settings()
    runtime = assemble(settings, say.keys(settings))
    try:
        yield runtime
    finally:
        await runtime.services.database.close()
