"""
Agreement by text message: the words that are sent, and what a reply means.

Whoever sends the messages plays no part in it: the partner's own system sends the words and brings the reply.
The reading of replies follows Aidants Connect: the request must be found before anything changes, only a bare yes counts,
and the first answer is the last.
"""

import hashlib
import json
from datetime import datetime

from consent.agreement import Agreement
from consent.clock import PARIS, in_utc
from consent.texts import texts
from schemas import Document, code_list

WORDS = "sms-2026-11"
"""The version of the words that are sent."""


def means_yes(reply: str) -> bool:
    """
    Whether a reply is an agreement: "oui", in any case, once the spaces around it and one final period are removed.

    Everything else is a refusal: "Oui;", "Oui non", "ok".
    """
    return reply.strip().removesuffix(".").casefold() == "oui"


def question(document: Document, organisation: str, recipients: list[str], address: str) -> str:
    """
    The message to send for a `consent` document, with the names of the organisations and the address of the full text.
    """
    until = Agreement.from_document(document).valid_until.astimezone(PARIS)
    return texts()[WORDS].body.format(
        organisation=organisation,
        recipients=", ".join(recipients),
        categories=_labels("data_category", document, "categories"),
        purposes=_labels("purpose", document, "purposes"),
        until=until.strftime("%d/%m/%Y"),
        address=address,
    )


def answered(document: Document, asked: str, reply: str, correlation: str, at: datetime) -> Document:
    """
    The consent document once the reply came at `at`: given with its evidence, or refused.

    The digest of the thread is SHA-256 over the JSON object of correlation, question, reply and time, in UTC, names sorted
    and without spaces (RFC 8785). The unguessable correlation keeps the digest from being guessed from the words.
    """
    moment = in_utc(at).isoformat()
    thread = {"answered_at": moment, "correlation": correlation, "question": asked, "reply": reply}
    raw = json.dumps(thread, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    evidence = {
        "level": "confirmed_by_person",
        "kind": "sms_thread",
        "sha256": hashlib.sha256(raw).hexdigest(),
        "confirmed_at": moment,
    }
    state = "given" if means_yes(reply) else "refused"
    return {**document, "state": state, "collected_at": moment, "evidence": evidence}


def _labels(codes: str, document: Document, name: str) -> str:
    """
    The French labels of every code that the lines name; the envelope goes without saying.
    """
    named = {code for scope in document["scopes"] for code in scope[name]} - {"exchange"}
    listed = code_list(codes)
    return ", ".join(code.label_fr for code in listed.values() if code.code in named)
