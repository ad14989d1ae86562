"""
The adapter `cnaf-rsa`: the RSA flows B (`vrsb0801`), I and R of a CAF or an MSA become bilans and referrals.

Read only: nobody sends these flows back to a CAF.
"""

from collections.abc import Iterator, Sequence
from importlib.resources import files
from io import BytesIO
from typing import BinaryIO, Final

from adapters.base import AdapterError, Context, FileRefused, Record, Records, Source, Translated, Translation
from adapters.cnaf_rsa.documents import documents_of
from adapters.cnaf_rsa.flow import Flow, Household
from adapters.cnaf_rsa.instruction import demand_documents
from adapters.cnaf_rsa.values import DEMAND, HOUSEHOLD, Values
from adapters.hardened_xml import Limits
from adapters.report import Coverage, read_rules
from adapters.tables import Table
from schemas import Document, Issue, Kind

# 200,000 households weigh some 800 MB.
_LARGEST: Final = 2_000_000_000

# Which shared list each table gives codes of.
_CODE_LISTS: Final = {
    "act": "employment_situation",
    "actions": "right_action",
    "difdisp": "constraint",
    "diflog": "constraint",
    "difsoc": "constraint",
    "etatdosrsa": "rsa_dossier_state",
    "etatdosrsa_line": "right_state",
    "fonorg": "orientation_origin",
    "moticlorsa": "reason",
    "motirefursa": "reason",
    "motisusdrorsa": "reason",
    "motisusversrsa": "reason",
    "natlog": "housing",
    "natpf": "right",
    "nivetu": "education_level",
    "oridemrsa": "reason",
    "qual": "title",
    "rights_to_request": "right",
    "rolepers": "household_role",
    "sexe": "sex",
    "sitfam": "family_situation",
    "typeadr": "residence_kind",
    "withheld_codes": "reason",
}

# The tables that are crosswalks of the shared language, from the list `cnaf_…` that has their name.
_CROSSWALKS: Final = {
    "hispro": "work_history",
    "inscdememploi": "job_seeker_registration",
    "natmob": "mobility_area",
    "typeocclog": "housing",
}


class CnafRsa:
    """
    Reads the flows B, I and R; the others (F, C, G) and anomaly companions are recognised and refused with the reason.
    """

    name = "cnaf-rsa"
    title = "Flux RSA de la CAF et de la MSA (B, I et R)"
    media_types: tuple[str, ...] = ("application/xml", "text/xml")
    output_media_type = "application/xml"
    kinds_in = frozenset({Kind.BILAN, Kind.REFERRAL})
    kinds_out: frozenset[Kind] = frozenset()

    def __init__(self, limits: Limits | None = None) -> None:
        folder = files("adapters.cnaf_rsa") / "tables"
        self._limits = limits or Limits(total_bytes=_LARGEST)
        self.fields = read_rules(folder / "elements.csv")
        self.tables = (
            *(Table.read(folder / f"{name}.csv", codes) for name, codes in _CODE_LISTS.items()),
            *(Table.of_crosswalk(name, f"cnaf_{name}", codes) for name, codes in _CROSSWALKS.items()),
        )

    def to_shared(self, raw: bytes, context: Context) -> Translation:
        """
        Translate a whole flow; see `Adapter.to_shared`.
        """
        reading = self.read(BytesIO(raw), context)
        documents = tuple(reading)
        issues = sorted(reading.issues, key=lambda issue: issue.line or 0)
        return Translation(documents, tuple(issues), reading.coverage(), records=reading.counted())

    def to_partner(self, documents: Sequence[Document]) -> bytes:
        """
        Always raises `AdapterError`: the flow goes one way.
        """
        raise AdapterError(
            "read_only",
            "Ce flux va de la CAF vers le département : rien ne s'y écrit.",
            "This flow goes from the CAF to the département: nothing is written in it.",
        )

    def read(self, source: BinaryIO, context: Context) -> "Reading":
        """
        Translate a flow as it is read, for files that must not be held in memory.

        Nothing may be used before the reading has ended: only then is the file known to be whole.
        """
        return Reading(self, source, context, self._limits)

    def records(self, source: BinaryIO, context: Context) -> Iterator[Record]:
        """
        Translate a flow household by household; see `adapters.base.Streaming`.
        """
        return self.read(source, context).records()


class Reading:
    """
    One flow being read: iterate over it once for its documents; `issues` and `coverage()` are complete afterwards.
    """

    def __init__(self, adapter: CnafRsa, source: BinaryIO, context: Context, limits: Limits) -> None:
        self.issues: list[Issue] = []
        self._context = context
        self._values = Values({table.name: table for table in adapter.tables}, self.issues)
        self._flow = Flow(source, adapter.fields, self.issues, limits)
        self._seen: set[str] = set()
        self._used = self._refused = 0
        self._set_aside: list[Source] = []

    def __iter__(self) -> Iterator[Translated]:
        """
        The documents in the order of the file. Raises `FileRefused`, at the end as anywhere before.
        """
        for household in self._households():
            yield from self._taken(household)

    def records(self) -> Iterator[Record]:
        """
        The households in the order of the file, each with what was told of it, which is then forgotten. Raises as above.
        """
        for household in self._households():
            documents = self._taken(household)
            issues = tuple(self.issues)
            self.issues.clear()
            self._values.forget_told()
            yield Record(household.block.line, documents, issues)

    def _households(self) -> Iterator[Household]:
        try:
            yield from self._flow.households()
        except FileRefused as refusal:
            refusal.quarantine = refusal.quarantine and self._flow.storable
            raise

    def _taken(self, household: Household) -> tuple[Translated, ...]:
        """
        The documents of one household, which is counted: used, left out for a reason that is told, or concerned by nothing.
        """
        before = self._values.tellings
        documents = tuple(self._documents(household))
        if documents:
            self._used += 1
        elif not household.stated or self._values.tellings > before:
            self._refused += 1
        else:
            self._set_aside.append(Source(household.block.line, str(household.rank)))
        return documents

    def counted(self) -> Records:
        """
        What became of the households read so far.
        """
        return Records(self._used, self._refused, tuple(self._set_aside))

    def _documents(self, household: Household) -> Iterator[Translated]:
        """
        The documents of one household that are not in the file already.
        """
        if not household.stated:
            return
        for translated in self._translated(household):
            if translated.document["id"] in self._seen:
                self._values.tell(
                    "document_repeated",
                    HOUSEHOLD,
                    "Ce foyer ou cette personne est déjà dans le fichier : seule la première fois est reprise.",
                    "This household or person is already in the file: only the first time is used.",
                    translated.source.line or household.block.line,
                )
                continue
            self._seen.add(translated.document["id"])
            yield translated

    def _translated(self, household: Household) -> Iterator[Translated]:
        if household.header.nature == "D":
            return documents_of(household, self._values, self._context)
        self._values.records = DEMAND
        return demand_documents(household, self._values, self._context)

    def coverage(self) -> Coverage:
        """
        What became of each element read so far.
        """
        return self._flow.coverage()
