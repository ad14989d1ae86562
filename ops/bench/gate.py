"""
The cost of a decision: 1,000 conventions known, 100 agreements of the person, and the cutting of a document, beside a
JSON copy of the same document in the same run.
"""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.resources import files
from typing import Any, Final

from consent.agreement import Agreement
from consent.conventions.collection import Conventions
from consent.conventions.convention import Convention
from consent.conventions.files import read
from consent.gate import Request, decide
from consent.projection import project
from ops.bench.measured import Goal, Measured, Say, microseconds
from schemas import Kind, parse_json

CONVENTIONS: Final = 1_000
AGREEMENTS: Final = 100
_CAF, _ASSOCIATION, _DEPARTEMENT = "99900001100018", "99900003700013", "99900002900010"
_NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


def run(say: Say) -> Measured:
    """Microseconds a decision: with an agreement to find, without, refused; and microseconds a projection."""
    say(f"{CONVENTIONS} conventions")
    conventions = Conventions(_conventions())
    say(f"{AGREEMENTS} agreements")
    agreed = [_agreement(number, given=True) for number in range(AGREEMENTS)]
    taken_back = [_agreement(number, given=number % 2 == 0) for number in range(AGREEMENTS - 1)]
    to_association = Request(Kind.REFERRAL, "inform_about_rights", _CAF, _ASSOCIATION, _NOW)
    to_departement = Request(Kind.REFERRAL, "inform_about_rights", _CAF, _DEPARTEMENT, _NOW)
    document = parse_json((files("schemas") / "referral" / "v1" / "valid" / "full.json").read_bytes())
    decision = decide(to_departement, conventions)
    with_agreement, without, half_withdrawn, refused, cut, copied = microseconds(
        partial(decide, to_association, conventions, agreed),
        partial(decide, to_departement, conventions),
        partial(decide, to_association, conventions, taken_back),
        partial(decide, to_association, conventions, ()),
        partial(project, document, decision, "p-0"),
        lambda: json.loads(json.dumps(document)),
    )
    figures = {
        "decision_with_agreement_us": with_agreement,
        "decision_without_agreement_us": without,
        "decision_half_withdrawn_us": half_withdrawn,
        "decision_refused_us": refused,
        "projection_us": cut,
        "json_copy_us": copied,
        "projection_ratio": copied / cut,
        "conventions": CONVENTIONS,
        "agreements": AGREEMENTS,
    }
    return Measured(figures, {"decision_with_agreement_us": Goal(with_agreement, 50.0, at_most=True)})


def _conventions() -> list[Convention]:
    """The two models of the project, then others between the same parties, all in force."""
    models = [
        read((files("consent") / "models" / name).read_bytes())
        for name in ("tznr-caf-association.yaml", "tznr-caf-departement.yaml")
    ]
    found = []
    for number in range(CONVENTIONS):
        document = deepcopy(dict(models[number % 2].document))
        document["id"] = f"{document['id']}-{number:04d}"
        found.append(Convention.from_document(document, "valid"))
    return found


def _agreement(number: int, *, given: bool) -> Agreement:
    """An agreement of the person about the same recipient, collected by one organisation after the other."""
    document: dict[str, Any] = {
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "agreement_type": "consent",
        "state": "given" if given else "withdrawn",
        "collected_by": {"siret": f"{number:014d}"},
        "collected_at": (_NOW - timedelta(days=30, minutes=number)).isoformat(),
        "valid_from": (_NOW - timedelta(days=30)).isoformat(),
        "valid_until": (_NOW + timedelta(days=300)).isoformat(),
        "evidence": {"level": "document_kept"},
        "scopes": [
            {
                "id": "tout",
                "purposes": ["inform_about_rights"],
                "kinds": ["referral"],
                "categories": ["identity", "rights"],
                "recipients": [_ASSOCIATION],
                **({} if given else {"withdrawn_at": (_NOW - timedelta(days=1)).isoformat()}),
            }
        ],
    }
    return Agreement.from_document(document)
