"""
What a record of a flow becomes: prepared for the gate, told in the report, counted; and why a flow may end before its end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from anyio import to_thread

from adapters.base import FileRefused, Record, Translation
from adapters.report import Coverage
from gateway import admission, answers, verdicts
from gateway.auth.caller import Caller
from gateway.crossing import Arrival
from gateway.errors import Problem, issue_body
from gateway.services import Services
from gateway.store.idempotency import Attempt
from schemas import Document

STOPPING: Final = frozenset({"convention_outdated", "signature_required", "forbidden"})
"""What concerns the sender and not one record: going on would refuse all the others for the same reason."""

DISABLED: Final[Mapping[str, Any]] = {
    "code": "system_disabled",
    "detail": "Votre système a été fermé pendant que ce fichier était pris : la suite n'a pas été prise.",
    "detail_en": "Your system was disabled while this file was taken in: the rest was not.",
}
INTERNAL: Final = {
    "code": "internal_error",
    "detail": "Une erreur de la passerelle a arrêté ce fichier : prévenez son exploitant, ce qui a été pris est dans le rapport.",
    "detail_en": "An error of the gateway stopped this file: tell its operator; what was taken is in the report.",
}
_NOTHING_READ: Final = Coverage(())


class Stopped(Exception):
    """The flow cannot go on, whatever comes next in it; `problem` says why."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        super().__init__(problem["code"])
        self.problem = dict(problem)


@dataclass(frozen=True, slots=True)
class Prepared:
    """One record, validated: what goes to the gate (`arrival`), or why nothing of it does."""

    record: Record
    arrival: Arrival | None
    problem: Problem | None = None

    @property
    def people(self) -> int:
        """How many people are to be looked up."""
        return sum(1 for crossing in self.arrival.validated if crossing.open) if self.arrival else 0

    def refused(self, problem: Problem) -> Prepared:
        """The same record, of which nothing is taken in."""
        return replace(self, arrival=None, problem=problem)

    def line(self, number: int) -> dict[str, Any]:
        """What the report says of it; `number` counts the records of the file from 1."""
        told: dict[str, Any] = {"record": number, "line": self.record.line}
        if self.record.issues:
            told["warnings"] = [issue_body(issue) for issue in self.record.issues]
        problem = self.problem or (self.arrival.refusal if self.arrival else None)
        if problem is not None:
            errors = [issue_body(issue) for issue in problem.issues]
            why = {"code": problem.code, "detail": problem.detail_fr, "errors": errors}
            return told | {"state": "refused", "invalid": len(self.record.documents)} | why
        if self.arrival is None:
            return told | {"state": "empty"}
        assert self.arrival.acceptance is not None
        documents = self.arrival.acceptance.body["exchanges"]
        taken = any(each["state"] in ("accepted", "already_received") for each in documents)
        return told | {"state": "accepted" if taken else "refused", "documents": documents}


async def prepare(
    records: Sequence[Record], flow_id: str, sender: Document, caller: Caller, services: Services
) -> Sequence[Prepared]:
    """Validate the documents of some records of a flow, beside the event loop."""
    translations = [
        await answers.complete_file(Translation(each.documents, each.issues, _NOTHING_READ), caller, services)
        for each in records
    ]

    def validated() -> list[Prepared]:
        return [
            _prepared(record, _validated(translation, flow_id, sender, caller, services))
            for record, translation in zip(records, translations, strict=True)
        ]

    return await to_thread.run_sync(validated)


def _validated(
    translation: Translation, flow_id: str, sender: Document, caller: Caller, services: Services
) -> Arrival | Problem | None:
    if not translation.documents:
        return None
    try:
        crossings = admission.validate(translation, sender, caller, services)
    except Problem as problem:
        return problem
    return Arrival(caller, Attempt(caller.client_id, None, b""), crossings, translation, batch=flow_id)


def _prepared(record: Record, found: Arrival | Problem | None) -> Prepared:
    return Prepared(record, None, found) if isinstance(found, Problem) else Prepared(record, found)


async def sender_of(partner: str, services: Services) -> dict[str, Any]:
    """The organisation of a flow as it stands in documents."""
    return {"siret": partner, "name": await services.names.of(partner)}


def counted(row: Any, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The counts of a flow (its row) once some records were told."""
    documents = Counter[str](row.documents)
    for line in lines:
        documents.update(each["state"] for each in line.get("documents", ()))
        documents["invalid"] += line.get("invalid", 0)
    refused = sum(1 for line in lines if line["state"] != "accepted")
    return {
        "documents": {name: number for name, number in documents.items() if number},
        "refused": row.refused + refused,
    }


def of_file(refusal: FileRefused) -> dict[str, Any]:
    """Why a whole file is refused, and where it goes wrong."""
    return of_problem(verdicts.refused(refusal))


def of_problem(problem: Problem) -> dict[str, Any]:
    """A problem as it is kept beside a flow."""
    told = {"code": problem.code, "detail": problem.detail_fr, "detail_en": problem.detail_en}
    return told | ({"errors": [issue_body(issue) for issue in problem.issues]} if problem.issues else {})
