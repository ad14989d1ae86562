"""
What the file says of the household's rights: the state of its RSA, why it is stopped, what remains to be asked for.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from adapters.cnaf_rsa.blocks import Block
from adapters.cnaf_rsa.values import HOUSEHOLD, Local, Values
from schemas import Document

_SITUATION = f"{HOUSEHOLD}/PrestationRSA/SituationDossierRSA"
_RIGHT = f"{HOUSEHOLD}/PrestationRSA/DetailDroitRSA"

# The blocks that say why a right is stopped: block, its reason, its date.
_STOPS = (
    ("Refus", "MOTIREFURSA", "DTREFURSA"),
    ("SuspensionDroit", "MOTISUSDRORSA", "DDSUSDRORSA"),
    ("SuspensionVersement", "MOTISUSVERSRSA", "DDSUSVERSRSA"),
    ("FinDroit", "MOTICLORSA", "DTCLORSA"),
    ("FinDroitMoisAnterieur", "MOTICLORSA", "DTCLORSA"),
)


@dataclass(slots=True)
class Rights:
    """
    The rights of a household: the state of its RSA file, the lines of its bilan, the reasons for a referral.

    `duties` is whether the household is subject to rights and duties, None when the file does not say.
    """

    benefit_state: str | None
    homeless: bool
    duties: bool | None
    lines: list[Document] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def in_short(self) -> list[Document]:
        """
        The lines as a referral carries them: the right and its state.
        """
        return [{"right": line["right"], "state": line["state"]} for line in self.lines]


@dataclass(frozen=True, slots=True)
class _Stop:
    """
    One reason why a right is refused, suspended or closed.
    """

    block: str
    element: str
    code: str
    date: str | None


def household_rights(household: Block, as_of: str, values: Values, local: Local) -> Rights:
    """
    Read the state of the RSA at the date the flow speaks of, with what follows from the reasons it gives.

    The literal codes are kept in `local`, except those that reveal a check, a sanction, health or a residence permit.
    """
    situation = household.at("PrestationRSA", "SituationDossierRSA")
    common = household.at("PrestationRSA", "DetailDroitRSA", "TroncCommunDroitRSA")
    where = f"{_RIGHT}/TroncCommunDroitRSA"
    state = situation.at("EtatDossierRSA")
    local.status = state.texts.get("ETATDOSRSA")
    if values.code(common, where, "ORIDEMRSA", local) is None and "ORIDEMRSA" in common.texts:
        local.keep("ORIDEMRSA", common.texts["ORIDEMRSA"])
    stops = list(_stops(situation, values, local))
    rights = Rights(
        benefit_state=values.code(state, f"{_SITUATION}/EtatDossierRSA", "ETATDOSRSA", local),
        homeless=values.flag(common, where, "TOPSANSDOMFIXE") is True,
        duties=values.flag(common, where, "TOPFOYDRODEVORSA"),
    )
    rights.lines.append(_rsa_line(household, stops, as_of, values, local))
    for stop in stops:
        rights.reasons += _shared_reason(stop, values)
        wanted = values.shared("rights_to_request", f"{stop.element}:{stop.code}")
        if wanted:
            rights.lines.append(_line(wanted, "to_request", as_of) | {"actions": [_by_person("submit_application")]})
    return rights


def _stops(situation: Block, values: Values, local: Local) -> Iterator[_Stop]:
    for block, element, dated in _STOPS:
        for found in situation.all(block):
            where = f"{_SITUATION}/{block}"
            values.code(found, where, element, local)
            date = values.date(found, where, dated)
            code = found.texts.get(element)
            if code and not values.is_withheld(element, code):
                local.keep(element, code)
            if date and block.startswith("Suspension"):
                local.fields[dated] = date
            yield _Stop(block, element, code or "", date)


def _rsa_line(household: Block, stops: list[_Stop], as_of: str, values: Values, local: Local) -> Document:
    state = household.at("PrestationRSA", "SituationDossierRSA", "EtatDossierRSA").texts.get("ETATDOSRSA", "")
    line = _line(_rsa_kind(household, values, local), values.shared("etatdosrsa_line", state) or "not_checked", as_of)
    application = household.at("IdentificationRSA", "DemandeRSA")
    asked = values.date(application, f"{HOUSEHOLD}/IdentificationRSA/DemandeRSA", "DTDEMRSA")
    if asked and line["state"] == "requested":
        line["since"] = asked
    elif asked:
        local.fields["DTDEMRSA"] = asked
    actions = []
    for stop in stops:
        if stop.block == "Refus":
            if stop.date:
                line["since"] = stop.date
            if stop.code and not values.is_withheld(stop.element, stop.code):
                line["refusal_reason"] = stop.code
        elif stop.block.startswith("FinDroit") and stop.date:
            line.setdefault("until", stop.date)
        action = values.shared("actions", f"{stop.element}:{stop.code}")
        if action:
            actions.append(_by_person(action))
    if actions:
        line["actions"] = actions
    return line


def _rsa_kind(household: Block, values: Values, local: Local) -> str:
    """
    Which RSA it is, from the natures of benefit computed: increased, for young people, or the ordinary one.
    """
    kinds = []
    for detail in household.at("PrestationRSA", "DetailDroitRSA").all("DetailCalculDroitRSA"):
        kinds.append(values.code(detail, f"{_RIGHT}/DetailCalculDroitRSA", "NATPF", local))
        if nature := detail.texts.get("NATPF"):
            local.keep("NATPF", nature)
    return next((kind for kind in kinds if kind), "rsa")


def _shared_reason(stop: _Stop, values: Values) -> list[str]:
    """
    The common reason for a referral; a suspension whose code is unknown is still a suspension.
    """
    reason = values.shared(stop.element.lower(), stop.code)
    if reason is None and stop.block == "SuspensionVersement":
        reason = "payment_suspended"
    elif reason is None and stop.block == "SuspensionDroit":
        reason = "rights_break"
    return [reason] if reason else []


def _line(right: str, state: str, as_of: str) -> Document:
    return {
        "right": right,
        "concerns": "family",
        "state": state,
        "as_of": as_of,
        "source": "body_file",
        "evidence": {"kind": "flow", "date": as_of},
    }


def _by_person(action: str) -> Document:
    return {"action": action, "by": "person"}
