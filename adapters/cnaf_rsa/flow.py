"""
The file as a whole: which flow it is, its households one by one, and whether its totals say that it is all there.

Memory stays flat: each household is read, freed and forgotten before the next one. What follows from the whole file
(cut, wrong total, anomaly companion) is only known at its end, so a reader must keep nothing of a flow that ends with
`FileRefused`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final

from lxml import etree

from adapters.base import FileRefused, warning
from adapters.cnaf_rsa.blocks import Block, BlockReader
from adapters.cnaf_rsa.values import french_moment, read_date
from adapters.hardened_xml import GuardedBytes, Limits, line_of, records
from adapters.report import Coverage, FieldRule
from schemas import Issue

_TYPE = re.compile(r"[A-Z]")
_COUNT = re.compile(r"[0-9]{1,12}")
_HEADER, _HOUSEHOLD, _DEMAND, _TRAILER = "IdentificationFlux", "InfosFoyerRSA", "InfoDemandeRSA", "TransmissionFlux"

# The flows that are read, by NATFLUX: their records, and the total that their end announces.
_READ_FLOWS: Final = {
    "D": (_HOUSEHOLD, "NBTOTDOSRSATRANSM"),
    "I": (_DEMAND, "NBTOTDEMRSATRANSM"),
    "R": (_DEMAND, "NBTOTDEMRSATRANSM"),
}

# Why the other flows are not read: (code, French, English). None of them may be stored.
_REFUSED_FLOWS: Final = {
    "F": (
        "flow_f_refused",
        "C'est un flux financier (F) : paiements et indus. Rien n'y sert à informer une personne de ses droits ; "
        "il n'est pas accepté.",
        "This is a financial flow (F): payments and debts. Nothing in it serves to inform a person of their rights; "
        "it is not accepted.",
    ),
    "C": (
        "flow_c_refused",
        "C'est un flux de créances transférées (C) : des dettes. Il n'est pas accepté.",
        "This is a flow of transferred claims (C): debts. It is not accepted.",
    ),
    "G": (
        "flow_g_refused",
        "C'est un suivi de grossesse (G) : des données de santé. Il n'est pas accepté.",
        "This is a pregnancy follow-up (G): health data. It is not accepted.",
    ),
}


@dataclass(frozen=True, slots=True)
class Header:
    """
    What identifies a flow: its nature (D beneficiaries, I instruction, R return of instruction), its type (M monthly, I
    daily, …), when it was made, and the date it speaks of, which I and R do not give: the day they were made.

    `created` and `reference` are dates `YYYY-MM-DD`, `created_at` is RFC 3339.
    """

    nature: str
    type: str
    created: str
    created_at: str
    reference: str


@dataclass(frozen=True, slots=True)
class Household:
    """
    One household of a flow, or one application of an instruction flow: its rank in the file (from 1) and its blocks.

    One that is not `stated` has no state of its file (an issue says so): nothing of it is used.
    """

    header: Header
    rank: int
    block: Block
    stated: bool


class Flow:
    """
    One flow, read once from its first byte to its last.
    """

    def __init__(self, source: BinaryIO, rules: Mapping[str, FieldRule], issues: list[Issue], limits: Limits) -> None:
        self._guard = GuardedBytes(source, limits)
        self._reader = BlockReader(rules, issues)
        self._issues = issues
        self._header: Header | None = None
        self._households = 0
        self._anomalies = 0
        self._trailer: Block | None = None

    def households(self) -> Iterator[Household]:
        """
        The households, one after the other. Raises `FileRefused`, at the end as anywhere before: then nothing of the file may be used.
        """
        for element in records(self._guard, (_HEADER, _HOUSEHOLD, _DEMAND)):
            parent = element.getparent()
            if parent is None:
                self._finish(element)
            elif parent.getparent() is None and parent.tag == "Racine":
                household = self._take(element)
                element.clear()
                self._guard.record_done()
                if household:
                    yield household

    def coverage(self) -> Coverage:
        """
        What became of each element read so far.
        """
        return self._reader.coverage()

    @property
    def storable(self) -> bool:
        """
        Whether the bytes of a refused file may be kept aside: never those that hold bank details or social data.
        """
        return self._header is None or self._header.nature == "D"

    def _take(self, element: etree._Element) -> Household | None:
        self._settle(element.itersiblings(preceding=True))
        if element.tag == _HEADER:
            self._read_header(element)
            return None
        if self._header is None:
            raise _header_missing(line_of(element))
        if element.tag != _READ_FLOWS[self._header.nature][0]:
            self._reader.skip(element)
            return None
        self._households += 1
        self._anomalies += element.find("Anomalie") is not None
        block = self._reader.read(element)
        state = block.at("PrestationRSA", "SituationDossierRSA", "EtatDossierRSA").texts.get("ETATDOSRSA")
        if self._header.nature != "D" or state:
            return Household(self._header, self._households, block, stated=True)
        self._issues.append(
            warning(
                "household_without_state",
                "/Racine/InfosFoyerRSA/PrestationRSA/SituationDossierRSA/EtatDossierRSA/ETATDOSRSA",
                "Ce foyer n'a pas d'état de dossier (anomalie, ou foyer incomplet) : rien n'en est repris.",
                "This household has no file state (an anomaly, or an incomplete household): nothing of it is used.",
                line=block.line,
            )
        )
        return Household(self._header, self._households, block, stated=False)

    def _read_header(self, element: etree._Element) -> None:
        block = self._reader.read(element)
        texts = block.texts
        nature = texts.get("NATFLUX", "")
        if nature in _REFUSED_FLOWS:
            code, french, english = _REFUSED_FLOWS[nature]
            raise FileRefused(code, french, english, quarantine=False, line=block.line)
        if nature not in _READ_FLOWS:
            raise FileRefused(
                "flow_unknown",
                "NATFLUX ne désigne aucun des flux RSA connus (D, F, C, I, R, G).",
                "NATFLUX names none of the known RSA flows (D, F, C, I, R, G).",
                quarantine=False,
                line=block.line,
            )
        created = read_date(texts.get("DTCREAFLUX", ""))
        reference = read_date(texts.get("DTREF", "")) if nature == "D" else created
        if created is None or reference is None:
            raise FileRefused(
                "header_incomplete",
                "IdentificationFlux ne donne pas de dates lisibles (DTCREAFLUX, DTREF) : on ne sait pas de quand datent "
                "ces droits.",
                "IdentificationFlux gives no readable dates (DTCREAFLUX, DTREF): nobody knows the date of these rights.",
                quarantine=True,
                line=block.line,
            )
        kind = texts.get("TYPEFLUX", "")
        self._header = Header(
            nature=nature,
            type=kind if _TYPE.fullmatch(kind) else "X",
            created=created,
            created_at=french_moment(created, texts.get("HEUCREAFLUX", "")),
            reference=reference,
        )

    def _settle(self, siblings: Iterable[etree._Element]) -> None:
        """
        Count and free what stands before a household or at the end of the file; read the trailer among it.
        """
        for sibling in list(siblings):
            if sibling.tag == _TRAILER:
                self._trailer = self._reader.read(sibling)
            elif sibling.tag not in {_HEADER, _HOUSEHOLD, _DEMAND}:
                self._reader.skip(sibling)
            parent = sibling.getparent()
            if parent is not None:
                parent.remove(sibling)

    def _finish(self, root: etree._Element) -> None:
        if root.tag != "Racine":
            raise FileRefused(
                "not_a_cnaf_flow",
                "Ce XML n'est pas un flux RSA de la CNAF ou de la MSA : son premier élément n'est pas « Racine ».",
                "This XML is not an RSA flow of the CNAF or MSA: its first element is not “Racine”.",
                quarantine=False,
                line=line_of(root),
            )
        self._reader.root_seen()
        self._settle(root)
        if self._header is None:
            raise _header_missing(line_of(root))
        self._check_total(self._trailer or Block(line_of(root)), _READ_FLOWS[self._header.nature][1])

    def _check_total(self, trailer: Block, announced: str) -> None:
        total = trailer.texts.get(announced)
        if total is None and self._anomalies:
            raise FileRefused(
                "anomaly_companion",
                "C'est un fichier d'anomalies : il dit que des foyers existent, pas l'état de leur droit. "
                "Rien n'en est repris ; envoyez le flux qu'il accompagne.",
                "This is an anomaly file: it says that households exist, not the state of their right. "
                "Nothing of it is used; send the flow that it comes with.",
                quarantine=False,
                line=trailer.line,
            )
        if total is None or not _COUNT.fullmatch(total):
            raise FileRefused(
                "total_missing",
                f"Le nombre de foyers annoncé en fin de fichier ({announced}) manque ou n'est pas un nombre : "
                "rien ne prouve que le fichier est entier. Renvoyez-le.",
                f"The number of households announced at the end of the file ({announced}) is missing or no number: "
                "nothing proves that the file is whole. Send it again.",
                quarantine=True,
                line=trailer.line,
            )
        if int(total) != self._households:
            raise FileRefused(
                "total_mismatch",
                f"Le fichier annonce {int(total)} foyers et en contient {self._households}. "
                "Rien n'en est repris ; demandez à l'émetteur un fichier entier.",
                f"The file announces {int(total)} households and holds {self._households}. "
                "Nothing of it is used; ask the sender for a whole file.",
                quarantine=True,
                line=trailer.line,
            )


def _header_missing(line: int) -> FileRefused:
    return FileRefused(
        "header_missing",
        "Le bloc IdentificationFlux manque ou vient après les foyers : ce flux ne dit pas ce qu'il est.",
        "The block IdentificationFlux is missing or comes after the households: this flow does not say what it is.",
        quarantine=True,
        line=line,
    )
