"""
Changes of a gateway's configuration, each an event of its ledger: its opening, and what is registered in it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from consent.ledger.event import EventType
from consent.ledger.integration import continues
from consent.ledger.mark import Mark
from consent.ledger.note import Signer
from consent.ledger.sequencer import Sequencer
from consent.ledger.store import Ledger
from consent.tables import ledger_events
from gateway.keys import Keys, generate
from gateway.records import record_of
from gateway.settings import Settings
from gateway.store.crypto import Vault
from gateway.store.database import Database, Transaction
from gateway.store.root import check_root, is_sealed
from ops.migrations import current


class SecretLost(Exception):
    """A key file is missing although the database is sealed with it; `tdu init` makes no other one."""


async def make_keys(settings: Settings) -> list[Path]:
    """
    Make the key files that do not exist yet; returns those that were made.

    Raises `SecretLost` when the root secret is missing and the database holds something already: another one would open
    nothing of it, and recognise nobody.
    """
    if not settings.kek.exists():
        database = Database(settings.database)
        try:
            migrated, _ = await current(database)
            async with database.read() as tx:
                if migrated and await is_sealed(tx):
                    raise SecretLost
        finally:
            await database.close()
    return generate(settings)


async def check_sealing(settings: Settings, keys: Keys) -> None:
    """Raise `WrongRoot` when the database was sealed with another root secret than these keys' one."""
    database = Database(settings.database)
    try:
        async with database.read() as tx:
            await check_root(tx, Vault(keys.ring))
    finally:
        await database.close()


@asynccontextmanager
async def change(
    settings: Settings,
    keys: Keys,
    body: Mapping[str, Any],
    event_type: EventType = EventType.CONFIGURATION_CHANGED,
) -> AsyncIterator[Transaction]:
    """Open a transaction in which the configuration is changed, with the event that says so; `body` names nobody."""
    database = Database(settings.database)
    try:
        async with database.write() as tx:
            yield tx
            own = Vault(keys.ring).own
            event = record_of(event_type, datetime.now(UTC), settings.operator_siret, body, own)
            await Ledger().append(tx, [event])
    finally:
        await database.close()


async def open_log(settings: Settings, keys: Keys) -> bool:
    """Give a new gateway's log its first entry, signed, so that it can be published at once; False when it has some.

    Raises `SequencerRefused` when this key signed a log already that the database does not hold.
    """
    database = Database(settings.database)
    try:
        signer = Signer(settings.origin, keys.ledger)
        mark = Mark(settings.marks, signer.verifier)
        async with mark.held() as signed, database.read() as tx:
            if (await tx.execute(sa.select(ledger_events.c.id).limit(1))).first() is not None:
                return False
            await continues(tx, None, signed)
        async with change(settings, keys, {"change": "log_opened", "origin": settings.origin}):
            pass
        await Sequencer(database.write, signer, mark=mark).catch_up()
    finally:
        await database.close()
    return True
