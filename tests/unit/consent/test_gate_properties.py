"""What must hold for any document, convention, agreement and objection, against a second, naive reading of the rules."""

import copy
import dataclasses
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from consent.agreement import Agreement, Objection, Scope
from consent.conventions import Convention, ConventionRefused, Conventions, read
from consent.conventions.structure import prune
from consent.gate import Decision, Request, decide
from consent.projection import Projection, project
from schemas import Document, FieldLabel, Kind, code_list, fields, validate

PARTIES = ("99900001100018", "99900002900010", "99900003700013")
KINDS = (Kind.REFERRAL, Kind.BILAN, Kind.CONSENT, Kind.STATUS)
PURPOSES = ("inform_about_rights", "award_right", "social_evaluation", "follow_up")
CATEGORIES = tuple(code for code in code_list("data_category") if code != "secret")
LEVELS = tuple(code_list("evidence_level"))
NOW = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
QUICK = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
)

few_purposes = st.lists(st.sampled_from(PURPOSES), min_size=1, max_size=3, unique=True)
few_categories = st.lists(st.sampled_from(CATEGORIES), min_size=1, max_size=8, unique=True)
moments = st.integers(-72, 72).map(lambda hours: NOW + hours * HOUR)


@cache
def frame() -> Document:
    """The parts of a convention that these tests do not vary."""
    raw = (files("consent") / "models" / "tznr-caf-departement.yaml").read_bytes()
    return dict(read(raw).document)


@st.composite
def flows(draw: st.DrawFn, number: int) -> Document:
    """A flow of a convention, mostly from the first party to the second."""
    kind = draw(st.sampled_from(KINDS))
    sender, recipient = draw(st.sampled_from([PARTIES[:2], PARTIES[:2], PARTIES[1:], (PARTIES[0], PARTIES[2])]))
    leaves = sorted(pattern for pattern, label in fields(kind).items() if label.category != "exchange")
    patterns = st.lists(st.sampled_from(leaves).map(lambda leaf: leaf.removesuffix("/*")), min_size=1, max_size=4)
    flow: Document = {
        "id": f"flux-{number}",
        "kind": kind.value,
        "from": sender,
        "to": recipient,
        "purposes": draw(few_purposes),
        "legal_basis": draw(st.sampled_from(["ordinaire", "sante", "consentement-explicite"])),
        "agreement": draw(st.sampled_from(["required", "not_required"])),
        "categories": draw(few_categories),
        "special_categories": draw(st.booleans()),
    }
    if draw(st.integers(0, 3)) == 0:
        flow["except"] = sorted(set(draw(patterns)))
    if draw(st.integers(0, 5)) == 0:
        flow["only"] = sorted(set(draw(patterns)))
    if draw(st.integers(0, 4)) == 0:
        flow["evidence_level"] = draw(st.sampled_from(LEVELS))
    return flow


@st.composite
def conventions(draw: st.DrawFn) -> list[Convention]:
    """One to three conventions between three parties, mostly valid."""
    found = []
    for number in range(draw(st.integers(1, 3))):
        document = copy.deepcopy(frame())
        entitled = draw(st.sets(st.sampled_from(PARTIES)))
        document["id"] = f"convention-{draw(st.integers(0, 1))}"
        document["version"] = number + 1
        document["parties"] = [
            {**document["parties"][0], "siret": siret, "role": "caf", "nir_entitled": siret in entitled}
            for siret in PARTIES
        ]
        document["nir"] = [{"party": siret, "ground": "fondement"} for siret in sorted(entitled)]
        if not entitled:
            del document["nir"]
        basis = {"rgpd": "6.1.e", "text": "Texte", "article": "L1"}
        document["legal_bases"] = [
            basis | {"id": "ordinaire"},
            basis | {"id": "sante", "special": "9.2.b"},
            basis | {"id": "consentement-explicite", "special": "9.2.a"},
        ]
        document["flows"] = [draw(flows(index)) for index in range(draw(st.integers(1, 2)))]
        state = draw(st.sampled_from(["valid", "valid", "valid", "valid", "suspended", "proposed", "revoked"]))
        try:
            found.append(Convention.from_document(document, state))
        except ConventionRefused:
            continue  # a flow that would say nothing, or a pattern without effect: no such convention exists
    assume(found)
    return found


@st.composite
def scopes(draw: st.DrawFn, number: int) -> Scope:
    """A line of an agreement, sometimes taken back."""
    return Scope(
        id=f"ligne-{number}",
        purposes=frozenset(draw(few_purposes)),
        kinds=frozenset(draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4))),
        categories=frozenset(draw(few_categories)),
        recipients=frozenset(draw(st.lists(st.sampled_from(PARTIES), min_size=1, max_size=3))),
        withdrawn_at=draw(st.one_of(st.none(), st.none(), moments)),
    )


@st.composite
def agreements(draw: st.DrawFn) -> list[Agreement]:
    """What a person said, to several organisations, at several moments."""
    found = []
    for number in range(draw(st.integers(0, 4))):
        collected = draw(moments)
        found.append(
            Agreement(
                id=f"accord-{number}",
                agreement_type="consent",
                state=draw(st.sampled_from(["given", "given", "given", "given", "refused", "withdrawn", "expired"])),
                collected_by=draw(st.sampled_from(PARTIES[:2])),
                collected_at=collected,
                valid_from=collected,
                valid_until=collected + draw(st.integers(1, 200)) * HOUR,
                evidence_level=draw(st.sampled_from(LEVELS)),
                scopes=tuple(draw(scopes(index)) for index in range(draw(st.integers(1, 3)))),
            )
        )
    return found


objections = st.lists(
    st.builds(
        Objection,
        id=st.just("opposition"),
        recipient=st.sampled_from([*PARTIES, None]),
        purpose=st.sampled_from([*PURPOSES, None]),
        since=moments,
        until=moments,
    ),
    max_size=1,
)


def every_request(known: list[Convention]) -> Iterator[Request]:
    """Each question that these conventions may answer, and its mirror."""
    ways = {(flow.kind, flow.sender, flow.recipient) for convention in known for flow in convention.flows}
    for kind, sender, recipient in sorted(ways):
        for purpose in PURPOSES:
            yield Request(kind, purpose, sender, recipient, NOW)
    yield Request(kind, purpose, recipient, sender, NOW)


def everything(kind: Kind, seed: int) -> Document:
    """A document with most leaves of its kind, two items per array, and names no schema knows; each value tells its pattern."""
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    document: Document = {}
    for pattern in fields(kind):
        if chance.random() < 0.15:
            continue
        for item in range(2):
            _put(document, pattern, item)
    document["kind"] = kind.value
    document["inconnu"] = {"nom": "VALUE inconnu"}
    document.setdefault("subject", {})["inconnu"] = "VALUE inconnu"
    return document


def _put(document: Document, pattern: str, item: int) -> None:
    target: Any = document
    parts = pattern.split("/")[1:]
    for part, below in zip(parts, [*parts[1:], None], strict=True):
        empty: Any = f"VALUE {pattern}" if below is None else [] if below == "*" and _is_array(parts) else {}
        if isinstance(target, list):
            while len(target) <= item:
                target.append(copy.deepcopy(empty))
            target = target[item]
        else:
            target = target.setdefault(f"cle_{item}" if part == "*" else part, empty)


def _is_array(parts: list[str]) -> bool:
    return parts[:2] != ["local", "fields"]


def may_leave(label: FieldLabel, request: Request, decision: Decision, world: "World") -> bool:
    """The rules read once more, naively, for one leaf and the flow that the decision names."""
    assert decision.convention is not None
    [convention] = [
        each
        for each in world.conventions
        if (each.id, each.version) == (decision.convention.id, decision.convention.version)
    ]
    document = convention.document
    [flow] = [each for each in document["flows"] if each["id"] == decision.convention.flow]
    right_way = (flow["kind"], flow["from"], flow["to"]) == (request.kind, request.sender, request.recipient)
    if convention.state != "valid" or not right_way or request.purpose not in flow["purposes"]:
        return False
    if any(objection.stops(request.recipient, request.purpose, NOW) for objection in world.objections):
        return False
    if label.category == "secret" or label.sensitivity == "secret":
        return False
    if any((label.pattern + "/").startswith(pattern + "/") for pattern in flow.get("except", [])):
        return False
    if label.category == "exchange":
        return True
    named = any((label.pattern + "/").startswith(pattern + "/") for pattern in flow.get("only", [""]))
    if label.category not in flow["categories"] or not named:
        return False
    if label.category == "nir" and request.recipient not in {entry["party"] for entry in document.get("nir", [])}:
        return False
    agreed = _agreed(label, request, decision, flow, world)
    if label.sensitivity == "special":
        by_law = flow["legal_basis"] == "sante" and flow["agreement"] == "not_required"
        return bool(flow["special_categories"]) and (agreed or by_law)
    return agreed or flow["agreement"] == "not_required"


def _agreed(label: FieldLabel, request: Request, decision: Decision, flow: Document, world: "World") -> bool:
    for agreement in world.agreements:
        enough = LEVELS.index(agreement.evidence_level) >= LEVELS.index(flow.get("evidence_level", LEVELS[0]))
        alive = agreement.state == "given" or (
            agreement.state == "withdrawn" and all(scope.withdrawn_at for scope in agreement.scopes)
        )
        if agreement.id != decision.agreement or not enough or not alive:
            continue
        if not agreement.valid_from <= NOW < agreement.valid_until:
            continue
        for scope in agreement.scopes:
            about = request.purpose in scope.purposes and request.kind in scope.kinds
            told = request.recipient in scope.recipients and label.category in scope.categories
            if about and told and (scope.withdrawn_at is None or NOW < scope.withdrawn_at):
                return True
    return False


@dataclasses.dataclass
class World:
    """All that a decision may look at."""

    conventions: list[Convention]
    agreements: list[Agreement]
    objections: list[Objection]

    def decide(self, request: Request) -> Decision:
        """The gate's answer."""
        return decide(request, Conventions(self.conventions), self.agreements, self.objections)


worlds = st.builds(World, conventions(), agreements(), objections)


def patterns_of(projection: Projection, kind: Kind) -> set[str]:
    """The patterns of the leaves that left, found from the values in the document and not from its account."""
    text = json.dumps(projection.document, ensure_ascii=False)
    return {pattern for pattern in fields(kind) if f'"VALUE {pattern}"' in text}


@given(world=worlds, seed=st.integers(0, 2**32))
@settings(QUICK, max_examples=350)
def test_what_leaves_is_exactly_what_every_rule_permits(world: World, seed: int) -> None:
    """No leaf outside the intersection leaves, in any document, and no leaf inside it that makes a whole stays behind."""
    for request in every_request(world.conventions):
        decision = world.decide(request)
        if not decision.permit:
            assert frozenset() == decision.fields
            continue
        labels = fields(request.kind)
        expected = {pattern for pattern, label in labels.items() if may_leave(label, request, decision, world)}
        assert prune(request.kind, frozenset(expected)) == decision.fields
        document = everything(request.kind, seed)
        projection = project(document, decision, "recipients-own-pseudonym")
        left = patterns_of(projection, request.kind)
        assert left <= expected
        assert "inconnu" not in json.dumps([projection.document, projection.left, projection.withheld])
        forbidden = {pattern for pattern, label in labels.items() if label.category == "secret"}
        if request.recipient not in {
            party.siret
            for convention in world.conventions
            for party in convention.parties.values()
            if party.nir_entitled
        }:
            forbidden |= {pattern for pattern, label in labels.items() if label.category == "nir"}
        assert left.isdisjoint(forbidden)


@given(world=worlds)
@settings(QUICK, max_examples=250)
def test_an_objection_beats_everything(world: World) -> None:
    """Whatever was permitted is refused as soon as the person objects to it, and only for that reason."""
    for request in every_request(world.conventions):
        before = world.decide(request)
        objecting = Objection("non", request.recipient, request.purpose, NOW, NOW + HOUR)
        after = dataclasses.replace(world, objections=[*world.objections, objecting]).decide(request)
        assert not after.permit
        if before.permit:
            assert "objection" in [reason.code for reason in after.reasons]


@given(world=worlds)
@settings(QUICK, max_examples=250)
def test_a_withdrawal_changes_the_very_next_decision(world: World) -> None:
    """The agreement that was used is used no more, nor an earlier one collected by the same organisation."""
    for request in every_request(world.conventions):
        before = world.decide(request)
        if not before.permit or before.agreement is None:
            continue
        [used] = [agreement for agreement in world.agreements if agreement.id == before.agreement]
        gone = dataclasses.replace(
            used, scopes=tuple(dataclasses.replace(scope, withdrawn_at=NOW) for scope in used.scopes)
        )
        others = [agreement for agreement in world.agreements if agreement is not used]
        after = dataclasses.replace(world, agreements=[*others, gone]).decide(request)
        assert after.agreement != used.id
        by_same = [agreement for agreement in others if agreement.collected_by == used.collected_by]
        assert after.agreement not in [agreement.id for agreement in by_same]


@given(world=worlds, order=st.randoms())
@settings(QUICK, max_examples=150)
def test_the_order_in_which_things_were_loaded_never_changes_the_answer(world: World, order: random.Random) -> None:
    """Two processes that read the same rows in another order decide the same."""
    shuffled = World(list(world.conventions), list(world.agreements), list(world.objections))
    for each in (shuffled.conventions, shuffled.agreements, shuffled.objections):
        order.shuffle(each)
    for request in every_request(world.conventions):
        assert world.decide(request) == shuffled.decide(request)


@cache
def valid_examples(kind: Kind) -> list[Document]:
    """The valid examples shipped with the schema of a kind."""
    folder = files("schemas") / kind.value / "v1" / "valid"
    return [json.loads(entry.read_text("utf-8")) for entry in folder.iterdir() if entry.name.endswith(".json")]


@given(world=worlds)
@settings(QUICK, max_examples=200)
def test_a_valid_document_is_still_valid_once_it_is_cut(world: World) -> None:
    """Whatever the convention takes away, the recipient's software gets a document of the shared format."""
    for request in every_request(world.conventions):
        decision = world.decide(request)
        if decision.permit:
            for document in valid_examples(request.kind):
                projection = project(document, decision, "recipients-own-pseudonym")
                assert [] == validate(request.kind, projection.document)
