"""
Opening a new log over an existing database: another origin, another key, the same entries.

For after a restored backup, whose log may not be continued, and for a key that was lost or stolen.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from consent.ledger.checkpoint import Checkpoint, open_checkpoint
from consent.ledger.event import EventType, LedgerRecord
from consent.ledger.mark import Mark, SequencerRefused
from consent.ledger.note import ED25519, NoteInvalid, Signer, Verifier
from consent.ledger.store import Ledger
from consent.ledger.succession import Predecessor, predecessor, succeed
from gateway.composition import assemble
from gateway.keys import Keys, kept_ledger_keys, replace_ledger_key
from gateway.person.erased import ErasedList, erase_those_back, erase_those_without_key
from gateway.records import record_of
from gateway.services import Services
from gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class Opened:
    """A new log: its key, the log before it, the size of its first head, and who was erased again before it opened."""

    vkey: str
    before: Predecessor
    size: int
    erased_again: int

    def told(self) -> dict[str, Any]:
        """The result of the command."""
        return {
            "origin": self.vkey.split("+", 1)[0],
            "vkey": self.vkey,
            "size": self.size,
            "previous_origin": self.before.key.name,
            "previous_vkey": self.before.key.vkey,
            "previous_size": self.before.last.size,
            "kept": self.before.kept,
            "erased_again": self.erased_again,
        }


async def open_new(settings: Settings, keys: Keys, previous: Verifier | None, seen: bytes | None) -> Opened:
    """
    Erase again whom a backup brought back, open the new log named by the settings, and publish its first head.

    The old log's key is `previous`, or the key file's, or one that is kept beside it. When it is the key file's, a new key takes its
    place and the old one is kept under its key id. `seen` is the last head of the old log that somebody else holds. A crash is
    made good by running this again, or by starting the gateway once the first head is signed. Raises SequencerRefused,
    NoteInvalid when `seen` is not the old log's, OSError.
    """
    services = assemble(settings, keys).services
    try:
        again = await erase_those_back(services, ErasedList(settings.marks)) + await erase_those_without_key(services)
        async with services.database.read() as tx:
            stored = await Ledger().head(tx)
        if stored is not None and stored.origin == settings.origin:
            raise SequencerRefused(
                f"Le journal de cette base se nomme déjà {stored.origin} : donnez un autre nom au nouveau, par TDU_LEDGER_ORIGIN. "
                "Si cette commande avait été interrompue, il est ouvert : démarrez la passerelle.",
                f"The log of this database is already named {stored.origin}: give the new one another name, by TDU_LEDGER_ORIGIN. "
                "If this command had been interrupted, it is open: start the gateway.",
            )
        old = previous or _signer_of(stored, settings.keys, keys)
        theirs = None if seen is None else open_checkpoint(seen, old).checkpoint
        async with services.database.read() as tx:
            before = await predecessor(tx, old, Mark(settings.marks, old).read(), theirs)
        if keys.ledger.public_key().public_bytes_raw() == old.public:
            replace_ledger_key(settings.keys, f"ledger-signing-{old.id.hex()}.pem")
        signer = Signer(settings.origin, Keys.load(settings).ledger)
        await _sign(services, settings.marks, before, signer)
    finally:
        await services.database.close()
    return Opened(signer.vkey, before, await _publish(settings), again)


def _signer_of(stored: Checkpoint | None, directory: Path, keys: Keys) -> Verifier:
    """The key that signed the stored log: the key file's, unless it was replaced already and one kept beside it is."""
    origin = "" if stored is None else stored.origin
    held = [keys.ledger, *kept_ledger_keys(directory)]
    found = [Verifier(origin, ED25519, key.public_key().public_bytes_raw()) for key in held]
    for each in found:
        with suppress(NoteInvalid):
            if stored is not None:
                open_checkpoint(stored.note, each)
                return each
    return found[0]


async def _sign(services: Services, marks: Path, before: Predecessor, signer: Signer) -> None:
    """Sign the first head, with the event that opens the log, unless the mark says that it is done."""

    def record(body: dict[str, str | int]) -> LedgerRecord:
        return record_of(EventType.KEY_ROTATED, now, services.settings.operator_siret, body, services.vault.own)

    mark, now = Mark(marks, signer.verifier), datetime.now(UTC)
    async with mark.held() as signed:
        if signed is not None:
            raise SequencerRefused(
                f"La nouvelle clé a déjà signé {signed.size} entrées : prenez-en une autre.",
                f"The new key signed {signed.size} entries already: take another one.",
            )
        async with services.database.write() as tx:
            head = await succeed(tx, before, signer, record, now)
        mark.raise_to(head)


async def _publish(settings: Settings) -> int:
    """Publish the first head as the gateway itself would: marked, witnessed, shown. Gives its size."""
    runtime = assemble(settings, Keys.load(settings))
    try:
        await runtime.sequencer.catch_up()
        async with runtime.services.database.read() as tx:
            head = await Ledger().published(tx)
    finally:
        await runtime.services.database.close()
    return 0 if head is None else head.size
