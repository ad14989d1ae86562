"""
The people of a household: who is who, and one person as the shared format describes a subject.
"""

import re
from collections import Counter
from dataclasses import dataclass

from adapters.cnaf_rsa.blocks import Block
from adapters.cnaf_rsa.values import HOUSEHOLD, Local, Values, clean
from schemas import Document
from schemas.identity import read_birth_date, read_nir

_PERSON = f"{HOUSEHOLD}/Personne"
_IDENTIFICATION = f"{_PERSON}/Identification"
_ORGANISME = f"{HOUSEHOLD}/IdentificationRSA/Organisme"
_PRECISIONS = {"J": "month", "O": "year", "N": "day"}
_IDENTIFIER = re.compile(r"[0-9A-Za-z._/ -]{1,60}")
_CAF_NUMBER = re.compile(r"([0-9]{7})(?:0{8})?")
_MSA_NUMBER = re.compile(r"[0-9AB]{7,15}")


@dataclass(frozen=True, slots=True)
class FileNumbers:
    """
    What identifies the household's file: at the body, and as an application.

    `key` is the body and its matricule as one text for the identifiers of documents; it may hold a NIR and goes nowhere else.
    """

    body: str
    identifiers: tuple[Document, ...]
    msa_matricule: str | None
    key: str


@dataclass(frozen=True, slots=True)
class Member:
    """
    One person of the household, with their role in the RSA (a code of `household_role`).
    """

    block: Block
    role: str | None
    dependent: bool
    holds_file: bool
    has_duties: bool

    @property
    def is_adult(self) -> bool:
        """
        Whether the person is one of the couple, or the lone adult, whose RSA it is.
        """
        return self.role in {"claimant", "spouse"}


def file_numbers(household: Block, values: Values, local: Local) -> FileNumbers:
    """
    Read the numbers of a household's file.

    A CAF matricule is 7 digits padded with zeros on its right to 15: the first 7 count, and its own last zeros stay.
    An MSA matricule can be the NIR of a person: it goes where the NIR goes.
    """
    organisme = household.at("IdentificationRSA", "Organisme")
    texts = organisme.texts
    body, matricule = texts.get("FONORG", ""), texts.get("MATRICULE", "")
    values.code(organisme, _ORGANISME, "FONORG", local)
    identifiers: list[Document] = []
    msa = None
    if body == "CAF" and (number := _CAF_NUMBER.fullmatch(matricule)):
        matricule = number[1]
        identifiers.append({"scheme": "caf_matricule", "value": matricule})
    elif body == "MSA" and _MSA_NUMBER.fullmatch(matricule):
        msa = matricule
    elif matricule:
        values.tell(
            "matricule_unreadable",
            f"{_ORGANISME}/MATRICULE",
            "Ce matricule n'a pas la forme de ceux de l'organisme (CAF : 7 chiffres complétés à 15 par des zéros "
            "à droite) : il n'est pas repris.",
            "This matricule does not have the form of the body's (CAF: 7 digits padded to 15 with zeros on the right): "
            "it is not used.",
            organisme.line,
        )
    application = household.at("IdentificationRSA", "DemandeRSA").texts.get("NUMDEMRSA", "")
    if _IDENTIFIER.fullmatch(application):
        identifiers.append({"scheme": "rsa_application", "value": application})
    key = "/".join((body, texts.get("NUMORG", ""), matricule, application))
    return FileNumbers(body, tuple(identifiers), msa, key)


def members(household: Block, values: Values, local: Local) -> list[Member]:
    """
    The people of a household in the order of the file, with their role in the RSA, or in the family file without one.
    """
    found = []
    for person in household.all("Personne"):
        benefits = person.all("Prestations")
        benefit = next((each for each in benefits if each.texts.get("NATPREST") == "RSA"), None)
        benefit = benefit or (benefits[0] if benefits else Block(person.line))
        path = f"{_PERSON}/Prestations"
        duties = person.at("MontantCalculDroitRSAPersonne")
        found.append(
            Member(
                block=person,
                role=values.code(benefit, path, "ROLEPERS", local),
                dependent=values.flag(benefit, path, "TOPCHAPERS") is not False,
                holds_file=values.flag(person.at("DossierCAF"), f"{_PERSON}/DossierCAF", "TOPRESPDOS") is True,
                has_duties=values.flag(duties, f"{_PERSON}/MontantCalculDroitRSAPersonne", "TOPPERSDRODEVORSA") is True,
            )
        )
    return found


def main_member(people: list[Member]) -> Member | None:
    """
    Whom the household's bilan is about: the claimant, else the file holder, else an adult, else the first person.
    """
    return next(
        iter(
            sorted(
                people,
                key=lambda member: (member.role != "claimant", not member.holds_file, not member.is_adult),
            )
        ),
        None,
    )


def subject(member: Member, numbers: FileNumbers, address: Document, values: Values, local: Local) -> Document | None:
    """
    One person as a `subject`; None, and told, when neither a NIR nor a civil status is there.
    """
    identification = member.block.at("Identification")
    person = _civil_status(identification, values, local)
    person |= _nir(identification, values)
    if "nir" not in person and not {"birth_name", "given_names", "birth_date"} <= person.keys():
        values.tell(
            "identity_incomplete",
            _IDENTIFICATION,
            "Cette personne n'a ni NIR, ni nom de naissance, prénom et date de naissance lisibles : "
            "aucun document n'est établi à son sujet.",
            "This person has neither a NIR nor a readable birth name, given name and birth date: "
            "no document is made about them.",
            member.block.line,
        )
        return None
    job_seeker = member.block.at("DossierPoleEmploi").texts.get("IDASSEDIC", "")
    identifiers = list(numbers.identifiers)
    if _IDENTIFIER.fullmatch(job_seeker):
        identifiers.append({"scheme": "france_travail_legacy", "value": job_seeker})
    if identifiers:
        person["identifiers"] = identifiers
    if numbers.msa_matricule:
        person["msa_matricule"] = numbers.msa_matricule
    if address:
        person["address"] = address
    return person


def drop_shared_numbers(people: list[Member], values: Values) -> None:
    """
    Leave out a job seeker's number that several people of the household carry: it says who none of them is.
    """
    holders = [member.block.at("DossierPoleEmploi") for member in people]
    counts = Counter(holder.texts.get("IDASSEDIC") for holder in holders)
    for holder in holders:
        if counts[holder.texts.get("IDASSEDIC")] > 1 and "IDASSEDIC" in holder.texts:
            del holder.texts["IDASSEDIC"]
            values.tell(
                "identifier_shared",
                f"{_PERSON}/DossierPoleEmploi/IDASSEDIC",
                "Plusieurs personnes du foyer portent le même identifiant : il n'est repris pour aucune.",
                "Several people of the household carry the same identifier: it is used for none of them.",
                holder.line,
            )


def _civil_status(identification: Block, values: Values, local: Local) -> Document:
    texts = identification.texts
    birth_name, used_name = clean(texts.get("NOMNAI", "")), clean(texts.get("NOM", ""))
    given = [clean(texts[name]) for name in ("PRENOM", "PRENOM2", "PRENOM3") if name in texts]
    place = clean(texts.get("NOMCOMNAI", ""))
    status = {
        "title": values.code(identification, _IDENTIFICATION, "QUAL", local),
        "birth_name": birth_name,
        "used_name": used_name if used_name != birth_name else None,
        "given_names": given,
        "birth_date": _birth_date(identification, values),
        "sex": values.code(identification, _IDENTIFICATION, "SEXE", local) or "unknown",
        "birth_place": {"name": place} if place else None,
    }
    return {name: value for name, value in status.items() if value}


def _birth_date(identification: Block, values: Values) -> str | None:
    written = identification.texts.get("DTNAI")
    if written is None:
        return None
    precision = identification.texts.get("TYPEDTNAI", "N")
    if precision not in _PRECISIONS:
        values.tell(
            "code_unknown",
            f"{_IDENTIFICATION}/TYPEDTNAI",
            "Ce code n'est pas dans la liste connue (N, J, O) : la date est reprise telle quelle.",
            "This code is not in the known list (N, J, O): the date is used as it is.",
            identification.line,
        )
    known = _PRECISIONS.get(precision, "day")
    read = read_birth_date(written, "month" if known == "month" else "year" if known == "year" else "day")
    if read is None:
        values.tell(
            "date_unreadable",
            f"{_IDENTIFICATION}/DTNAI",
            "Cette date de naissance n'est pas une date du calendrier : elle n'est pas reprise.",
            "This birth date is not a date of the calendar: it is not used.",
            identification.line,
        )
    return read.text if read else None


def _nir(identification: Block, values: Values) -> Document:
    """
    The NIR on 15 characters with the result of its check; a wrong key is told, and the number kept.
    """
    written = identification.texts.get("NIR")
    if written is None:
        return {}
    read = read_nir(written)
    if read is None:
        values.tell(
            "nir_unreadable",
            f"{_IDENTIFICATION}/NIR",
            "Ce NIR n'a pas la forme de 13 ou 15 caractères attendue : il n'est pas repris.",
            "This NIR does not have the expected form of 13 or 15 characters: it is not used.",
            identification.line,
        )
        return {}
    if read.key_ok is False:
        values.tell(
            "nir_key_wrong",
            f"{_IDENTIFICATION}/NIR",
            "La clé de ce NIR n'est pas la bonne : il est repris et signalé. Vérifiez-le auprès de la personne.",
            "The key of this NIR is not the right one: it is used and flagged. Check it with the person.",
            identification.line,
        )
    if read.kind != "nir":
        return {"nia": read.nir, "nir_flag": "key_wrong" if read.key_ok is False else "temporary"}
    if read.specimen:
        return {"nir": read.nir, "nir_flag": "specimen"}
    flag = {True: "key_ok", False: "key_wrong", None: "key_added"}[read.key_ok]
    return {"nir": read.nir, "nir_flag": flag}
