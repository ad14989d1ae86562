"""
Who a request is about: found by the same traits as in documents, never by anything in an address or on a command line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.audit.criteria import read_subject
from gateway.errors import Problem
from gateway.services import Services
from gateway.store import subjects
from gateway.store.crypto import DataKey
from gateway.store.database import Transaction
from gateway.store.subjects import Identity
from schemas import Document


def asked(body: Mapping[str, Any], sender: Document, services: Services) -> tuple[Document, str]:
    """
    Read `subject` (and `partner`, with a pseudonym) from a body: the person's traits, and the organisation that knows them.

    Raises `Problem` malformed_request or document_invalid, without any value.
    """
    partner = body.get("partner")
    subject = read_subject(body.get("subject"), sender, services, partner)
    if subject is None:
        raise Problem(
            "malformed_request",
            "Donnez la personne dans « subject » : son NIR, ou son nom de naissance, un prénom et sa date de naissance.",
            "Give the person in “subject”: the NIR, or the birth name, a given name and the birth date.",
        )
    return subject, str(partner or "")


async def find(tx: Transaction, subject: Document, partner: str, services: Services, *, change: bool) -> DataKey:
    """
    Find the person and hold them until the transaction ends, alone when something is to `change`; gives their data key.

    Raises `Problem` unknown_subject when nobody, or several people, have these traits.
    """
    subject_id = await subjects.find(tx, Identity.of(subject, partner, services.vault))
    key = None
    if subject_id is not None:
        await subjects.lock(tx, [subject_id], change=change)
        key = (await subjects.data_keys(tx, [subject_id], services.vault)).get(subject_id)
    if key is None:
        raise Problem(
            "unknown_subject",
            "La passerelle ne connaît personne sous ces traits, ou plusieurs personnes : vérifiez-les, ou ajoutez le NIR.",
            "The gateway knows nobody with these traits, or several people: check them, or add the NIR.",
        )
    return key


async def hold(tx: Transaction, people: Sequence[tuple[Document, str]], services: Services) -> None:
    """Hold those of some people who are known, alone and all at once: taken one by one, two transactions could wait for each other."""
    vault = services.vault
    found = [await subjects.find(tx, Identity.of(subject, partner, vault)) for subject, partner in people]
    await subjects.lock(tx, [each for each in found if each], change=True)
