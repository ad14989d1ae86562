"""
The gate: may this document go to this recipient, now, and which of its fields?

Pure: it reads nothing but its arguments, so that the same question with the conventions and agreements of a given day
always has the same answer. Everything that is not expressly permitted is refused, with the reason.
"""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from functools import cache
from operator import itemgetter
from typing import Final, TypeAlias

from consent import reasons
from consent.agreement import Agreement, Objection
from consent.break_glass import Opening, replaces
from consent.conventions.collection import Candidate, ConventionRef, Conventions
from consent.coverage import Coverage, Covered
from consent.decision import Cleared, Decision, NotPermitted, Request, sealed
from consent.reasons import Reason
from consent.steps import Step, steps
from schemas import Kind, code_list

__all__ = [
    "Cleared",
    "ConventionRef",
    "Decision",
    "NotPermitted",
    "Notice",
    "Reason",
    "Request",
    "Step",
    "decide",
    "decide_notice",
]

_Refusal: TypeAlias = tuple[int, Reason, Candidate]
"""Why one flow does not permit, and at which step: what a decision is made of only for the nearest."""

_STEP: Final = itemgetter(0)


def decide(
    request: Request,
    conventions: Conventions,
    agreements: Sequence[Agreement] = (),
    objections: Sequence[Objection] = (),
    openings: Sequence[Opening] = (),
) -> Decision:
    """
    Answer a request, with the subject's agreements and objections, and the emergency accesses opened about them.

    (1) the purpose is one of the closed list; controlling or sanctioning is none of them    CRPA L114-8 II
    then, for each flow of a convention that goes that way, until one permits:
    (2) the convention is in force, signed by all, and provides for purpose and channel      RGPD art. 5(2)
    (3) the flow states its legal basis                                                      RGPD art. 6(1)
    (4) the person did not object: nothing outweighs an objection                            RGPD art. 21
    (5) where the flow requires it, the person agreed, and has not gone back on it           RGPD art. 7
        or could not be asked, and the glass was broken as the convention says               RGPD art. 6(1)(d)
    (6) the fields are cut to flow ∩ agreement ∩ NIR entitlement ∩ special-category rule     RGPD art. 5(1)(c), 9
    (7) something is left to say                                                             RGPD art. 5(1)(c)

    Flows are never added up, since each was signed with its own ground and its own limits: the first that permits
    decides alone, in the order of the conventions' ids, newest version first, then in the order of the file. The order is
    in the signed files, so anybody can foresee and replay the choice. The steps run in this order so that a sender without
    convention learns nothing about the person, not even that an objection exists.
    """
    # (1)
    if request.purpose not in _purposes():
        return _refuse(request, 1, reasons.PURPOSE_NOT_ALLOWED)
    candidates = conventions.candidates(request.kind, request.sender, request.recipient)
    if not candidates:
        return _refuse(request, 2, reasons.NO_CONVENTION)
    coverage = Coverage((request.recipient, request.purpose, request.kind), request.at, agreements)
    objected = any(objection.stops(request.recipient, request.purpose, request.at) for objection in objections)
    refusals = []
    for candidate in candidates:
        answer = _weigh(request, candidate, coverage, objected=objected)
        if isinstance(answer, Decision):
            return answer
        refusals.append(answer)
    return _in_emergency(request, refusals, openings) or _nearest(request, refusals)


def _weigh(request: Request, candidate: Candidate, coverage: Coverage, *, objected: bool) -> Decision | _Refusal:
    """
    Steps (2) to (7) for one flow.
    """
    flow, mask = candidate.flow, candidate.flow.mask
    # (2)
    if (obstacle := candidate.obstacle(request.purpose, request.at, request.channel)) is not None:
        return 2, obstacle, candidate
    # (3)
    if flow.basis is None:
        return 3, reasons.LEGAL_BASIS_MISSING, candidate
    # (4)
    if objected:
        return 4, reasons.OBJECTION, candidate
    # (5)
    found: Covered | Reason | None = None
    if flow.agreement_required or mask.special:
        found = coverage.of(flow.agreement_types, flow.evidence_level)
    covered = found if isinstance(found, Covered) else None
    if flow.agreement_required and isinstance(found, Reason):
        return 5, found, candidate
    # (6)
    categories = covered.categories if covered else frozenset()
    permitted = mask.agreed(categories) if flow.agreement_required else mask.unasked(categories)
    used = covered if flow.agreement_required or len(permitted) > len(mask.free) else None
    # (7)
    if not mask.says_something(permitted):
        return 7, reasons.NOTHING_PERMITTED, candidate
    return _permit(request, permitted, candidate, used)


def _in_emergency(request: Request, refusals: Sequence[_Refusal], openings: Sequence[Opening]) -> Decision | None:
    """
    The permit of the first flow that lacks but an agreement, where an opening stands in for it; only when nothing permits.
    """
    for step, missing, candidate in refusals if openings else ():
        flow = candidate.flow
        if step != 5 or flow.emergency is None or not replaces(missing):
            continue
        standing = (each for each in openings if each.opens(candidate.convention.hash, flow.id, request.at))
        permitted = flow.mask.urgent(flow.emergency.categories)
        if (opening := next(standing, None)) is not None and flow.mask.says_something(permitted):
            return _permit(request, permitted, candidate, None, opening)
    return None


class Notice(StrEnum):
    """
    What a past recipient must be told: the person's will, or that what it was given in an emergency was not to be.
    """

    WITHDRAWAL = "withdrawal"
    ERASURE = "erasure"
    OBJECTION = "objection"
    BREAK_GLASS = "break_glass"


_NOTICE_ARTICLES: Final = {
    Notice.WITHDRAWAL: "RGPD art. 7(3) et 19",
    Notice.ERASURE: "RGPD art. 17 et 19",
    Notice.OBJECTION: "RGPD art. 21 et 19",
    Notice.BREAK_GLASS: "RGPD art. 17(1)(d) et 19",
}

NOTICE_FIELDS: Final = frozenset(
    {
        *("/kind", "/schema_version", "/id", "/created_at", "/sender/siret", "/recipients/*/siret", "/purpose"),
        *("/subject/pseudonym", "/agreement_type", "/state", "/collected_by/siret", "/collected_at", "/channel"),
        *("/evidence/level", "/text/version", "/text/sha256", "/text/language", "/withdrawal/at"),
        *("/scopes/*/id", "/scopes/*/purposes/*", "/scopes/*/kinds/*", "/scopes/*/categories/*"),
        *("/scopes/*/recipients/*", "/scopes/*/withdrawn_at", "/valid_from", "/valid_until", "/duration"),
    }
)
"""The fields of a `consent` document that a notice is made of: the least that its schema allows, all of the envelope."""


def decide_notice(recipient: str, notice: Notice = Notice.WITHDRAWAL) -> Decision:
    """
    Permit to tell a past recipient that the person took their agreement back, objects, or must be forgotten, or that an
    emergency access was not justified.

    Owed to whoever received something (RGPD art. 19), so that no convention, agreement or objection stands in its way; in
    return it carries NOTICE_FIELDS and nothing else, whatever the document holds.
    """
    step = Step(1, "notice", _NOTICE_ARTICLES[notice], "passed")
    return sealed(
        Decision(
            kind=Kind.CONSENT,
            recipient=recipient,
            permit=True,
            fields=NOTICE_FIELDS,
            reasons=(),
            convention=None,
            agreement=None,
            basis=_NOTICE_ARTICLES[notice],
            steps=(step,),
        )
    )


def _permit(
    request: Request,
    permitted: frozenset[str],
    candidate: Candidate,
    covered: Covered | None,
    opening: Opening | None = None,
) -> Decision:
    flow = candidate.flow
    basis = flow.basis.citation if flow.basis else None
    if opening is not None and flow.emergency is not None:
        basis = f"{basis} ; accès d'urgence : {flow.emergency.ground}"
    asked = "passed" if flow.agreement_required else "not_required"
    return sealed(
        Decision(
            kind=request.kind,
            recipient=request.recipient,
            permit=True,
            fields=permitted,
            reasons=(),
            convention=candidate.reference,
            agreement=covered.agreement.id if covered else None,
            basis=basis,
            steps=steps(0, agreement="break_glass" if opening else asked),
            break_glass=opening.id if opening else None,
        )
    )


def _refuse(request: Request, step: int, reason: Reason, candidate: Candidate | None = None) -> Decision:
    flow = candidate.flow if candidate else None
    return Decision(
        kind=request.kind,
        recipient=request.recipient,
        permit=False,
        fields=frozenset(),
        reasons=(reason,),
        convention=candidate.reference if candidate else None,
        agreement=None,
        basis=flow.basis.citation if flow and flow.basis else None,
        steps=steps(step, agreement="passed" if flow is not None and flow.agreement_required else "not_required"),
    )


def _nearest(request: Request, refusals: Sequence[_Refusal]) -> Decision:
    """
    The refusal that went through the most steps, the first of them when several did, with the reasons of all.
    """
    step, reason, candidate = max(refusals, key=_STEP)
    nearest = _refuse(request, step, reason, candidate)
    return replace(nearest, reasons=tuple(dict.fromkeys([reason, *(each for _, each, _ in refusals)])))


@cache
def _purposes() -> frozenset[str]:
    return frozenset(code_list("purpose"))
