"""
Telling the data protection officers: one message a party, to the address that the signed convention gives, without anybody's
identity; the keeper sends them and tries again until the mail server has them.
"""

from __future__ import annotations

import logging
import smtplib
import ssl
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import sqlalchemy as sa
from anyio import to_thread

from consent.conventions.convention import Convention
from consent.ledger.event import EventType
from consent.tables import break_glass, break_glass_mails
from gateway.records import record_of
from gateway.services import Services
from gateway.settings import Settings
from gateway.store import subjects
from gateway.store.database import Transaction, instant
from schemas import code_list

_log = logging.getLogger(__name__)

_SUBJECTS: Final = {
    "opened": "Accès d'urgence ouvert",
    "ended": "Accès d'urgence terminé",
    "reviewed": "Accès d'urgence revu",
    "overdue": "Accès d'urgence : revue en retard",
}
"""The subject of each message, in French: the officers are French organisations'."""

_PATIENCE: Final = timedelta(minutes=15)
"""After how long a message that could not be sent is tried again."""

_SECONDS: Final = 20


async def tell(tx: Transaction, row: Mapping[str, Any], convention: Convention, cause: str, now: datetime) -> list[str]:
    """Queue a message to the officer of each party; returns the parties (SIRET)."""
    mails = [
        {
            "id": str(uuid.uuid4()),
            "opening_id": row["id"],
            "party": party["siret"],
            "address": party["contacts"]["dpo"]["email"],
            "cause": cause,
            "created_at": instant(now),
            "next_attempt_at": instant(now),
        }
        for party in convention.document["parties"]
    ]
    await tx.execute(sa.insert(break_glass_mails), mails)
    return [mail["party"] for mail in mails]


async def send(services: Services, now: datetime, limit: int) -> int:
    """
    Send what waits; each message that the server took is an event. Without a mail server nothing is tried: `tdu doctor` says so.

    A message may be sent twice when the gateway stops between the server's answer and its record, and is never lost.
    """
    if not services.settings.smtp_url:
        return 0
    due = sa.select(break_glass_mails.c.id).where(break_glass_mails.c.next_attempt_at <= instant(now)).limit(limit)
    async with services.database.read() as tx:
        waiting = list((await tx.execute(due)).scalars())
    sent = 0
    for mail_id in waiting:
        sent += await _send_one(services, mail_id, now)
    return sent


async def _send_one(services: Services, mail_id: str, now: datetime) -> int:
    found = await _claimed(services, mail_id, now)
    if found is None:
        return 0
    mail, row = found
    try:
        await to_thread.run_sync(_deliver, _message(mail, row, services.settings), services.settings.smtp_url)
    except (OSError, smtplib.SMTPException) as error:
        _log.warning("break_glass.mail_failed", extra={"opening": row.id, "error": type(error).__name__})
        return 0
    async with services.database.write() as tx:
        change = sa.update(break_glass_mails).where(break_glass_mails.c.id == mail_id)
        await tx.execute(change.values(sent_at=instant(now), next_attempt_at=None))
        key = (await subjects.data_keys(tx, [row.subject_id], services.vault)).get(row.subject_id)
        body = {"opening_id": row.id, "convention_id": row.convention_id, "party": mail.party, "cause": mail.cause}
        operator, sealing = services.settings.operator_siret, key or services.vault.own
        await services.ledger.append(tx, [record_of(EventType.BREAK_GLASS_TOLD, now, operator, body, sealing)])
    return 1


async def _claimed(services: Services, mail_id: str, now: datetime) -> tuple[Any, Any] | None:
    """Take a message for one attempt, so that two keepers do not send it together; None when another did."""
    mails = break_glass_mails.c
    claim = (
        sa.update(break_glass_mails)
        .where(mails.id == mail_id, mails.next_attempt_at <= instant(now))
        .values(next_attempt_at=instant(now + _PATIENCE), attempts=mails.attempts + 1)
        .returning(*break_glass_mails.c)
    )
    async with services.database.write() as tx:
        mail = (await tx.execute(claim)).first()
        if mail is None:
            return None
        row = (await tx.execute(sa.select(break_glass).where(break_glass.c.id == mail.opening_id))).first()
        if row is None:  # the person was erased since: there is nothing left to tell of
            await tx.execute(sa.delete(break_glass_mails).where(mails.id == mail_id))
            return None
        return mail, row


def _message(mail: Any, row: Any, settings: Settings) -> EmailMessage:
    """The message: which convention and flow, between whom, until when, what to do. Nobody is named."""
    message = EmailMessage()
    message["From"] = settings.mail_from
    message["To"] = mail.address
    message["Subject"] = f"{_SUBJECTS[mail.cause]} ({row.convention_id})"
    message["Message-ID"] = f"<{mail.id}@{settings.public_address.split('://', 1)[1].split(':', 1)[0]}>"
    reason = code_list("break_glass_reason")[row.reason]
    message.set_content(
        f"{_SUBJECTS[mail.cause]}.\n\n"
        f"Convention {row.convention_id}, version {row.convention_version}, flux « {row.flow} ».\n"
        f"Ouvert par {row.sender} pour transmettre à {row.recipient}, le {row.opened_at}, jusqu'au {row.until}.\n"
        f"Motif : {reason.label_fr}.\n"
        + (f"Terminé le {row.ended_at}.\n" if row.ended_at else "")
        + (f"Revu le {row.reviewed_at} par {row.reviewed_by} : {_OUTCOMES[row.outcome]}.\n" if row.outcome else "")
        + f"\nUne autre partie que {row.sender} le revoit avant le {row.review_due_at} : "
        f"{settings.public_address}/v1/break-glass/{row.id}\n\n"
        f"An emergency access ({reason.label_en}). Another party reviews it before {row.review_due_at}.\n"
    )
    return message


_OUTCOMES: Final = {"justified": "justifié", "unjustified": "injustifié"}


def _deliver(message: EmailMessage, url: str) -> None:
    """Hand a message to the mail server of an address `smtp://`, `smtp+starttls://` or `smtps://`, with its user if it has one."""
    address = urlsplit(url)
    host, secure = address.hostname or "localhost", ssl.create_default_context()
    server: smtplib.SMTP
    if address.scheme == "smtps":
        server = smtplib.SMTP_SSL(host, address.port or 465, timeout=_SECONDS, context=secure)
    else:
        server = smtplib.SMTP(host, address.port or 25, timeout=_SECONDS)
    with server:
        if address.scheme == "smtp+starttls":
            server.starttls(context=secure)
        if address.username:
            server.login(unquote(address.username), unquote(address.password or ""))
        server.send_message(message)
