"""
The root secret belongs to one database: with another one nobody would be recognised, and no objection found.

A gateway whose secret was lost, and made again, would take every person for a new one and let pass what they refused. It does
not start instead.
"""

from __future__ import annotations

import sqlalchemy as sa

from consent.tables import ledger_events
from gateway.records import place
from gateway.store.crypto import Unreadable, Vault
from gateway.store.database import Transaction
from gateway.store.tables import subject_data_keys


class WrongRoot(Exception):
    """The root secret is not the one that the database was sealed with; the sentences say what to do."""

    message_fr = (
        "Le secret « kek » n'est pas celui qui scelle cette base : personne n'y serait reconnu, aucune opposition retrouvée. "
        "Remettez le fichier d'origine (sa copie hors ligne) à la place que TDU_KEK_FILE indique."
    )
    message_en = (
        "The secret “kek” is not the one that seals this database: nobody would be recognised in it, no objection found. "
        "Put the original file (its offline copy) back where TDU_KEK_FILE says."
    )


async def is_sealed(tx: Transaction) -> bool:
    """Whether the database holds anything that a root secret seals."""
    return (await tx.execute(sa.select(ledger_events.c.seq).limit(1))).first() is not None


async def check_root(tx: Transaction, vault: Vault) -> None:
    """
    Raise `WrongRoot` unless the vault's root secret seals the database: its oldest event about nobody, and a data key.

    A database that holds nothing yet goes with any.
    """
    about_nobody = sa.select(ledger_events.c.id, ledger_events.c.sealed).where(ledger_events.c.subject_id.is_(None))
    if (oldest := (await tx.execute(about_nobody.order_by(ledger_events.c.seq).limit(1))).first()) is not None:
        try:
            vault.own.open(oldest.sealed, place(oldest.id))
        except Unreadable as error:
            raise WrongRoot from error
    some = (await tx.execute(sa.select(subject_data_keys.c.kek).limit(1))).scalar()
    if some is not None and not vault.knows(some):
        raise WrongRoot
