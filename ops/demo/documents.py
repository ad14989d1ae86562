"""
What the fictitious partners write: consents, referrals, statuses about the fictitious people of the flow.
"""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from adapters.cnaf_rsa.fictitious import FictitiousPerson
from ops.demo.partner import Partner
from schemas import Document

AGREEMENT_TEXT = "J'accepte que la CAF et le Département transmettent ma situation à l'association Le Relais, pour faire le point sur mes droits."
_OPENED_EVERY = 5


def subject(person: FictitiousPerson) -> Document:
    """The person as an association knows them: civil status, no NIR."""
    return {
        "birth_name": person.birth_name,
        "given_names": list(person.given_names),
        "birth_date": person.birth_date,
        "sex": person.sex,
    }


def consent(person: FictitiousPerson, collector: Partner, departement: str) -> Document:
    """An agreement collected in person by the association: to let it and the département know of the person's rights."""
    now = datetime.now(UTC)
    digest = hashlib.sha256(AGREEMENT_TEXT.encode()).hexdigest()
    organisation = {"siret": collector.siret, "name": collector.name}
    return {
        "kind": "consent",
        "schema_version": "1.0",
        "id": str(uuid.uuid4()),
        "created_at": now.isoformat(timespec="seconds"),
        "purpose": "inform_about_rights",
        "subject": subject(person),
        "agreement_type": "consent",
        "state": "given",
        "collected_by": organisation,
        "collected_at": (now - timedelta(minutes=5)).isoformat(timespec="seconds"),
        "channel": "in_person",
        "evidence": {"level": "document_kept", "kind": "paper_scan", "sha256": digest},
        "text": {"version": "accord-relais-2026-11", "sha256": digest, "language": "fr"},
        "scopes": [
            {
                "id": "faire-le-point",
                "purposes": ["inform_about_rights", "follow_up"],
                "kinds": ["referral", "bilan"],
                "categories": ["exchange", "identity", "contact", "needs", "rights", "situation"],
                "recipients": [collector.siret, departement],
            }
        ],
        "valid_from": (now - timedelta(minutes=5)).isoformat(timespec="seconds"),
        "duration": "one_year",
    }


def referral(person: FictitiousPerson, sender: Partner, recipient: str) -> Document:
    """A referral in the shared format, written by hand for one person."""
    return {
        "kind": "referral",
        "schema_version": "1.0",
        "id": str(uuid.uuid4()),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "sender": {"siret": sender.siret},
        "recipients": [{"siret": recipient}],
        "purpose": "inform_about_rights",
        "subject": subject(person) | {"nir": person.nir},
        "rights": [{"right": "rsa", "state": "to_request"}],
        "urgency": "normal",
    }


def status(rank: int) -> Document:
    """The département's answer to a referral: one in five opens the right."""
    today = datetime.now(UTC).date().isoformat()
    if rank % _OPENED_EVERY == 0:
        return {"status": "completed", "outcome": {"right": "rsa", "state": "opened", "date": today}}
    return {"status": "accepted", "local": {"status": "Orientation prise en charge"}}


def event_of(receipt: str) -> dict[str, Any]:
    """Read the event that a receipt shows: its `extra` line holds it in base64 (C2SP tlog-proof)."""
    extra = next(line.removeprefix("extra ") for line in receipt.splitlines() if line.startswith("extra "))
    shown: dict[str, Any] = json.loads(base64.b64decode(extra))
    event = shown["event"]
    return dict(json.loads(event) if isinstance(event, str) else event)
