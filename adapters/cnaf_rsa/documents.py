"""
The documents of one household: a bilan about its main person, and a referral for each adult who has duties to the RSA.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from adapters.base import Context, Source, Translated
from adapters.cnaf_rsa.addresses import last_address
from adapters.cnaf_rsa.flow import Household
from adapters.cnaf_rsa.people import (
    FileNumbers,
    Member,
    drop_shared_numbers,
    file_numbers,
    main_member,
    members,
    subject,
)
from adapters.cnaf_rsa.rights import Rights, household_rights
from adapters.cnaf_rsa.values import HOUSEHOLD, Local, Values
from schemas import Document, Kind

_DATA = f"{HOUSEHOLD}/DonneesAdministratives"
_PERSON = f"{HOUSEHOLD}/Personne"


@dataclass(frozen=True, slots=True)
class _Case:
    """
    One household, read once, from which its documents are written.
    """

    household: Household
    numbers: FileNumbers
    people: list[Member]
    address: Document
    family_situation: str | None
    rights: Rights
    local: Local

    @property
    def adults(self) -> int:
        """
        How many people the couple counts, or the lone adult.
        """
        return sum(member.is_adult for member in self.people)

    @property
    def children(self) -> int:
        """
        How many dependent children.
        """
        return sum(member.role == "child" and member.dependent for member in self.people)


def documents_of(household: Household, values: Values, context: Context) -> Iterator[Translated]:
    """
    The bilan and the referrals of one household, person by person; what cannot be made is told.
    """
    case = _read(household, values)
    main = main_member(case.people)
    if main is None:
        values.tell(
            "household_without_person",
            _PERSON,
            "Ce foyer ne contient personne : rien n'en est repris.",
            "This household holds nobody: nothing of it is used.",
            household.block.line,
        )
    for member in case.people:
        referred = member.is_adult and member.has_duties
        if member is not main and not referred:
            continue
        local = case.local.copy()
        # An MSA matricule can be the claimant's NIR: it is never put beside their spouse's name.
        numbers = case.numbers if member is main else replace(case.numbers, msa_matricule=None)
        about = subject(member, numbers, case.address, values, local)
        if about is None:
            continue
        employment = _employment(member, case, values, local)
        if member is main:
            yield _bilan(case, member, about, employment, local, values, context)
        if referred:
            yield _referral(case, member, about, employment, local, values, context)


def _read(household: Household, values: Values) -> _Case:
    block, local = household.block, Local()
    people = members(block, values, local)
    drop_shared_numbers(people, values)
    family = block.at("DonneesAdministratives", "SituationFamille")
    partner = block.at("IdentificationRSA", "Partenaire").texts
    local.fields |= {name: partner[name] for name in ("TYPEPARTE", "IDEPARTE") if name in partner}
    return _Case(
        household=household,
        numbers=file_numbers(block, values, local),
        people=people,
        address=last_address(block, values, local),
        family_situation=values.code(family, f"{_DATA}/SituationFamille", "SITFAM", local),
        rights=household_rights(block, household.header.reference, values, local),
        local=local,
    )


def _bilan(
    case: _Case, member: Member, about: Document, employment: str | None, local: Local, values: Values, context: Context
) -> Translated:
    partner = next((other for other in case.people if other.is_adult and other is not member), None)
    household = {
        "adults": case.adults,
        "children": case.children,
        "family_situation": case.family_situation,
        "household_role": member.role,
    }
    situation = {
        "housing": "no_home" if case.rights.homeless else None,
        "employment": employment,
        "partner_employment": _employment(partner, case, values, Local()) if partner else None,
        "rights_and_duties": member.has_duties if case.rights.duties is None else case.rights.duties,
        "benefit_state": case.rights.benefit_state,
    }
    document = _envelope(case, Kind.BILAN, case.numbers.key, about, context)
    document |= {
        "established_at": case.household.header.created_at,
        "household": _present(household),
        "situation": _present(situation),
        "lines": case.rights.lines,
        "local": local.written(),
    }
    return Translated(_present(document), Source(case.household.block.line, document["reference"]))


def _referral(
    case: _Case, member: Member, about: Document, employment: str | None, local: Local, values: Values, context: Context
) -> Translated:
    situation = {
        "family_situation": case.family_situation,
        "household_role": member.role,
        "children_count": case.children,
        "adults_count": case.adults,
        "housing": "no_home" if case.rights.homeless else None,
        "employment": employment,
        "rights_and_duties": True,
        "benefit_state": case.rights.benefit_state,
    }
    organisation = {name: context.organisation.get(name) for name in ("siret", "name")}
    orientation = {"state": "pending", "origin": values.shared("fonorg", case.numbers.body)}
    document = _envelope(case, Kind.REFERRAL, f"{case.numbers.key}/{_person_key(member)}", about, context)
    document |= {
        "prescriber": {"organisation": _present(organisation)},
        "reasons": [
            {"scheme": "reason", "code": reason} for reason in dict.fromkeys([*case.rights.reasons, "rights_review"])
        ],
        "rights": case.rights.in_short(),
        "situation": _present(situation),
        "orientation": _present(orientation),
        "local": _referral_local(member, local, values),
    }
    return Translated(_present(document), Source(member.block.line, document["reference"]))


def _envelope(case: _Case, kind: Kind, key: str, about: Document, context: Context) -> Document:
    header = case.household.header
    return {
        "kind": kind.value,
        "schema_version": "1.0",
        "id": context.document_id(f"cnaf-rsa/{kind}/{key}/{header.created}"),
        "created_at": context.now.isoformat(),
        "sender": context.organisation,
        "purpose": context.purpose,
        "reference": f"{header.type}-{header.created}-{case.household.rank}",
        "subject": about,
    }


def _referral_local(member: Member, local: Local, values: Values) -> Document:
    """
    The partner's words that a referral may carry: why the right is stopped, not its state (`rights` says it).
    """
    kept = Local(codes=[code for code in local.codes if ":MOTISUS" in code["scheme"]], fields=local.fields)
    duties = member.block.at("MontantCalculDroitRSAPersonne")
    if values.flag(duties, f"{_PERSON}/MontantCalculDroitRSAPersonne", "TOPPERSENTDRODEVORSA"):
        kept.keep("TOPPERSENTDRODEVORSA", "1")
    return kept.written()


def _employment(member: Member, case: _Case, values: Values, local: Local) -> str | None:
    """
    The activity that has not ended at the date the flow speaks of, the latest to have begun when there are several.
    """
    where = f"{_PERSON}/Activite"
    present = []
    for activity in member.block.all("Activite"):
        ended = values.date(activity, where, "DFACT")
        if ended is None or ended >= case.household.header.reference:
            present.append((values.date(activity, where, "DDACT") or "", activity))
    if not present:
        return None
    return values.code(max(present, key=lambda pair: pair[0])[1], where, "ACT", local)


def _person_key(member: Member) -> str:
    texts = member.block.at("Identification").texts
    return texts.get("NIR", "")[:13] or "/".join(texts.get(name, "") for name in ("NOMNAI", "PRENOM", "DTNAI"))


def _present(parts: Document) -> Document:
    return {name: value for name, value in parts.items() if value is not None and value not in ({}, [])}
