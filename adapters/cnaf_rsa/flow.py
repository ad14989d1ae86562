"""
The file as a whole: which flow it is, its households one by one, and whether its totals say that it is all there.

Memory stays flat: each household is read, freed and forgotten before the next one. What follows from the whole file
(cut, wrong total, anomaly companion) is only known at its end, so a reader must keep nothing of a flow that ends with
`FileRefused`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final

from lxml import etree

from adapters.base import FileRefused
from adapters.cnaf_rsa.blocks import Block, Node, read_block, tree_of, unknown_paths
from adapters.hardened_xml import GuardedBytes, Limits, records
from adapters.report import FieldRule, Tally
from schemas import Issue

_HEADER, _HOUSEHOLD, _TRAILER = "IdentificationFlux", "InfosFoyerRSA", "TransmissionFlux"

# Why each sibling of the B flow is not read: (code, French, English). None of them may be stored.
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
    "I": (
        "flow_i_refused",
        "C'est un flux d'instruction (I), qui contient des coordonnées bancaires. Il n'est pas lu : envoyez le flux B.",
        "This is an instruction flow (I), which holds bank details. It is not read: send the B flow.",
    ),
    "R": (
        "flow_r_refused",
        "C'est un retour d'instruction (R), avec des données socio-professionnelles. Il n'est pas lu : envoyez le flux B.",
        "This is a return of instruction (R), with social and professional data. It is not read: send the B flow.",
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
    What identifies a flow: its type (M monthly, I daily, …), its date of creation and the date it speaks of, as written.
    """

    type: str
    created: str
    reference: str


@dataclass(frozen=True, slots=True)
class Household:
    """
    One household of a flow: its rank in the file (from 1) and its blocks.
    """

    header: Header
    rank: int
    block: Block


class Flow:
    """
    One B flow, read once from its first byte to its last.
    """

    def __init__(
        self, source: BinaryIO, rules: Mapping[str, FieldRule], tally: Tally, issues: list[Issue], limits: Limits
    ) -> None:
        self._guard = GuardedBytes(source, limits)
        self._tree: Node = tree_of(rules)
        self._tally = tally
        self._issues = issues
        self._header: Header | None = None
        self._households = 0
        self._anomalies = 0

    def households(self) -> Iterator[Household]:
        """
        The households that have a state; those of an anomaly file are counted and left.

        Raises `FileRefused`, at the end as anywhere before: then nothing of the file may be used.
        """
        root = None
        for element in records(self._guard, (_HEADER, _HOUSEHOLD)):
            root = element.getparent()
            if root is None:
                yield from ()
                self._finish(element)
                return
            if root.getparent() is not None or root.tag != "Racine":
                continue
            if element.tag == _HEADER:
                self._read_header(element)
            else:
                block = read_block(element, self._tree.children[_HOUSEHOLD], self._tally, self._issues)
                self._forget_before(element)
                household = self._admit(block)
                if household:
                    yield household

    def _read_header(self, element: etree._Element) -> None:
        block = read_block(element, self._tree.children[_HEADER], self._tally, self._issues)
        nature = block.texts.get("NATFLUX", "")
        if nature in _REFUSED_FLOWS:
            code, french, english = _REFUSED_FLOWS[nature]
            raise FileRefused(code, french, english, quarantine=False, line=block.line)
        if nature != "D":
            raise FileRefused(
                "flow_unknown",
                "NATFLUX ne vaut aucun des flux RSA connus (D, F, C, I, R, G).",
                "NATFLUX is none of the known RSA flows (D, F, C, I, R, G).",
                quarantine=False,
                line=block.line,
            )
        texts = block.texts
        self._header = Header(texts.get("TYPEFLUX", ""), texts.get("DTCREAFLUX", ""), texts.get("DTREF", ""))
