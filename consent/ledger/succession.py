"""
One log takes over the entries of another: after a restored backup, or when a key was lost or stolen.

The new log has another origin and another key, and begins with the tree that the database holds: the entries keep their places.
An event says which log it succeeds, under which key, and the last head that is known of it, so that whoever trusts the new log
finds the old one, and sees how far it went beyond what was taken over. What the old log signed stays true: its receipts verify
with its key.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from consent.ledger.checkpoint import Checkpoint, open_checkpoint
from consent.ledger.event import LedgerRecord
from consent.ledger.integration import integrate
from consent.ledger.mark import SequencerRefused
from consent.ledger.note import NoteInvalid, Signer, Verifier
from consent.ledger.store import Ledger


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The log that is succeeded: its key, the last head known of it, and how many of its entries the database has."""

    key: Verifier
    last: Checkpoint
    kept: int

    def told(self, origin: str) -> dict[str, str | int]:
        """The body of the event that opens the log named `origin`."""
        return {
            "change": "log_succeeded",
            "origin": origin,
            "previous_origin": self.key.name,
            "previous_vkey": self.key.vkey,
            "previous_checkpoint": self.last.note.decode(),
            "kept": self.kept,
        }


async def predecessor(tx: AsyncConnection, key: Verifier, *known: Checkpoint | None) -> Predecessor:
    """
    Find the log of `key` in the database; `known` are heads that it signed, such as its mark's or a witness's.

    Raises SequencerRefused when the stored log is not this key's, or when there is none.
    """
    stored = await Ledger().head(tx)
    if stored is None:
        raise SequencerRefused(
            "Cette base ne contient aucun journal : « tdu serve » en ouvre un.",
            "This database holds no log: “tdu serve” opens one.",
        )
    try:
        head = open_checkpoint(stored.note, key).checkpoint
    except NoteInvalid:
        raise SequencerRefused(
            f"Le journal stocké ({stored.origin}) n’a pas été signé par la clé donnée : donnez celle qui l’a signé.",
            f"The stored log ({stored.origin}) was not signed by the key given: give the one that signed it.",
        ) from None
    last = max((head, *filter(None, known)), key=lambda each: each.size)
    return Predecessor(key, last, head.size)


async def succeed(
    tx: AsyncConnection,
    before: Predecessor,
    signer: Signer,
    record: Callable[[dict[str, str | int]], LedgerRecord],
    now: datetime,
) -> Checkpoint:
    """
    Open the log of `signer` over the entries of another one: its first head, signed and not yet published.

    `record` writes an event whose body it is given. Durable when `tx` commits. Raises SequencerRefused when the new log has the
    name or the key of the old one, or the stored tree is not the one that was signed last.
    """
    if signer.name == before.key.name or signer.verifier.public == before.key.public:
        raise SequencerRefused(
            f"Le nouveau journal doit avoir un autre nom que {before.key.name} et une autre clé : réglez TDU_LEDGER_ORIGIN.",
            f"The new log must have another name than {before.key.name} and another key: set TDU_LEDGER_ORIGIN.",
        )
    await Ledger().append(tx, [record(before.told(signer.name))])
    head = await integrate(tx, signer, now, _EVERYTHING, succeeds=before.key.name)
    if head is None:
        raise AssertionError("an event was just added")
    return head


_EVERYTHING = 2**31
"""What waits is taken in at once: the event that opens the log is under its first head."""
