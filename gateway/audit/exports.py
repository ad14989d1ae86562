"""
A whole answer as a file: JSON lines that verify by themselves, or a spreadsheet or a FHIR bundle beside these lines in a ZIP.
"""

from __future__ import annotations

import tempfile
import uuid
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import IO, Final

import orjson

from gateway.audit import csv_text
from gateway.audit.criteria import MAX_ROWS, Criteria
from gateway.audit.search import Found, search
from gateway.auth.caller import Caller
from gateway.errors import Problem
from gateway.fhir.audit_event import audit_event
from gateway.services import Services

FORMATS: Final = ("ndjson", "csv", "fhir")

_ANSWER: Final = "reponse.ndjson"
_READ_ME: Final = """\
Ce dossier répond à une recherche dans le journal des preuves.

- reponse.ndjson : la réponse, avec sa preuve. Vérifiez-la hors ligne, avec la clé publique du journal obtenue à part :
      tdu ledger verify reponse.ndjson --vkey <clé>
  Une ligne retirée, ajoutée, déplacée ou modifiée fait échouer la vérification.
- l'autre fichier dit la même chose pour un tableur ou un logiciel FHIR ; il ne prouve rien par lui-même. L'apostrophe
  qui précède certaines cellules empêche un tableur d'y voir une formule.

This folder answers a search in the ledger of proofs. reponse.ndjson is the answer with its proof; verify it offline with the
command above. The other file says the same for a spreadsheet or FHIR software and proves nothing by itself.
"""


async def pages(criteria: Criteria, caller: Caller, services: Services, through: str) -> AsyncIterator[Found]:
    """
    The pages of a whole answer, one after the other; each is recorded before it is given.

    Raises `Problem` unknown_subject when the person asked about is nobody's, or several people's.
    """
    search_id = str(uuid.uuid4())
    criteria = replace(criteria, limit=MAX_ROWS, cursor=None)
    while True:
        found = await search(criteria, caller, services, search_id=search_id, through=through)
        if found.header is None:
            raise _nobody()
        yield found
        if found.page is None or found.page.next is None:
            return
        criteria = replace(criteria, cursor=found.page.next)


def encoded(found: Found, *, first: bool) -> bytes:
    """A page as lines of JSON."""
    return b"".join(orjson.dumps(line) + b"\n" for line in found.lines(first=first))


async def zipped(criteria: Criteria, form: str, caller: Caller, services: Services) -> IO[bytes]:
    """
    A ZIP with the answer and the same events as CSV or as a FHIR bundle, at its beginning; whoever takes it closes it.

    It is in memory up to some megabytes, then in a file without a name.
    """
    out = tempfile.SpooledTemporaryFile(8_000_000)  # noqa: SIM115 - given to the caller, open
    # Three files grow together, and a ZIP takes one at a time: each has its own until the end.
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as other:
        other.write(
            csv_text.head().encode() if form == "csv" else b'{"resourceType":"Bundle","type":"collection","entry":['
        )
        first, entries = True, 0
        async for found in pages(criteria, caller, services, form):
            answer.write(encoded(found, first=first))
            first = False
            if form == "csv":
                other.write(csv_text.lines(found.rows).encode())
                continue
            for row in found.rows:
                if row["matches"]:
                    other.write(
                        (b"," if entries else b"") + orjson.dumps(_entry(row, services.settings.public_address))
                    )
                    entries += 1
        if form == "fhir":
            other.write(b"]}")
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("LISEZMOI.txt", _READ_ME)
            for name, file in ((_ANSWER, answer), (f"evenements.{'csv' if form == 'csv' else 'fhir.json'}", other)):
                file.seek(0)
                with archive.open(name, "w", force_zip64=True) as target:
                    while chunk := file.read(1_000_000):
                        target.write(chunk)
    out.seek(0)
    return out


def _nobody() -> Problem:
    return Problem(
        "unknown_subject",
        "La passerelle ne connaît personne sous ces traits, ou plusieurs personnes : il n'y a pas de réponse à exporter.",
        "The gateway knows nobody with these traits, or several people: there is no answer to export.",
    )


def _entry(row: dict[str, object], address: str) -> dict[str, object]:
    return {"fullUrl": f"{address}/fhir/R4/AuditEvent/{row['id']}", "resource": audit_event(row, address)}
