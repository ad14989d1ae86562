"""
The cost of a decision: 1,000 conventions known, 100 agreements of the person, and the cutting of a document, beside a
JSON copy of the same document in the same run.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.resources import files
from typing import Any, Final

from consent.agreement import Agreement
from consent.conventions.collection import Conventions
from consent.conventions.convention import Convention
from consent.conventions.files import load_yaml
from consent.gate import Request, decide
from consent.projection import project
from ops.bench.measured import Goal, Measured, Say, microseconds
from schemas import Kind, parse_json
from schemas.identity import siret_is_valid

CONVENTIONS: Final = 1_000
AGREEMENTS: Final = 100
SAME_PATH: Final = 4
"""Conventions between the same two organisations, of which half are about the same exchanges."""

_MOST_US: Final = 50.0
_CAF, _ASSOCIATION, _DEPARTEMENT = "99900001100018", "99900003700013", "99900002900010"
_NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
_WAY: Final = ("inform_about_rights", "referral")


def run(say: Say) -> Measured:
    """
    Microseconds a decision: with an agreement to find among those of the person, with half of them taken back, refused
    although there are as many, without any need of one; where every convention is between the same two organisations;
    and microseconds a projection.
    """
    say(f"{CONVENTIONS} conventions")
    conventions, crowded = Conventions(_conventions(SAME_PATH)), Conventions(_conventions(CONVENTIONS))
    say(f"{AGREEMENTS} agreements")
    agreed = [_agreement(number) for number in range(AGREEMENTS)]
    taken_back = [_agreement(number, given=number % 2 == 0) for number in range(AGREEMENTS)]
    for_others = [_agreement(number, purpose="follow_up") for number in range(AGREEMENTS)]
    to_association = Request(Kind.REFERRAL, _WAY[0], _CAF, _ASSOCIATION, _NOW)
    to_departement = Request(Kind.REFERRAL, _WAY[0], _CAF, _DEPARTEMENT, _NOW)
    document = parse_json((files("schemas") / "referral" / "v1" / "valid" / "full.json").read_bytes())
    decision = decide(to_departement, conventions)
    names = ("with_agreement", "half_withdrawn", "refused", "without_agreement", "same_path", "same_path_refused")
    *decisions, cut, copied = microseconds(
        partial(decide, to_association, conventions, agreed),
        partial(decide, to_association, conventions, taken_back),
        partial(decide, to_association, conventions, for_others),
        partial(decide, to_departement, conventions),
        partial(decide, to_association, crowded, agreed),
        partial(decide, to_association, crowded, for_others),
        partial(project, document, decision, "p-0"),
        lambda: json.loads(json.dumps(document)),
    )
    figures = {f"decision_{name}_us": taken for name, taken in zip(names, decisions, strict=True)}
    goals = {name: Goal(taken, _MOST_US, at_most=True) for name, taken in list(figures.items())[:4]}
    others = {"projection_us": cut, "json_copy_us": copied, "projection_ratio": copied / cut}
    return Measured(figures | others | {"conventions": CONVENTIONS, "agreements": AGREEMENTS}, goals)


def _conventions(same_path: int) -> list[Convention]:
    """The two models of the project, `same_path` conventions for each pair of organisations, all in force."""
    names = ("tznr-caf-association.yaml", "tznr-caf-departement.yaml")
    models = [json.dumps(load_yaml((files("consent") / "models" / name).read_bytes()).document) for name in names]
    found = []
    for number in range(CONVENTIONS):
        pair, text = number // same_path, models[number % 2]
        for rank, siret in enumerate((_CAF, _ASSOCIATION, _DEPARTEMENT)):
            text = text.replace(siret, siret if pair == 0 else _siret(3 * pair + rank))
        document = json.loads(text)
        document["id"] = f"{document['id']}-{number:04d}"
        found.append(Convention.from_document(document, "valid"))
    return found


def _siret(number: int) -> str:
    """The SIRET of an organisation that does not exist."""
    tries = (f"9999{number:04d}{key}0000{last}" for key in range(10) for last in range(10))
    return next(siret for siret in tries if siret_is_valid(siret))


def _agreement(number: int, *, given: bool = True, purpose: str = _WAY[0]) -> Agreement:
    """An agreement of the person about the same recipient, collected by one of five organisations."""
    document: dict[str, Any] = {
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "agreement_type": "consent",
        "state": "given" if given else "withdrawn",
        "collected_by": {"siret": f"{number % 5:014d}"},
        "collected_at": (_NOW - timedelta(days=30, minutes=number)).isoformat(),
        "valid_from": (_NOW - timedelta(days=30)).isoformat(),
        "valid_until": (_NOW + timedelta(days=300)).isoformat(),
        "evidence": {"level": "document_kept"},
        "scopes": [
            {
                "id": "tout",
                "purposes": [purpose],
                "kinds": [_WAY[1]],
                "categories": ["identity", "rights"],
                "recipients": [_ASSOCIATION],
                **({} if given else {"withdrawn_at": (_NOW - timedelta(days=29)).isoformat()}),
            }
        ],
    }
    return Agreement.from_document(document)
