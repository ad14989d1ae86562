"""
What a new version of a convention changes for the people it is about; what a signatory should not sign without seeing.

Compared are the effects, not the texts: two files that say the same in another order do not differ, and a field that may
leave because a category was added or an exception removed is told all the same.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from consent.conventions.convention import Convention, Flow

Way: TypeAlias = tuple[str, str, str, str]
"""A kind, a sender, a recipient and a purpose."""


@dataclass(frozen=True, slots=True)
class Change:
    """
    One widening. `where` names what it is about (kind, SIRETs, purpose, retention class), `details` what was added.
    """

    code: str
    where: tuple[str, ...]
    details: tuple[str, ...]
    message_fr: str
    message_en: str


_SENTENCES: Final = {
    "recipient_added": (
        "Une organisation reçoit désormais ce type de document.",
        "An organisation now receives this kind of document.",
    ),
    "path_added": (
        "Un envoi est ajouté : type de document, émetteur, destinataire, finalité.",
        "A transmission is added: kind of document, sender, recipient, purpose.",
    ),
    "fields_added": (
        "Des champs peuvent désormais sortir qui ne le pouvaient pas.",
        "Fields may now leave that could not.",
    ),
    "agreement_no_longer_required": (
        "L'accord de la personne n'est plus nécessaire.",
        "The person's agreement is no longer required.",
    ),
    "agreement_weakened": (
        "Un accord d'une autre nature, ou moins bien prouvé, suffit désormais.",
        "An agreement of another type, or with weaker proof, is now enough.",
    ),
    "break_glass_widened": (
        "En urgence, des données peuvent désormais sortir sans l'accord de la personne, ou pour plus longtemps.",
        "In an emergency, data may now leave without the person's agreement, or for longer.",
    ),
    "retention_lengthened": (
        "Des données sont conservées plus longtemps.",
        "Data are kept longer.",
    ),
    "nir_entitlement_added": (
        "Une organisation peut désormais recevoir le NIR.",
        "An organisation may now receive the NIR.",
    ),
    "channel_added": (
        "Un moyen d'envoyer ou de recevoir est ajouté.",
        "A channel to send or to receive is added.",
    ),
    "signature_no_longer_required": (
        "Les requêtes n'ont plus à être signées.",
        "Requests no longer have to be signed.",
    ),
    "volume_raised": (
        "Un émetteur peut transmettre davantage de documents.",
        "A sender may pass more documents.",
    ),
    "delegation_added": (
        "Une organisation agit désormais pour une autre.",
        "An organisation now acts for another one.",
    ),
    "validity_extended": (
        "La convention s'applique plus longtemps.",
        "The convention applies longer.",
    ),
}


def differences(old: Convention, new: Convention) -> tuple[Change, ...]:
    """
    Everything that `new` allows and `old` did not, in a stable order; the empty tuple when `new` only narrows or rewords.
    """
    return (*_of_paths(old, new), *_of_rules(old, new))


def _of_paths(old: Convention, new: Convention) -> Iterator[Change]:
    before, after = _paths(old), _paths(new)
    known = {(kind, recipient) for kind, _, recipient, _ in before}
    for path, flows in after.items():
        kind, _, recipient, _ = path
        if (kind, recipient) not in known:
            known.add((kind, recipient))
            yield _change("recipient_added", (kind, recipient))
        earlier = before.get(path)
        if earlier is None:
            yield _change("path_added", path)
        if added := _widest(flows) - _widest(earlier or ()):
            yield _change("fields_added", path, added)
        if urgent := _urgent(flows) - _urgent(earlier or ()):
            yield _change("break_glass_widened", path, urgent)
        elif any(new > old for new, old in zip(_longest(flows), _longest(earlier or ()), strict=True)):
            yield _change("break_glass_widened", path)
        if earlier is None:
            continue
        if all(flow.agreement_required for flow in earlier) and not all(flow.agreement_required for flow in flows):
            yield _change("agreement_no_longer_required", path)
        elif _weaker(earlier, flows):
            yield _change("agreement_weakened", path)


def _of_rules(old: Convention, new: Convention) -> Iterator[Change]:
    months = {rule["class"]: rule["months"] for rule in old.document["retention"]}
    for rule in new.document["retention"]:
        # A class that had no rule was not kept beyond the exchange.
        if rule["months"] > months.get(rule["class"], 0):
            yield _change("retention_lengthened", (rule["class"],), [str(rule["months"])])
    entitled = {siret for siret, party in old.parties.items() if party.nir_entitled}
    for siret, party in new.parties.items():
        if party.nir_entitled and siret not in entitled:
            yield _change("nir_entitlement_added", (siret,))
    for channel in sorted(new.channels - old.channels):
        yield _change("channel_added", (channel,))
    if old.signed_requests and not new.signed_requests:
        yield _change("signature_no_longer_required", ())
    yield from _of_limits(old, new)
    for siret, party in new.parties.items():
        if party.acts_for and party.acts_for != (old.parties[siret].acts_for if siret in old.parties else None):
            yield _change("delegation_added", (siret, party.acts_for))
    if new.ends > old.ends:
        yield _change("validity_extended", (new.document["validity"]["until"],))


def _of_limits(old: Convention, new: Convention) -> Iterator[Change]:
    for name in ("per_day", "per_minute"):
        before, after = getattr(old.limits, name), getattr(new.limits, name)
        if before is not None and (after is None or after > before):
            yield _change("volume_raised", (name,), [] if after is None else [str(after)])


def _paths(convention: Convention) -> dict[Way, tuple[Flow, ...]]:
    found: dict[Way, tuple[Flow, ...]] = {}
    for flow in convention.flows:
        for purpose in sorted(flow.purposes):
            path = (flow.kind.value, flow.sender, flow.recipient, purpose)
            found[path] = (*found.get(path, ()), flow)
    return dict(sorted(found.items()))


def _widest(flows: Iterable[Flow]) -> frozenset[str]:
    return frozenset().union(*[flow.mask.widest for flow in flows])


def _urgent(flows: Iterable[Flow]) -> frozenset[str]:
    """What may leave when the glass is broken."""
    return frozenset().union(*[flow.mask.urgent(flow.emergency.categories) for flow in flows if flow.emergency])


def _longest(flows: Iterable[Flow]) -> tuple[int, int]:
    """For how many hours the glass may stay broken, and how many days pass before it is reviewed."""
    said = [flow.emergency for flow in flows if flow.emergency]
    return max((each.hours for each in said), default=0), max((each.review_days for each in said), default=0)


def _weaker(before: Iterable[Flow], after: Iterable[Flow]) -> bool:
    demands = {(flow.agreement_types, flow.evidence_level) for flow in before if flow.agreement_required}
    return bool(demands) and any(
        (flow.agreement_types, flow.evidence_level) not in demands for flow in after if flow.agreement_required
    )


def _change(code: str, where: tuple[str, ...], details: Iterable[str] = ()) -> Change:
    return Change(code, where, tuple(sorted(details)), *_SENTENCES[code])
