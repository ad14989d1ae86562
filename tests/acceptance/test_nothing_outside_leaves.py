"""
Generated documents, conventions and agreements through a running gateway: whatever anybody is answered, by any address, holds no
value of a field that the convention, the agreement and the recipient's rights do not let leave.

Every text that the schema leaves free carries a word of its own, that stands nowhere else; they are looked for in the payloads of
two formats, the lists and their pages, the FHIR resources, the receipts, the errors, the simulations, the metrics and the logs.
"""

from __future__ import annotations

import copy
import io
import json
import logging
import os
import random
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

import pytest
import sqlalchemy as sa

from consent.conventions import Convention, ConventionRefused
from consent.tables import ledger_events
from gateway.history import opened
from gateway.store import subjects
from ops.demo.partner import Partner
from schemas import FieldLabel, Kind, fields, validate

pytestmark = pytest.mark.anyio

CAF, DEPARTEMENT, CCAS, ASSOCIATION = "99900001100018", "99900002900010", "99900004500016", "99900003700013"
KINDS = (Kind.REFERRAL, Kind.BILAN)
PURPOSE = "inform_about_rights"
CATEGORIES = sorted({label.category for kind in KINDS for label in fields(kind).values()} - {"secret", "exchange"})
ROUNDS = 100 if os.environ.get("TDU_FAULTS") == "all" else 4
"""Conventions tried in a run, each with several people; `make faults` tries more."""

PEOPLE = 5
_LETTERS, _LENGTH = "bcdfghjklmnpqrstvwxz", 9
_RUN = re.compile(f"[{_LETTERS}]{{{_LENGTH},}}")


@cache
def example(kind: Kind) -> dict[str, Any]:
    """The fullest example of a kind, without the texts that are stopped at the door."""
    text = (files("schemas") / kind.value / "v1" / "valid" / "full.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    found.pop("private_notes", None)
    return found


def leaves(value: Any, pointer: str = "", pattern: str = "") -> Iterator[tuple[str, str, str]]:
    """Each text of a document: pointer, pattern, value."""
    if isinstance(value, dict):
        for name, inside in value.items():
            yield from leaves(inside, f"{pointer}/{name}", f"{pattern}/{name}")
    elif isinstance(value, list):
        for rank, inside in enumerate(value):
            yield from leaves(inside, f"{pointer}/{rank}", f"{pattern}/*")
    elif isinstance(value, str):
        yield pointer, pattern, value


def put(document: dict[str, Any], pointer: str, value: str) -> None:
    """Change one text of a document."""
    *path, last = pointer.split("/")[1:]
    target: Any = document
    for part in path:
        target = target[int(part)] if isinstance(target, list) else target[part]
    target[int(last) if isinstance(target, list) else last] = value


@cache
def free(kind: Kind) -> list[tuple[str, str]]:
    """The pointers and patterns of the texts to which a word may be added, found by trying."""
    found = []
    for pointer, pattern, value in leaves(example(kind)):
        if pattern not in fields(kind) or pattern.startswith(("/sender", "/recipients", "/subject/pseudonym")):
            continue
        document = copy.deepcopy(example(kind))
        put(document, pointer, value + "bcdfghjk")
        if pattern not in ("/id",) and not validate(kind, document):
            found.append((pointer, pattern))
    return found


@dataclass
class Marked:
    """A document about one person with the word hidden in each field: word to pattern."""

    kind: Kind
    document: dict[str, Any]
    words: dict[str, str] = field(default_factory=dict)
    agreed: frozenset[str] | None = None

    @classmethod
    def make(cls, chance: random.Random) -> Marked:
        """A new person, new words."""
        kind = chance.choice(KINDS)
        marked = cls(kind, copy.deepcopy(example(kind)))
        for pointer, pattern in free(kind):
            word = "".join(chance.choices(_LETTERS, k=_LENGTH))
            value = next(value for place, _, value in leaves(marked.document) if place == pointer)
            put(marked.document, pointer, value + word)
            marked.words[word] = pattern
        subject = marked.document["subject"]
        for name in ("nir", "nia", "msa_number", "identifiers", "pseudonym"):
            subject.pop(name, None)
        marked.document |= {"id": str(uuid.uuid4()), "purpose": PURPOSE}
        marked.document["recipients"] = [{"siret": DEPARTEMENT}, {"siret": CCAS}]
        return marked


def a_flow(chance: random.Random, kind: Kind, recipient: str) -> dict[str, Any]:
    """What one recipient may get of one kind."""
    named = sorted(pattern for pattern, label in fields(kind).items() if label.category != "exchange")
    flow: dict[str, Any] = {
        "id": f"{kind.value}-{recipient[-5:]}",
        "kind": kind.value,
        "from": CAF,
        "to": recipient,
        "purposes": [PURPOSE],
        "legal_basis": chance.choice(["mission", "sante"]),
        "agreement": chance.choice(["required", "not_required"]),
        "categories": chance.sample(CATEGORIES, chance.randint(1, 9)),
        "special_categories": chance.random() < 0.5,
    }
    if chance.random() < 0.5:
        flow["except"] = sorted(pattern.removesuffix("/*") for pattern in chance.sample(named, 5))
    return flow


def a_convention(chance: random.Random, version: int) -> dict[str, Any]:
    """A convention of the three, drawn until it is one that can exist."""
    dpo = {"dpo": {"name": "Déléguée", "email": "dpo@valombre.example"}}
    roles = ((CAF, "caf"), (DEPARTEMENT, "departement"), (CCAS, "ccas"))
    basis = {"rgpd": "6.1.e", "text": "Texte", "article": "L1"}
    while True:
        document = {
            "kind": "convention", "schema_version": "1.0", "id": "tirage", "version": version, "title": "Tirage",
            "parties": [{"siret": siret, "name": role, "role": role, "nir_entitled": False, "contacts": dpo}
                        for siret, role in roles],
            "legal_bases": [basis | {"id": "mission"}, basis | {"id": "sante", "special": "9.2.b"}],
            "purposes": [PURPOSE],
            "flows": [a_flow(chance, kind, recipient) for kind in KINDS for recipient in (DEPARTEMENT, CCAS)],
            "retention": [{"class": "proactive", "months": 12}],
            "validity": {"from": "2026-01-01", "until": "2035-12-31"}, "channels": ["api", "inbound", "mailbox"],
        }  # fmt: skip
        try:
            Convention.from_document(document)
        except ConventionRefused:
            continue
        return document


def may_leave(label: FieldLabel, flow: dict[str, Any], agreed: frozenset[str] | None) -> bool:
    """The rules once more, naively: flow, exceptions, agreement, special categories; nobody here is entitled to the NIR."""
    excepted = any((label.pattern + "/").startswith(pattern + "/") for pattern in flow.get("except", ()))
    if excepted or {"secret", "nir"} & {label.category, label.sensitivity}:
        return False
    if label.category == "exchange":
        return True
    by_agreement = agreed is not None and label.category in agreed
    by_law = flow["agreement"] == "not_required"
    if label.sensitivity == "special":
        by_law = by_law and flow["legal_basis"] == "sante"
        return bool(flow["special_categories"]) and label.category in flow["categories"] and (by_agreement or by_law)
    return label.category in flow["categories"] and (by_agreement or by_law)


class Watch:
    """Everything that was answered, and what must not be in it."""

    def __init__(self) -> None:
        self.words: dict[str, tuple[Marked, str]] = {}
        self.looked_at = 0

    def add(self, marked: Marked) -> None:
        """Look for the words of one more document from now on."""
        self.words |= {word: (marked, pattern) for word, pattern in marked.words.items()}

    def look(self, text: str, allowed: Callable[[Marked, str], bool] = lambda _marked, _pattern: False) -> set[str]:
        """The patterns that a text shows; fails when one of them is not allowed to stand there."""
        self.looked_at += 1
        # Each place where a word may stand, instead of each word: the words are many.
        runs = _RUN.findall(text.lower())
        places = {run[start : start + _LENGTH] for run in runs for start in range(len(run) - _LENGTH + 1)}
        shown = {word: self.words[word] for word in places & self.words.keys()}
        leaked = sorted({pattern for marked, pattern in shown.values() if not allowed(marked, pattern)})
        assert not leaked, leaked
        return {pattern for _, pattern in shown.values()}


async def _agree(partner: Partner, marked: Marked, chance: random.Random) -> None:
    """Sometimes the person agrees to some categories; the recipients are those of the document."""
    if chance.random() < 0.3:
        return
    marked.agreed = frozenset(chance.sample(CATEGORIES, chance.randint(1, 8)))
    at = (datetime.now(UTC) - timedelta(minutes=5)).isoformat(timespec="seconds")
    civil = {name: marked.document["subject"][name] for name in ("birth_name", "given_names", "birth_date", "sex")}
    document = {
        "kind": "consent", "schema_version": "1.0", "id": str(uuid.uuid4()), "created_at": at, "purpose": PURPOSE,
        "subject": civil, "agreement_type": "consent", "state": "given", "collected_at": at, "channel": "paper",
        "evidence": {"level": "document_kept", "kind": "paper_scan", "sha256": "ab" * 32},
        "text": {"version": "accord-1", "sha256": "cd" * 32, "language": "fr"}, "valid_from": at, "duration": "one_year",
        "scopes": [{"id": "tout", "purposes": [PURPOSE], "kinds": [kind.value for kind in KINDS],
                    "categories": sorted(marked.agreed), "recipients": [DEPARTEMENT, CCAS]}],
    }  # fmt: skip
    await partner.call("POST", "/v1/consents", json=document)


def _broken(marked: Marked) -> Iterator[dict[str, Any]]:
    """Documents that are refused, with words where the fault is and elsewhere."""
    word = next(iter(marked.words))
    yield marked.document | {word: word}
    yield marked.document | {"purpose": word}
    yield marked.document | {"subject": marked.document["subject"] | {"birth_date": word}}
    yield marked.document | {"subject": marked.document["subject"] | {"birth_name": f"{word} 2 31 02 99 771 101 23"}}


async def _send(caf: Partner, marked: Marked, watch: Watch) -> dict[str, Any]:
    """Send a document, simulate it, send it broken: the sender's own answers hold none of its values."""
    question = {"kind": marked.kind.value, "purpose": PURPOSE, "recipient": CCAS, "document": marked.document}
    watch.look((await caf.call("POST", "/v1/decisions/simulate", json=question)).text)
    for broken in _broken(marked):
        for path in (f"/v1/{marked.kind.value}s", f"/v1/validate/{marked.kind.value}", "/v1/inbound/shared-json"):
            watch.look((await caf.call("POST", path, json=broken, expect=(200, 202, 400, 422))).text)
    answer = await caf.call("POST", f"/v1/{marked.kind.value}s", json=marked.document)
    watch.look(answer.text)
    [told] = answer.json()["exchanges"]
    for path in (f"/v1/exchanges/{told['exchange']}", "/v1/exchanges?limit=2", "/v1/consents?limit=2"):
        watch.look((await caf.call("GET", path)).text)
    return dict(told)


async def _receive(
    partner: Partner, sent: dict[str, Marked], watch: Watch, flows: dict[str, Any]
) -> dict[str, set[str]]:
    """Take everything, page by page, and read it by every address; gives the patterns shown, by exchange."""

    def allowed(marked: Marked, pattern: str) -> bool:
        return may_leave(fields(marked.kind)[pattern], flows[marked.kind.value], marked.agreed)

    shown: dict[str, set[str]] = {}
    wait = 20 if sent else 0
    while (page := await partner.call("GET", f"/v1/mailbox?limit=2&wait={wait}")).json()["deliveries"]:
        body = page.json()
        for delivery in body["deliveries"]:
            assert delivery["exchange"] in sent
            shown[delivery["exchange"]] = watch.look(json.dumps(delivery, ensure_ascii=False), allowed)
            watch.look((await partner.call("GET", f"/v1/exchanges/{delivery['exchange']}")).text)
            for path in (f"/fhir/R4/ServiceRequest/{delivery['document_id']}", f"/fhir/R4/Task/{delivery['id']}"):
                watch.look((await partner.call("GET", path, expect=(200, 404))).text, allowed)
        watch.look((await partner.call("POST", f"/v1/mailbox/{body['lease']}/ack")).text)
        wait = 20 if len(shown) < len(sent) else 0
    assert shown.keys() == sent.keys()  # neither more nor fewer than what was permitted: a count tells too
    watch.look((await partner.call("GET", "/v1/exchanges?limit=1")).text)
    return shown


async def _recorded(started: Any) -> dict[tuple[str, str], set[str]]:
    """The pointers that the ledger says left, as patterns, by exchange and recipient."""
    services, found = started.runtime.services, {}
    async with services.database.read() as tx:
        query = sa.select(ledger_events).where(ledger_events.c.type == "disclosure_made")
        rows = (await tx.execute(query)).all()
        keys = await subjects.data_keys(tx, {row.subject_id for row in rows}, services.vault)
    for row in rows:
        body = opened(row, keys[row.subject_id]).body
        parts = (pointer.split("/") for pointer in body["left"])
        found[body["exchange_id"], body["recipient"]] = {
            "/".join("*" if part.isdigit() else part for part in pointer) for pointer in parts
        }
    return found


@pytest.mark.timeout(60 + 30 * ROUNDS)
async def test_no_value_outside_the_intersection_is_in_any_answer(in_process: Callable[..., Any]) -> None:
    """Many conventions, people and documents; two recipients of two formats, and a stranger who sees nothing of anybody."""
    chance, watch, log = random.Random(2026), Watch(), io.StringIO()
    logging.getLogger().addHandler(handler := logging.StreamHandler(log))
    shown_somewhere = withheld = 0
    async with in_process() as started:
        caf = await started.partner(CAF, "CAF", "caf")
        departement = await started.partner(DEPARTEMENT, "Département", "departement", "webrsa-orientation")
        ccas = await started.partner(CCAS, "CCAS", "ccas")
        stranger = await started.partner(ASSOCIATION, "Association", "association")
        for version in range(1, ROUNDS + 1):
            convention = a_convention(chance, version)
            text = json.dumps(convention).encode()
            await caf.propose(text)
            for party in (caf, departement, ccas):
                await party.sign(text)
            people = [Marked.make(chance) for _ in range(PEOPLE)]
            told = {}
            for marked in people:
                watch.add(marked)
                await _agree(caf, marked, chance)
                told[(await _send(caf, marked, watch))["exchange"]] = marked
            exchanges = {each: (await caf.call("GET", f"/v1/exchanges/{each}")).json() for each in told}
            for partner in (departement, ccas):
                flows = {flow["kind"]: flow for flow in convention["flows"] if flow["to"] == partner.siret}
                sent = {
                    ident: told[ident]
                    for ident, body in exchanges.items()
                    for part in body["deliveries"]
                    if part["recipient"] == partner.siret and part["state"] != "refused"
                }
                shown = await _receive(partner, sent, watch, flows)
                recorded = await _recorded(started)
                for ident, patterns in shown.items():
                    assert patterns <= recorded[ident, partner.siret]
                    withheld += len(set(sent[ident].words.values()) - patterns)
                    shown_somewhere += len(patterns)
            for ident in told:
                for path in (f"/v1/exchanges/{ident}", f"/fhir/R4/ServiceRequest/{exchanges[ident]['document_id']}"):
                    watch.look((await stranger.call("GET", path, expect=(404,))).text)
        watch.look((await stranger.call("GET", "/v1/mailbox")).text)
        watch.look((await caf.http.get(caf.gateway.address + "/metrics")).text)
    logging.getLogger().removeHandler(handler)
    watch.look(log.getvalue())
    assert watch.looked_at > 20 * ROUNDS * PEOPLE
    assert shown_somewhere > 10 * ROUNDS and withheld > 10 * ROUNDS
