"""
The certificate of an adapter: what the exam found, over exactly these files, as a note that the gateway signs.

The text is for people and programs: one `name: value` a line. Its signature is that of the gateway's ledger, a C2SP signed
note, so that any verifier of such notes checks it; the ledger can keep that it was given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from adapters.base import Adapter
from adapters.exam import QUESTIONS, Result
from adapters.report import Treatment, count_rules
from consent.ledger.note import Note, NoteInvalid, Signer, Verifier

TITLE = "trait-dunion adapter certificate v1"

_NOTE_WRONG: Final = {
    "malformed": "ce fichier n'est pas un certificat, ou il est coupé",
    "signature": "sa signature est fausse ; son texte a été changé",
    "unsigned": "il n'est pas signé par cette clé",
}


class CertificateRefused(ValueError):
    """
    A certificate does not hold, and why, in French and in English, without a full stop.
    """

    def __init__(self, message_fr: str, message_en: str) -> None:
        super().__init__(f"{message_fr} / {message_en}")
        self.message_fr = message_fr
        self.message_en = message_en


def certificate_text(adapter: Adapter, folder: Path, result: Result, now: datetime) -> str:
    """
    What is certified; `now` carries its offset.
    """
    counts = count_rules(adapter.fields)
    lines = {
        "adapter": adapter.name,
        "level": result.level.value,
        "questions": f"{sum(answer.passed for answer in result.answers)}/{len(QUESTIONS)}",
        "elements": ", ".join(
            f"{counts[t.value]} {t.value}" for t in (Treatment.MAPPED, Treatment.KEPT, Treatment.IGNORED)
        ),
        "files": f"sha256:{folder_digest(folder)}",
        "examiner": f"trait-dunion {version('trait-dunion')}",
        "at": now.astimezone(UTC).isoformat(timespec="seconds"),
    }
    return "\n".join([TITLE, *(f"{name}: {value}" for name, value in lines.items()), ""])


def sign(text: str, signer: Signer) -> str:
    """
    The certificate with the gateway's signature.
    """
    return signer.sign(text)


def verify(raw: bytes, vkey: str, adapter: Adapter, folder: Path) -> dict[str, str]:
    """
    What a certificate says, once its signature verifies and the files are still those that it is about.

    Raises `CertificateRefused`, with what is wrong: the key, the note, its signature, the adapter or its files.
    """
    try:
        key = Verifier.parse(vkey)
    except NoteInvalid:
        raise CertificateRefused(
            "la clé publique donnée n'en est pas une ; copiez-la entière, comme « exam --certificate » l'a montrée",
            "the public key given is none; copy it whole, as “exam --certificate” showed it",
        ) from None
    try:
        note = Note.parse(raw)
        note.verify([key])
    except NoteInvalid as error:
        raise CertificateRefused(_NOTE_WRONG[error.code], str(error)) from error
    title, *lines = note.text.splitlines()
    said = dict(line.split(": ", 1) for line in lines)
    if title != TITLE or said.get("adapter") != adapter.name:
        raise CertificateRefused("il porte sur un autre adaptateur", "the certificate is about something else")
    if said.get("files") != f"sha256:{folder_digest(folder)}":
        raise CertificateRefused(
            "des fichiers de l'adaptateur ont changé depuis qu'il a été donné ; repassez l'examen avec --certificate",
            "the files changed since the certificate was given; sit the exam again with --certificate",
        )
    return said


def folder_digest(folder: Path) -> str:
    """
    The SHA-256 of an adapter's files: of the lines `sha256  path` in the order of their paths.
    """
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {path}\n" for path, file in sorted(_files(folder))]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for file in folder.rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            yield file.relative_to(folder).as_posix(), file
