"""
The instruction flows: an application for the RSA (I), and the social and professional data gathered with it (R).

I gives a bilan about the claimant: the right asked for, the household, how to reach the person. R gives, for each adult
whose data were collected, the same bilan and a referral with the constraints that the person told. Bank details, free
texts and nationality are never read.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from adapters.base import Context, Source, Translated
from adapters.cnaf_rsa.addresses import last_address
from adapters.cnaf_rsa.blocks import Block
from adapters.cnaf_rsa.flow import Household
from adapters.cnaf_rsa.people import FileNumbers, Member, file_numbers, main_member, members, subject
from adapters.cnaf_rsa.values import HOUSEHOLD, Local, Values
from schemas import Document, Kind
from schemas.identity import read_phone

_DATA = f"{HOUSEHOLD}/DonneesAdministratives"
_PERSON = f"{HOUSEHOLD}/Personne"
_SOCIAL = f"{_PERSON}/DonneesSocioProfessionnelles"
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[A-Za-z0-9.-]{1,185}\.[A-Za-z0-9-]{2,}")
_SPECIAL: Final = frozenset({"health", "disability"})
_WIDEST: Final = ("other_departement", "departement", "municipality", "none")

# Where the difficulties are: the block that repeats, and the code that it holds.
_DIFFICULTIES: Final = (
    ("SituationSociale", "DetailDifficulteSituationSociale", "DIFSOC"),
    ("SituationSociale", "DetailDifficulteDisponibilite", "DIFDISP"),
    ("DifficulteLogement", "DetailDifficulteLogement", "DIFLOG"),
)


@dataclass(frozen=True, slots=True)
class _Demand:
    """
    One application, read once, from which its documents are written.
    """

    household: Household
    numbers: FileNumbers
    people: list[Member]
    address: Document
    family_situation: str | None
    local: Local


def demand_documents(household: Household, values: Values, context: Context) -> Iterator[Translated]:
    """
    The documents of one application; whom none can be made about is told.
    """
    demand = _read(household, values)
    main = main_member(demand.people)
    if main is None:
        values.tell(
            "household_without_person",
            _PERSON,
            "Ce foyer ne contient personne : rien n'en est repris.",
            "This household holds nobody: nothing of it is used.",
            household.block.line,
        )
    returned = household.header.nature == "R"
    for member in demand.people:
        social = member.block.at("DonneesSocioProfessionnelles")
        if not (social.blocks and member.is_adult if returned else member is main):
            continue
        local = demand.local.copy()
        about = _subject(demand, member, values, local, with_contacts=member is main)
        if about is None:
            continue
        situation = _situation(demand, member, social, values, local)
        yield _bilan(demand, member, about, situation, local, context)
        if returned:
            yield _referral(demand, member, about, situation, social, local, values, context)


def _read(household: Household, values: Values) -> _Demand:
    block, local = household.block, Local()
    family = block.at("DonneesAdministratives", "SituationFamille")
    partner = block.at("IdentificationRSA", "Partenaire").texts
    local.fields |= {name: partner[name] for name in ("TYPEPARTE", "IDEPARTE") if name in partner}
    for address in block.at("DonneesAdministratives").all("Adresse"):
        if kind := address.at("DonneesComplementairesAdresse").texts.get("TYPERES"):
            local.fields["TYPERES"] = kind
    return _Demand(
        household=household,
        numbers=file_numbers(block, values, local),
        people=members(block, values, local),
        address=last_address(block, values, local),
        family_situation=values.code(family, f"{_DATA}/SituationFamille", "SITFAM", local),
        local=local,
    )


def _subject(demand: _Demand, member: Member, values: Values, local: Local, *, with_contacts: bool) -> Document | None:
    """
    One person; the telephone and address of the file are those of its claimant, and go to nobody else.
    """
    numbers = demand.numbers
    if not with_contacts:
        numbers = FileNumbers(numbers.body, numbers.identifiers, None, numbers.key)
    about = subject(member, numbers, demand.address, values, local)
    contacts = demand.household.block.at("DonneesAdministratives", "ModesContacts")
    if about is None or not with_contacts:
        return about
    written = {
        "phones": (contacts.texts.get("NUMTEL"), read_phone, "NUMTEL"),
        "emails": (contacts.texts.get("ADRELEC"), _read_email, "ADRELEC"),
    }
    for place, (text, read, element) in written.items():
        if text and (found := read(text)):
            about[place] = [found]
        elif text:
            values.tell(
                "contact_unreadable",
                f"{_DATA}/ModesContacts/{element}",
                "Ce moyen de joindre la personne ne se lit pas : il n'est pas repris.",
                "This means of reaching the person cannot be read: it is not used.",
                contacts.line,
            )
    return about


def _read_email(text: str) -> str | None:
    return text if _EMAIL.fullmatch(text) else None


def _situation(demand: _Demand, member: Member, social: Block, values: Values, local: Local) -> Document:
    activities = [(each.texts.get("DDACT", ""), each) for each in member.block.all("Activite")]
    latest = max(activities, key=lambda pair: pair[0])[1] if activities else Block(member.block.line)
    work, where = social.at("SituationProfessionnelle"), f"{_SOCIAL}/SituationProfessionnelle"
    told_home = social.at("DifficulteLogement", "CommunDifficulteLogement")
    home = demand.household.block.at("DonneesAdministratives", "Logement")
    housing = values.code(told_home, f"{_SOCIAL}/DifficulteLogement/CommunDifficulteLogement", "NATLOG", local)
    return {
        "housing": housing or values.code(home, f"{_DATA}/Logement", "TYPEOCCLOG", local),
        "employment": values.code(latest, f"{_PERSON}/Activite", "ACT", local),
        "job_seeker_registration": values.code(work, where, "INSCDEMEMPLOI", local),
    }


def _bilan(
    demand: _Demand, member: Member, about: Document, situation: Document, local: Local, context: Context
) -> Translated:
    asked = demand.household.block.at("IdentificationRSA", "DemandeRSA").texts.get("DTDEMRSA")
    as_of = demand.household.header.created
    line = {
        "right": "rsa",
        "concerns": "family",
        "state": "requested",
        "as_of": as_of,
        "source": "body_file",
        "evidence": {"kind": "flow", "date": as_of},
        "since": asked if asked and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", asked) else None,
    }
    household = {
        "adults": sum(other.is_adult for other in demand.people),
        "children": sum(other.role == "child" for other in demand.people),
        "family_situation": demand.family_situation,
        "household_role": member.role,
    }
    document = _envelope(demand, Kind.BILAN, member, about, context) | {
        "established_at": demand.household.header.created_at,
        "household": _present(household),
        "situation": _present(situation),
        "lines": [_present(line)],
        "local": local.written(),
    }
    return Translated(_present(document), Source(member.block.line, document["reference"]))


def _referral(
    demand: _Demand,
    member: Member,
    about: Document,
    situation: Document,
    social: Block,
    local: Local,
    values: Values,
    context: Context,
) -> Translated:
    kept = Local(fields=dict(local.fields))
    follow = member.block.at("SuiviAppuiOrientation").texts
    told = social.at("SituationSociale", "CommunSituationSociale").texts
    kept.fields |= {name: follow[name] for name in ("SITPERSSOCPRO",) if name in follow}
    kept.fields |= {name: told[name] for name in ("SOUTDEMARSOC",) if name in told}
    constraints = list(_constraints(social, values, kept))
    study, work = social.at("NiveauEtude"), social.at("SituationProfessionnelle")
    more = {
        "family_situation": demand.family_situation,
        "household_role": member.role,
        "children_count": sum(other.role == "child" for other in demand.people),
        "adults_count": sum(other.is_adult for other in demand.people),
        "education_level": values.code(study, f"{_SOCIAL}/NiveauEtude", "NIVETU", kept),
        "work_history": values.code(work, f"{_SOCIAL}/SituationProfessionnelle", "HISPRO", kept),
        "mobility": _mobility(social, values),
        "mobility_area": _area(social, values, kept),
    }
    organisation = {name: context.organisation.get(name) for name in ("siret", "name")}
    document = _envelope(demand, Kind.REFERRAL, member, about, context) | {
        "prescriber": {"organisation": _present(organisation)},
        "reasons": [{"scheme": "reason", "code": "rights_review"}],
        "rights": [{"right": "rsa", "state": "requested"}],
        "situation": _present(situation | more),
        "constraints": [each for each in constraints if each["code"] not in _SPECIAL],
        "special_constraints": [each for each in constraints if each["code"] in _SPECIAL],
        "orientation": _present(
            {"state": "pending", "origin": values.shared("fonorg", demand.numbers.body)},
        ),
        "local": kept.written(),
    }
    return Translated(_present(document), Source(member.block.line, document["reference"]))


def _constraints(social: Block, values: Values, local: Local) -> Iterator[Document]:
    """
    The constraints that the difficulties mean, each once; the literal of those that are not health is kept.
    """
    seen = set()
    for group, block, element in _DIFFICULTIES:
        for found in social.at(group).all(block):
            code = values.code(found, f"{_SOCIAL}/{group}/{block}", element, local)
            if code and code not in _SPECIAL:
                local.keep(element, found.texts[element])
            if code and code not in seen:
                seen.add(code)
                yield {"scheme": "constraint", "code": code}


def _mobility(social: Block, values: Values) -> str | None:
    common, where = social.at("Mobilite", "CommunMobilite"), f"{_SOCIAL}/Mobilite/CommunMobilite"
    vehicle, licence = (values.flag(common, where, name) for name in ("TOPMOYLOCO", "TOPPERMICONDUB"))
    if licence:
        return "car_with_licence" if vehicle else "licence_without_car" if vehicle is False else None
    return "dependent_on_transport" if vehicle is False else None


def _area(social: Block, values: Values, local: Local) -> str | None:
    where = f"{_SOCIAL}/Mobilite/DetailMobilite"
    found = {values.code(each, where, "NATMOB", local) for each in social.at("Mobilite").all("DetailMobilite")}
    return next((area for area in _WIDEST if area in found), None)


def _envelope(demand: _Demand, kind: Kind, member: Member, about: Document, context: Context) -> Document:
    header, numbers = demand.household.header, demand.numbers
    texts = member.block.at("Identification").texts
    who = texts.get("NIR", "")[:13] or "/".join(texts.get(name, "") for name in ("NOMNAI", "PRENOM", "DTNAI"))
    key = f"cnaf-rsa/{header.nature}/{kind}/{numbers.key}/{who}/{header.created}"
    return {
        "kind": kind.value,
        "schema_version": "1.0",
        "id": context.document_id(key),
        "created_at": context.now.isoformat(),
        "sender": context.organisation,
        "purpose": context.purpose,
        "reference": f"{header.nature}-{header.type}-{header.created}-{demand.household.rank}",
        "subject": about,
    }


def _present(parts: Document) -> Document:
    return {name: value for name, value in parts.items() if value is not None and value not in ({}, [])}
