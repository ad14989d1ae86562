"""
Invents RSA flows: format-true, valid for `vrsb0801`, about nobody.

Everything follows from the number of households and the seed, so that a demonstration, a test and a benchmark can speak
of the same people without passing them along. Territory, communes, bodies and names are made up; the NIRs say "born
abroad" in countries that do not exist.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal
from xml.sax.saxutils import escape

from schemas.identity import nir_key

FLOW_DATE = "2026-11-05"
REFERENCE_DATE = "2026-10-31"

_FAMILY_NAMES = (
    "MORÉZIN", "DESCOMBELLES", "D'ARTEMARE", "LE GOUËZEC", "VAUDREVAL", "BENZARRA", "OKAMBÉ", "TRAORINE", "FAUCHELIN",
    "PÉRIGNAC-ROUVEL", "N'DIAMBO", "CŒURDELAINE", "KERGAËLIC", "HAMZAOUIN", "ESTÉVANES", "ROUMIGUIER", "GARÇONNAT",
    "L'HÉRITEAU", "MBOUKANI", "SAINT-ALVÈRE", "ZAKARINE", "DUPRÉLAT", "FONTANGÈRE", "OLIVARDE", "BRÛLEBOIS",
)  # fmt: skip
_WOMEN = (
    "ANAËLLE", "BÉRÉNICE", "CHLOÉ", "DJAMILA", "ÉLÉONORE", "FRANÇOISE", "GAËLLE", "HÉLOÏSE", "INÈS", "LŒTITIA",
    "MARIE-THÉRÈSE", "NAÏMA", "OCÉANE", "SALIMATA", "ZOÉ",
)  # fmt: skip
_MEN = (
    "ANDRÉ", "BENOÎT", "CÉDRIC", "DÉSIRÉ", "ÉTIENNE", "FRANÇOIS", "GAËTAN", "HERVÉ", "IBRAHIMA", "JÉRÔME",
    "LOÏC", "MOUSSA", "NOËL", "RAPHAËL", "STÉPHANE",
)  # fmt: skip
_BIRTH_TOWNS = ("VALOMBRE-VILLE", "SAINT-AUBIN-DES-COMBES", "L'HÔPITAL-SUR-ARDELLE", "PORT-ÉMERAUDE", "BELLECÔTE")
_COMMUNES = (("39990", "VALOMBRE-VILLE"), ("39991", "SAINT-AUBIN-DES-COMBES"), ("39992", "L'HÔPITAL-SUR-ARDELLE"))
_STREETS = (("RUE", "DE LA FONTAINE"), ("ALLÉE", "DES TILLEULS"), ("AVENUE", "DU 8 MAI"), ("IMPASSE", "D'EN HAUT"))
_SINGLE = ("CEL", "DIV", "SEF", "VEU", "ISO")
_COUPLES = ("MAR", "PAC", "VIM")
_ACTIVITIES = ("CHO", "SAC", "SAL", "CNI", "ETI", "SFP", "ANP", "INT")

# (weight, state of the RSA, reason of suspended payment, refusal or closing)
_SITUATIONS: tuple[tuple[int, str, str], ...] = (
    (60, "2", ""), (14, "4", "06"), (6, "4", "35"), (2, "4", "01"), (1, "4", "CG"), (5, "3", "DB"), (4, "0", ""),
    (2, "1", "F09"), (1, "1", "PCG"), (4, "5", "ECH"), (1, "6", "RFD"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FictitiousPerson:
    """
    Somebody who does not exist, as the shared format would describe them.

    `household` is the rank of the household in the flow (from 0), `role` the CNAF role (DEM, CJT, ENF), `nir` has 15
    characters or is empty, `birth_date` has 00 for what is not known.
    """

    household: int
    role: Literal["DEM", "CJT", "ENF"]
    title: str
    birth_name: str
    used_name: str
    given_names: tuple[str, ...]
    birth_date: str
    sex: Literal["female", "male"]
    nir: str
    rights_and_duties: bool


@dataclass(frozen=True, slots=True)
class _Household:
    rank: int
    matricule: str
    state: str
    reason: str
    family: str
    homeless: bool
    commune: tuple[str, str]
    street: str
    people: tuple[FictitiousPerson, ...]


def fictitious_people(households: int, seed: int) -> list[FictitiousPerson]:
    """
    The people of `fictitious_flow(households, seed)`, children included, in the order of the flow.
    """
    return [person for rank in range(households) for person in _household(rank, seed).people]


def fictitious_flow(households: int, seed: int, declared_total: int | None = None) -> bytes:
    """
    A monthly B flow of a CAF, in windows-1252, about that many households.

    `declared_total` is the number written in the trailer, the true one when None.
    """
    return b"".join(fictitious_pieces(households, seed, declared_total))


def fictitious_pieces(households: int, seed: int, declared_total: int | None = None) -> Iterator[bytes]:
    """
    The same flow piece by piece, for files that should not be held in memory.
    """
    yield _HEADER.encode("cp1252")
    for rank in range(households):
        yield _household_xml(_household(rank, seed)).encode("cp1252")
    total = households if declared_total is None else declared_total
    yield _TRAILER.format(total=total).encode("cp1252")


_HEADER = f"""<?xml version="1.0" encoding="windows-1252"?>
<Racine xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="vrsb0801.xsd">
<IdentificationFlux>
<APPLIEME>CRI</APPLIEME><NUMVERSIONAPPLIEME>6300</NUMVERSIONAPPLIEME>
<TYPEFLUX>M</TYPEFLUX><NATFLUX>D</NATFLUX>
<DTCREAFLUX>{FLOW_DATE}</DTCREAFLUX><HEUCREAFLUX>01:18:36.0000</HEUCREAFLUX><DTREF>{REFERENCE_DATE}</DTREF>
</IdentificationFlux>
"""
_TRAILER = """<TransmissionFlux>
<NBTOTDOSRSATRANSM>{total:08d}</NBTOTDOSRSATRANSM>
<NBTOTDOSRSATRANSMANO>00000000</NBTOTDOSRSATRANSMANO>
</TransmissionFlux>
</Racine>
"""


def _household(rank: int, seed: int) -> _Household:
    chance = Random(f"{seed}/{rank}")  # noqa: S311 - invents, protects nothing
    couple = chance.random() < 0.25
    children = chance.choices((0, 1, 2, 3), (50, 25, 17, 8))[0]
    situation = chance.choices(_SITUATIONS, [weight for weight, _, _ in _SITUATIONS])[0]
    family_name = chance.choice(_FAMILY_NAMES)
    duties = situation[1] in "234" and chance.random() < 0.8
    women = chance.random() < 0.55
    # One household in eighty has two spouses and no claimant, as real flows do.
    first_role: Literal["DEM", "CJT"] = "CJT" if couple and rank % 80 == 79 else "DEM"
    people = [_adult(rank, 0, first_role, family_name, women, duties, chance)]
    if couple:
        people.append(_adult(rank, 1, "CJT", chance.choice(_FAMILY_NAMES), not women, duties, chance))
    people.extend(_child(rank, 2 + index, family_name, chance) for index in range(children))
    return _Household(
        rank=rank,
        matricule=f"{(seed * 104_729 + rank * 7_919 + 20) % 10_000_000:07d}",
        state=situation[1],
        reason=situation[2],
        family=chance.choice(_COUPLES if couple else _SINGLE),
        homeless=chance.random() < 0.05,
        commune=chance.choice(_COMMUNES),
        street=_street(chance),
        people=tuple(people),
    )


def _street(chance: Random) -> str:
    kind, name = chance.choice(_STREETS)
    return f"<NUMVOIE>{chance.randint(1, 99)}</NUMVOIE><LIBTYPEVOIE>{kind}</LIBTYPEVOIE><NOMVOIE>{name}</NOMVOIE>"


def _adult(
    rank: int, place: int, role: Literal["DEM", "CJT"], birth_name: str, woman: bool, duties: bool, chance: Random
) -> FictitiousPerson:
    year, month, day = chance.randint(1955, 2003), chance.randint(1, 12), chance.randint(1, 28)
    precision = chance.choices(("day", "month", "year"), (95, 3, 2))[0]
    given = chance.sample(_WOMEN if woman else _MEN, 2 if chance.random() < 0.3 else 1)
    used = chance.choice(_FAMILY_NAMES) if woman and chance.random() < 0.2 else birth_name
    shown_month, shown_day = (0 if precision == "year" else month), (0 if precision != "day" else day)
    return FictitiousPerson(
        household=rank,
        role=role,
        title="MME" if woman else "MR",
        birth_name=birth_name,
        used_name=used,
        given_names=tuple(given),
        birth_date=f"{year:04}-{shown_month:02}-{shown_day:02}",
        sex="female" if woman else "male",
        nir=_nir(rank * 5 + place, woman, year, month if precision != "year" else 99),
        rights_and_duties=duties and (place == 0 or chance.random() < 0.7),
    )


def _child(rank: int, place: int, birth_name: str, chance: Random) -> FictitiousPerson:
    girl = chance.random() < 0.5
    year, month, day = chance.randint(2009, 2026), chance.randint(1, 10), chance.randint(1, 28)
    return FictitiousPerson(
        household=rank,
        role="ENF",
        title="MME" if girl else "MR",
        birth_name=birth_name,
        used_name=birth_name,
        given_names=(chance.choice(_WOMEN if girl else _MEN),),
        birth_date=f"{year:04}-{month:02}-{day:02}",
        sex="female" if girl else "male",
        nir=_nir(rank * 5 + place, girl, year, month) if chance.random() < 0.5 else "",
        rights_and_duties=False,
    )


def _nir(number: int, woman: bool, year: int, month: int) -> str:
    """
    A NIR of somebody born in a country that does not exist (99 600 to 99 999), unique for the first 399,600 people.
    """
    country, order = divmod(number % 399_600, 999)
    first13 = f"{2 if woman else 1}{year % 100:02}{month:02}99{600 + country:03}{order + 1:03}"
    return first13 + nir_key(first13)


def _household_xml(household: _Household) -> str:
    cog, commune = household.commune
    people = "\n".join(_person_xml(person, household.rank) for person in household.people)
    return f"""<InfosFoyerRSA>
<IdentificationRSA>
<Organisme><FONORG>CAF</FONORG><NUMORG>391</NUMORG><MATRICULE>{household.matricule}00000000</MATRICULE></Organisme>
<Partenaire><TYPEPARTE>CG  </TYPEPARTE><IDEPARTE>039</IDEPARTE></Partenaire>
<DemandeRSA><DTDEMRSA>2024-03-{household.rank % 28 + 1:02}</DTDEMRSA><NUMDEMRSA>{household.rank:08d}039</NUMDEMRSA></DemandeRSA>
</IdentificationRSA>
{people}
<DonneesAdministratives>
<SituationFamille><SITFAM>{household.family}</SITFAM><DDSITFAM>2015-06-01</DDSITFAM></SituationFamille>
<Adresse>
<TroncCommunAdresse><RGADR>01</RGADR><DTEMM>2023-05-26</DTEMM><PAYS>FRA</PAYS><TYPEADR>D</TYPEADR><ETATADR>CO</ETATADR></TroncCommunAdresse>
<AdresseDetailleeFrance><COMPLIDEADR /><COMPLADR />{household.street}<LIEUDIST /><NUMCOM>{cog}</NUMCOM><CODEPOS>39999</CODEPOS><NOMCOM>{commune}</NOMCOM></AdresseDetailleeFrance>
</Adresse>
</DonneesAdministratives>
<PrestationRSA>
<SituationDossierRSA>{_situation_xml(household)}</SituationDossierRSA>
<DetailDroitRSA>
<TroncCommunDroitRSA><TOPSANSDOMFIXE>{household.homeless:d}</TOPSANSDOMFIXE><ORIDEMRSA>DEM</ORIDEMRSA><DTORIDEMRSA>2024-03-01</DTORIDEMRSA></TroncCommunDroitRSA>
</DetailDroitRSA>
</PrestationRSA>
</InfosFoyerRSA>
"""


def _situation_xml(household: _Household) -> str:
    state = f"<EtatDossierRSA><ETATDOSRSA>{household.state}</ETATDOSRSA></EtatDossierRSA>"
    reason = household.reason
    match household.state:
        case "1":
            return f"{state}<Refus><DTREFURSA>2026-10-12</DTREFURSA><MOTIREFURSA>{reason}</MOTIREFURSA></Refus>"
        case "3":
            return (
                f"{state}<SuspensionDroit><MOTISUSDRORSA>{reason}</MOTISUSDRORSA>"
                "<DDSUSDRORSA>2026-09-01</DDSUSDRORSA><NATGROUPFSUS>RSA</NATGROUPFSUS></SuspensionDroit>"
            )
        case "4":
            return (
                f"{state}<SuspensionVersement><MOTISUSVERSRSA>{reason}</MOTISUSVERSRSA>"
                "<DDSUSVERSRSA>2026-09-01</DDSUSVERSRSA></SuspensionVersement>"
            )
        case "5" | "6":
            block = "FinDroit" if household.state == "5" else "FinDroitMoisAnterieur"
            return f"{state}<{block}><MOTICLORSA>{reason}</MOTICLORSA><DTCLORSA>2026-09-30</DTCLORSA></{block}>"
        case _:
            return state


def _person_xml(person: FictitiousPerson, rank: int) -> str:
    others = "".join(
        f"<PRENOM{2 + index}>{name}</PRENOM{2 + index}>" for index, name in enumerate(person.given_names[1:])
    )
    nir = f"<NIR>{person.nir[:13]}</NIR>" if person.nir else ""
    precision = {"00-00": "O", "00": "J"}.get(person.birth_date[5:], "J" if person.birth_date.endswith("-00") else "N")
    holder = person.role == "DEM"
    return f"""<Personne>
<Identification><QUAL>{person.title}</QUAL><NOM>{escape(person.used_name)}</NOM><NOMNAI>{escape(person.birth_name)}</NOMNAI><PRENOM>{person.given_names[0]}</PRENOM>{others}<NOMCOMNAI>{_BIRTH_TOWNS[rank % len(_BIRTH_TOWNS)]}</NOMCOMNAI><DTNAI>{person.birth_date.replace("-00", "-01")}</DTNAI><TYPEDTNAI>{precision}</TYPEDTNAI>{nir}<TOPVALIEC>1</TOPVALIEC><SEXE>{2 if person.sex == "female" else 1}</SEXE></Identification>
<DossierCAF><TOPRESPDOS>{holder:d}</TOPRESPDOS><DDRATDOS>2020-05-15</DDRATDOS></DossierCAF>
<Prestations><NATPREST>PFA</NATPREST><ROLEPERS>{"RDO" if holder else person.role}</ROLEPERS><TOPCHAPERS>{person.role == "ENF":d}</TOPCHAPERS></Prestations>
<Prestations><NATPREST>RSA</NATPREST><ROLEPERS>{person.role}</ROLEPERS><TOPCHAPERS>1</TOPCHAPERS></Prestations>
{_adult_xml(person, rank)}</Personne>"""


def _adult_xml(person: FictitiousPerson, rank: int) -> str:
    if person.role == "ENF":
        return ""
    activity = _ACTIVITIES[(rank + len(person.birth_name)) % len(_ACTIVITIES)]
    months = "".join(
        "<RessourcesMensuelles>"
        f"<GeneraliteRessourcesMensuelles><MOISRESS>2026-{month:02}-01</MOISRESS><NBHEUMENTRA>000</NBHEUMENTRA></GeneraliteRessourcesMensuelles>"
        f"<DetailRessourcesMensuelles><NATRESS>001</NATRESS><MTNATRESSMEN>{(rank * 37 + month) % 900:07d}.00</MTNATRESSMEN></DetailRessourcesMensuelles>"
        "</RessourcesMensuelles>"
        for month in (7, 8, 9)
    )
    return f"""<DossierPoleEmploi><IDASSEDIC>{rank % 10_000_000:07d}{"AB"[person.role == "CJT"]}</IDASSEDIC></DossierPoleEmploi>
<Ressources><GeneraliteRessourcesTrimestre><TOPRESSNUL>0</TOPRESSNUL><DDRESS>2026-07-01</DDRESS><DFRESS>2026-09-30</DFRESS></GeneraliteRessourcesTrimestre>{months}</Ressources>
<MontantCalculDroitRSAPersonne><TOPPERSDRODEVORSA>{person.rights_and_duties:d}</TOPPERSDRODEVORSA></MontantCalculDroitRSAPersonne>
<Activite><REG>GE</REG><ACT>{activity}</ACT><DDACT>2025-11-01</DDACT></Activite>
"""
