"""What must hold for any document, convention, agreement and objection, against a second, naive reading of the rules."""

import copy
import dataclasses
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consent.agreement import Agreement, Objection, Scope
from consent.break_glass import Opening
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
VALUE = re.compile('"VALUE ([^"]+)"')
QUICK = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
)

few_purposes = st.frozensets(st.sampled_from(PURPOSES), min_size=1, max_size=3)
few_categories = st.frozensets(st.sampled_from(CATEGORIES), min_size=1, max_size=8)
moments = st.integers(-72, 72).map(lambda hours: NOW + hours * HOUR)


@cache
def frame() -> Document:
    """The parts of a convention that these tests do not vary."""
    return dict(read((files("consent") / "models" / "tznr-caf-departement.yaml").read_bytes()).document)


def a_flow(chance: random.Random, number: int) -> Document:
    """A flow of a convention, mostly from the first party to the second."""
    kind = chance.choice(KINDS)
    sender, recipient = chance.choice([PARTIES[:2], PARTIES[:2], PARTIES[1:], (PARTIES[0], PARTIES[2])])
    leaves = sorted(pattern for pattern, label in fields(kind).items() if label.category != "exchange")
    flow: Document = {
        "id": f"flux-{number}",
        "kind": kind.value,
        "from": sender,
        "to": recipient,
        "purposes": chance.sample(PURPOSES, chance.randint(1, 3)),
        "legal_basis": chance.choice(["ordinaire", "sante", "consentement-explicite"]),
        "agreement": chance.choice(["required", "not_required"]),
        "categories": chance.sample(CATEGORIES, chance.randint(1, 8)),
        "special_categories": chance.random() < 0.5,
    }
    for name, share in (("except", 0.3), ("only", 0.15)):
        if chance.random() < share:
            flow[name] = sorted({leaf.removesuffix("/*") for leaf in chance.sample(leaves, 3)})
    if flow["agreement"] == "required" and chance.random() < 0.6:
        urgent = chance.sample(flow["categories"], chance.randint(1, len(flow["categories"])))
        flow["break_glass"] = {"hours": 24, "review_days": 7, "categories": urgent, "ground": "RGPD art. 6(1)(d)"}
    if chance.random() < 0.2:
        flow["evidence_level"] = chance.choice(LEVELS)
    return flow


def a_convention(chance: random.Random, number: int) -> Document:
    """A convention between the three parties, of which any may be entitled to the NIR."""
    document = copy.deepcopy(frame())
    entitled = [siret for siret in PARTIES if chance.random() < 0.5]
    document |= {"id": f"convention-{number % 5}", "version": number + 1}
    document["parties"] = [
        {**document["parties"][0], "siret": siret, "role": "caf", "nir_entitled": siret in entitled}
        for siret in PARTIES
    ]
    document["nir"] = [{"party": siret, "ground": "fondement"} for siret in entitled]
    if not entitled:
        del document["nir"]
    basis = {"rgpd": "6.1.e", "text": "Texte", "article": "L1"}
    document["legal_bases"] = [
        basis | {"id": "ordinaire"},
        basis | {"id": "sante", "special": "9.2.b"},
        basis | {"id": "consentement-explicite", "special": "9.2.a"},
    ]
    document["flows"] = [a_flow(chance, index) for index in range(chance.randint(1, 3))]
    return document


@cache
def all_conventions() -> list[Convention]:
    """A hundred and sixty conventions, four out of five of them valid; built once, since each takes a while to check."""
    chance = random.Random(2026)
    found: list[Convention] = []
    while len(found) < 160:
        state = "valid" if chance.random() < 0.8 else chance.choice(["suspended", "proposed", "revoked"])
        try:
            found.append(Convention.from_document(a_convention(chance, len(found)), state))
        except ConventionRefused:
            continue  # a flow that would say nothing, or a pattern without effect: no such convention can exist
    return found


def conventions() -> st.SearchStrategy[list[Convention]]:
    """One to three of these conventions."""
    chosen = st.lists(st.integers(0, 159), min_size=1, max_size=3, unique=True)
    return chosen.map(lambda indexes: [all_conventions()[index] for index in indexes])


@st.composite
def scopes(draw: st.DrawFn, number: int) -> Scope:
    """A line of an agreement, sometimes taken back."""
    return Scope(
        id=f"ligne-{number}",
        purposes=draw(few_purposes),
        kinds=draw(st.frozensets(st.sampled_from(KINDS), min_size=1)),
        categories=draw(few_categories),
        recipients=draw(st.frozensets(st.sampled_from(PARTIES), min_size=1)),
        withdrawn_at=draw(st.one_of(st.none(), st.none(), moments)),
    )


@st.composite
def agreements(draw: st.DrawFn) -> list[Agreement]:
    """What a person said, to several organisations, at several moments."""
    found = []
    for number in range(draw(st.integers(0, 3))):
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
                scopes=tuple(draw(scopes(index)) for index in range(draw(st.integers(1, 2)))),
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
    chance = random.Random(seed)
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
    [convention] = [each for each in world.conventions if each.hash == decision.convention.hash]
    document = convention.document
    [flow] = [each for each in document["flows"] if each["id"] == decision.convention.flow]
    right_way = (flow["kind"], flow["from"], flow["to"]) == (request.kind, request.sender, request.recipient)
    objected = any(objection.stops(request.recipient, request.purpose, NOW) for objection in world.objections)
    stopped = convention.state != "valid" or not right_way or request.purpose not in flow["purposes"] or objected
    excepted = any(_inside(label.pattern, pattern) for pattern in flow.get("except", []))
    if stopped or excepted or "secret" in (label.category, label.sensitivity):
        return False
    if label.category == "exchange":
        return True
    named = "only" not in flow or any(_inside(label.pattern, pattern) for pattern in flow["only"])
    entitled = request.recipient in {entry["party"] for entry in document.get("nir", [])}
    if label.category not in flow["categories"] or not named or (label.category == "nir" and not entitled):
        return False
    if decision.break_glass is not None:
        return _urgent(label, decision, flow, world)
    agreed = _agreed(label, request, decision, flow, world)
    if label.sensitivity == "special":
        by_law = flow["legal_basis"] == "sante" and flow["agreement"] == "not_required"
        return bool(flow["special_categories"]) and (agreed or by_law)
    return agreed or flow["agreement"] == "not_required"


def _urgent(label: FieldLabel, decision: Decision, flow: Document, world: "World") -> bool:
    [opening] = [each for each in world.openings if each.id == decision.break_glass]
    assert decision.convention is not None and flow["agreement"] == "required"
    told = (opening.convention, opening.flow) == (decision.convention.hash, flow["id"])
    in_time = opening.since <= NOW < opening.until
    by_law = label.sensitivity != "special" or (flow["special_categories"] and flow["legal_basis"] == "sante")
    return told and in_time and by_law and label.category in flow["break_glass"]["categories"]


def _inside(leaf: str, container: str) -> bool:
    return (leaf + "/").startswith(container + "/")


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
    openings: list[Opening]

    def decide(self, request: Request) -> Decision:
        """The gate's answer."""
        return decide(request, Conventions(self.conventions), self.agreements, self.objections, self.openings)


begun = st.one_of(st.just(NOW - HOUR), moments)
over = st.one_of(st.just(NOW + HOUR), moments)


@st.composite
def worlds_of(draw: st.DrawFn) -> "World":
    """Conventions, what a person said, and emergency accesses opened on some of the flows, in time or not."""
    known = draw(conventions())
    flows = [(convention.hash, flow.id) for convention in known for flow in convention.flows]
    openings = [
        Opening(f"ouverture-{rank}", *draw(st.sampled_from(flows)), draw(begun), draw(over))
        for rank in range(draw(st.integers(0, 2)))
    ]
    return World(known, draw(agreements()), draw(objections), openings)


worlds = worlds_of()


def patterns_of(projection: Projection, kind: Kind) -> set[str]:
    """The patterns of the leaves that left, found from the values in the document and not from its account."""
    return set(VALUE.findall(json.dumps(projection.document))) & set(fields(kind))


def test_what_leaves_is_exactly_what_every_rule_permits() -> None:
    """
    No leaf outside the intersection leaves, in any of 20,000 cases, and no leaf inside it that makes a whole stays behind.

    A case is one decision over generated conventions, agreements, openings and objections, with a generated document where
    it permits.
    """
    seen: Counter[str] = Counter()

    @given(world=worlds, seed=st.integers(0, 2**32))
    @settings(QUICK, max_examples=1800)
    def check(world: World, seed: int) -> None:
        seen.update(outcomes(world, seed))

    check()
    assert seen.total() >= 20_000
    assert min(seen["permitted"], seen["refused"], seen["in an emergency"]) > 100


def outcomes(world: World, seed: int) -> Iterator[str]:
    """Ask every question of a world, look at what leaves, and say how each was answered."""
    for request in every_request(world.conventions):
        decision = world.decide(request)
        if not decision.permit:
            assert frozenset() == decision.fields
            yield "refused"
            continue
        labels = fields(request.kind).values()
        expected = {label.pattern for label in labels if may_leave(label, request, decision, world)}
        assert prune(request.kind, frozenset(expected)) == decision.fields
        projection = project(everything(request.kind, seed), decision, "recipients-own-pseudonym")
        assert patterns_of(projection, request.kind) <= expected
        assert "inconnu" not in json.dumps([projection.document, projection.left, projection.withheld])
        yield "in an emergency" if decision.break_glass else "permitted"


@given(world=worlds, seed=st.integers(0, 2**32))
@settings(QUICK, max_examples=100)
def test_secrets_and_numbers_never_leave_without_entitlement(world: World, seed: int) -> None:
    """Whatever the conventions and agreements say: no secret, and no NIR to whom no convention entitles."""
    entitled = {entry["party"] for convention in world.conventions for entry in convention.document.get("nir", [])}
    for request in every_request(world.conventions):
        decision = world.decide(request)
        if not decision.permit:
            continue
        projection = project(everything(request.kind, seed), decision, "recipients-own-pseudonym")
        left = {fields(request.kind)[pattern].category for pattern in patterns_of(projection, request.kind)}
        assert "secret" not in left
        assert "nir" not in left or request.recipient in entitled


@given(world=worlds)
@settings(QUICK, max_examples=150)
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
@settings(QUICK, max_examples=150)
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
@settings(QUICK, max_examples=100)
def test_the_order_in_which_things_were_loaded_never_changes_the_answer(world: World, order: random.Random) -> None:
    """Two processes that read the same rows in another order decide the same."""
    shuffled = World(list(world.conventions), list(world.agreements), list(world.objections), list(world.openings))
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
@settings(QUICK, max_examples=100)
def test_a_valid_document_is_still_valid_once_it_is_cut(world: World) -> None:
    """Whatever the convention takes away, the recipient's software gets a document of the shared format."""
    for request in every_request(world.conventions):
        decision = world.decide(request)
        for document in valid_examples(request.kind) if decision.permit else ():
            projection = project(document, decision, "recipients-own-pseudonym")
            assert [] == validate(request.kind, projection.document)
