"""
The certificate of an adapter that passed the exam: signed with the gateway's key, recorded in its ledger when asked.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.base import Adapter
from adapters.exam import Result
from gateway.keys import Keys, KeysMissing
from ops.commands import say
from ops.kit import certificate
from ops.kit.folders import real_folder

if TYPE_CHECKING:
    from consent.ledger.note import Signer


def signer(name: str) -> Signer:
    """
    What signs a certificate, asked for before the exam: the gateway's key, or a sentence that says how to have one.
    """
    from consent.ledger.note import Signer  # noqa: PLC0415  # an exam alone needs no key

    if name == "all":
        say.fail(
            "Un certificat porte sur un seul format : nommez-le.", "A certificate is about one format: name it.", 2
        )
    settings = say.settings()
    try:
        return Signer(settings.origin, Keys.load(settings).ledger)
    except KeysMissing:
        say.fail(
            "Un certificat est signé par la clé de la passerelle, qui n'existe pas encore ici. Faites d'abord « tdu init », "
            "puis repassez l'examen. Sans --certificate ni --record, l'examen ne demande aucune clé.",
            "A certificate is signed with the gateway's key, which does not exist here yet. Run “tdu init” first, then sit the "
            "exam again. Without --certificate and --record, the exam needs no key.",
            2,
        )


def certify(adapter: Adapter, result: Result, key: Signer, write: Path | None, *, record: bool) -> None:
    """
    Write the certificate of an exam that was passed, and record it in the ledger when asked.
    """
    from ops.configuration import change  # noqa: PLC0415  # an exam alone opens no database

    folder = real_folder(adapter)
    if write:
        text = certificate.certificate_text(adapter, folder, result, datetime.now(UTC))
        write.write_text(certificate.sign(text, key), encoding="utf-8")
        say.stderr.print(f"{write} ; clé : {key.vkey}", markup=False)
    if record:
        settings = say.settings()
        body = {
            "change": "adapter_certified",
            "adapter": adapter.name,
            "level": result.level.value,
            "files_sha256": certificate.folder_digest(folder),
        }

        async def recorded() -> None:
            async with change(settings, say.keys(settings), body):
                pass

        say.run(recorded())
