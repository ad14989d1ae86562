"""
The exam that every adapter sits, as a program: questions, what was found, what to write next, the level reached.

`sit` asks everything; `adapters.testing` asks the same questions of each adapter under pytest.
"""

import csv
import inspect
import io
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from adapters import hostile
from adapters.base import Adapter, AdapterError, Context, FileRefused, Translation
from adapters.mapping.engine import MappingAdapter
from adapters.quality import RULES, Claims, Level, Subject, level_of, read_claims, unmet
from adapters.report import Treatment
from adapters.samples import Case, cases, differences, told_by
from schemas import Document, Kind, code_list, validate

EXAM_CONTEXT: Final = Context(
    organisation={"siret": "99900001100018", "name": "CAF de Valombre"},
    purpose="inform_about_rights",
    now=datetime.fromisoformat("2026-11-23T08:00:00+01:00"),
    document_id=lambda key: str(uuid.uuid5(uuid.NAMESPACE_URL, key)),
)
"""A fictitious sender, a fixed hour, and identifiers that depend only on their key."""

_FORMULA: Final = re.compile(r"[\s\x00]*[=+\-@|%＝＋－＠]|[\t\r\n\x00]")
SLOWEST: Final = 100
"""How many times the JSON copy of its documents an adapter may take: the formats of the project take 6 to 40."""

_TABULAR: Final = ("text/csv", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing that is not as it should be: in which case or table, what, and what to write next.
    """

    where: str
    message_fr: str
    message_en: str


@dataclass(frozen=True, slots=True)
class Answer:
    """
    The findings of one question; none when it is passed.
    """

    question: str
    title_fr: str
    title_en: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """
    A whole exam: the answers, the level that the program measures, and what the next level asks for.
    """

    adapter: str
    answers: tuple[Answer, ...]
    level: Level
    next_steps: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """
        Whether every question was passed.
        """
        return not any(answer.findings for answer in self.answers)


class Sitting:
    """
    One adapter at the exam: its folder, its cases, what it makes of them. `large` asks the 50 MB questions too.
    """

    def __init__(
        self,
        adapter: Adapter,
        folder: Traversable | None = None,
        context: Context = EXAM_CONTEXT,
        *,
        large: bool = False,
    ) -> None:
        self.adapter = adapter
        self.folder = folder or folder_of(adapter)
        self.context = context
        self.large = large

    @cached_property
    def cases(self) -> list[Case]:
        """
        The samples.
        """
        return cases(self.folder)

    @cached_property
    def inbound(self) -> list[Case]:
        """
        The samples that the partner sends.
        """
        return [case for case in self.cases if case.partner is not None]

    @cached_property
    def claims(self) -> Claims:
        """
        What `quality.toml` says.
        """
        return read_claims(self.folder)

    def translated(self, raw: bytes | None) -> tuple[Translation | None, FileRefused | None]:
        """
        The translation of a file, or its refusal.
        """
        try:
            return self.adapter.to_shared(raw or b"", self.context), None
        except FileRefused as refusal:
            return None, refusal

    @property
    def subject(self) -> Subject:
        """
        What the rules of quality look at.
        """
        return Subject(self.adapter, self.folder, self.cases, self.context, self.claims)


Ask = Callable[[Sitting], Iterator[Finding]]


def folder_of(adapter: Adapter) -> Traversable:
    """
    The folder of an adapter: that of its mapping, or that of the file of its class.
    """
    if isinstance(adapter, MappingAdapter):
        return adapter.folder
    return Path(inspect.getfile(type(adapter))).parent


def sit(sitting: Sitting) -> Result:
    """
    The whole exam. An exception of the adapter other than a refusal is a finding, not an end.
    """
    answers = tuple(
        Answer(name, question.title_fr, question.title_en, tuple(_asked(question.ask, sitting)))
        for name, question in QUESTIONS.items()
    )
    passed = not any(answer.findings for answer in answers)
    missing = unmet(sitting.subject) if passed else {}
    level = level_of(missing) if passed else Level.NONE
    following = next((each for each in Level if each.rank == level.rank + 1), Level.GOLD)
    steps = [
        Finding(
            name, f"{RULES[name].todo_fr} : {', '.join(faults[:8])}", f"{RULES[name].todo_en}: {', '.join(faults[:8])}"
        )
        for name, faults in missing.items()
        if RULES[name].level is following
    ]
    return Result(sitting.adapter.name, answers, level, tuple(steps))


def _asked(ask: Ask, sitting: Sitting) -> Iterator[Finding]:
    try:
        yield from ask(sitting)
    except Exception as error:  # the exam of a faulty program must go on, and say where it failed
        where = inspect.trace()[-1]
        name = f"{Path(where.filename).name}:{where.lineno}"
        yield Finding(
            name,
            f"l'adaptateur s'arrête sur une erreur qui n'est pas un refus ({type(error).__name__})",
            f"the adapter stops on an error that is no refusal ({type(error).__name__})",
        )


def kinds_shown(sitting: Sitting) -> Iterator[Finding]:
    """
    (1) What an adapter announces, in and out, is shown by at least one sample.
    """
    read: set[Kind] = set()
    written: set[Kind] = set()
    for case in sitting.cases:
        kinds = {Kind(document["kind"]) for document in case.shared or ()}
        read |= kinds if case.partner is not None else set()
        written |= kinds if case.back is not None else set()
    for kind in sorted(sitting.adapter.kinds_in ^ read):
        announced = kind in sitting.adapter.kinds_in
        yield Finding(
            kind,
            "lu, mais aucun exemple : posez samples/<cas>/partner.* puis « tdu adapter accept »"
            if announced
            else "dans un exemple, mais l'adaptateur ne dit pas le lire",
            "read, but no sample: put samples/<case>/partner.*, then “tdu adapter accept”"
            if announced
            else "in a sample, but the adapter does not say that it reads it",
        )
    for kind in sorted(sitting.adapter.kinds_out ^ written):
        announced = kind in sitting.adapter.kinds_out
        yield Finding(
            kind,
            "écrit, mais aucun exemple : il manque samples/<cas>/back.* (« tdu adapter accept » l'écrit)"
            if announced
            else "dans un exemple réécrit, mais l'adaptateur ne dit pas l'écrire",
            "written, but no sample: samples/<case>/back.* is missing (“tdu adapter accept” writes it)"
            if announced
            else "in a written sample, but the adapter does not say that it writes it",
        )


def translated_exactly(sitting: Sitting) -> Iterator[Finding]:
    """
    (2) A sample gives its `shared.json`; a sample without one is refused.
    """
    for case in sitting.inbound:
        translation, refusal = sitting.translated(case.partner)
        expected = case.shared
        if expected is None and translation is not None:
            yield Finding(
                case.name,
                "le fichier est traduit, mais il n'y a pas de shared.json : « tdu adapter accept » l'écrit, relisez-le",
                "the file is translated, but there is no shared.json: “tdu adapter accept” writes it, then read it",
            )
        elif expected is not None and translation is None:
            code = refusal.code if refusal else ""
            yield Finding(case.name, f"le fichier est refusé ({code})", f"the file is refused ({code})")
        elif expected is not None and translation is not None:
            found = [each.document for each in translation.documents]
            if places := differences(expected, found):
                yield _differs(case, "shared.json", places)


def valid_documents(sitting: Sitting) -> Iterator[Finding]:
    """
    (3) What comes out is valid for its schema.
    """
    for case in sitting.inbound:
        for rank, document in enumerate(case.shared or (), 1):
            for issue in validate(Kind(document["kind"]), document):
                yield Finding(
                    case.name,
                    f"document {rank}, {issue.pointer} : {issue.message_fr}",
                    f"document {rank}: {issue.message_en}",
                )


def written_exactly(sitting: Sitting) -> Iterator[Finding]:
    """
    (4) Each `back.*` is reproduced byte for byte; an adapter that writes nothing says so.
    """
    for case in sitting.cases:
        if case.back is not None and sitting.adapter.to_partner(case.shared or []) != case.back:
            yield Finding(
                case.name,
                "ce qui est réécrit n'est pas back.* à l'octet près",
                "what is written again is not back.* byte for byte",
            )
    if not sitting.adapter.kinds_out:
        try:
            sitting.adapter.to_partner([])
        except AdapterError:
            return
        yield Finding("to_partner", "n'écrit rien, mais ne le dit pas", "writes nothing, but does not say so")


def told_exactly(sitting: Sitting) -> Iterator[Finding]:
    """
    (5) A sample tells its `issues.json`, nothing when there is none.
    """
    for case in sitting.inbound:
        told = told_by(*sitting.translated(case.partner))
        told.pop("unknown", None)
        expected = {name: part for name, part in case.told.items() if name != "unknown"}
        if places := differences(expected, told):
            yield _differs(case, "issues.json", places)


def nothing_lost(sitting: Sitting) -> Iterator[Finding]:
    """
    (6) An element of a sample is in the format's list, with a reason when it is dropped, or it is named as unknown.
    """
    for rule in sitting.adapter.fields.values():
        if rule.treatment is Treatment.IGNORED and not rule.reason:
            yield Finding(rule.path, "écarté sans raison", "left out without a reason")
    for case in sitting.inbound:
        translation, _ = sitting.translated(case.partner)
        found = {line.path: line.count for line in translation.coverage.unknown} if translation else {}
        expected = case.told.get("unknown", {})
        for path in sorted(found.keys() ^ expected.keys()):
            yield Finding(
                case.name,
                f"{path} n'est ni repris, ni écarté avec sa raison : ajoutez-le à « fields » ou à « ignored »"
                if path in found
                else f"{path} est dit inconnu dans issues.json, et ne l'est pas",
                f"{path} is neither carried nor left out with a reason: add it to “fields” or “ignored”"
                if path in found
                else f"{path} is said to be unknown in issues.json, and is not",
            )


def deterministic(sitting: Sitting) -> Iterator[Finding]:
    """
    (7) Twice the same bytes, twice the same documents, issues, coverage, or refusal; the same for what is written.
    """
    for case in sitting.inbound:
        first, second = (sitting.translated(case.partner) for _ in range(2))
        if (first[0], repr(first[1])) != (second[0], repr(second[1])):
            yield Finding(case.name, "deux lectures, deux réponses", "read twice, two answers")
    for case in sitting.cases:
        if case.back is not None:
            written = {sitting.adapter.to_partner(case.shared or []) for _ in range(2)}
            if len(written) > 1:
                yield Finding(case.name, "deux écritures, deux fichiers", "written twice, two files")


def tables_known(sitting: Sitting) -> Iterator[Finding]:
    """
    (8) A table gives only codes of the shared list that it is bound to, and every table file is declared.
    """
    for table in sitting.adapter.tables:
        codes = code_list(table.code_list)
        for shared in (*table.rows.values(), *table.unwritten):
            if shared and shared not in codes:
                yield Finding(
                    table.name,
                    f"« {shared} » n'est pas dans la liste {table.code_list}",
                    f"“{shared}” is not in the list {table.code_list}",
                )
    folder = sitting.folder / "tables"
    files = {file.name.removesuffix(".csv") for file in folder.iterdir()} if folder.is_dir() else set()
    for name in sorted(
        (files - {"elements"}) ^ {table.name for table in sitting.adapter.tables if not table.crosswalk}
    ):
        yield Finding(
            f"tables/{name}.csv", "table sans emploi, ou sans fichier", "a table without use, or without a file"
        )


def hostile_refused(sitting: Sitting) -> Iterator[Finding]:
    """
    (9) Bombs, entities, noise: an adapter's own refusal, never another answer.
    """
    for name, raw in (*hostile.small().items(), *(hostile.large() if sitting.large else ())):
        try:
            sitting.adapter.to_shared(raw, sitting.context)
        except AdapterError:
            continue
        yield Finding(name, "accepté au lieu d'être refusé", "accepted instead of refused")


def damage_survived(sitting: Sitting) -> Iterator[Finding]:
    """
    (10) A sample cut at every kilobyte, with a byte changed, or written again in another encoding, is translated or
    refused, and nothing else; never with the letters that a mistaken encoding makes.
    """
    for case in sitting.inbound:
        raw = case.partner or b""
        for damaged in hostile.damaged(raw):
            sitting.translated(damaged)
        for encoding, other in hostile.in_other_encodings(raw):
            translation, _ = sitting.translated(other)
            if translation and any("Ã" in text for each in translation.documents for text in _texts(each.document)):
                yield Finding(
                    case.name,
                    f"écrit en {encoding}, le fichier donne des noms abîmés (« Ã© ») au lieu d'être refusé",
                    f"written in {encoding}, the file gives damaged names (“Ã©”) instead of being refused",
                )


def values_kept_secret(sitting: Sitting) -> Iterator[Finding]:
    """
    (11) What the sender is told names no person: no issue and no refusal holds a word of the subject.
    """
    for case in sitting.inbound:
        raw = case.partner or b""
        told = "".join(_sentences(sitting, damaged) for damaged in (raw, *hostile.damaged(raw)))
        subjects = [document["subject"] for document in case.shared or ()]
        if any(value in told for subject in subjects for value in _identifying(subject)):
            yield Finding(
                case.name, "une phrase répète une donnée de la personne", "a sentence repeats data of the person"
            )


def formulas_disarmed(sitting: Sitting) -> Iterator[Finding]:
    """
    (12) What a spreadsheet opens runs nothing: a name that looks like a formula is written so that it is not one, and
    is read again as it was.
    """
    if not sitting.adapter.output_media_type.startswith(_TABULAR) or not sitting.adapter.kinds_out:
        return
    for case in sitting.cases:
        for text in hostile.FORMULAS if case.shared else ():
            documents = [_with_name(document, text) for document in case.shared or ()]
            if any(_FORMULA.match(cell) for cell in _cells(sitting.adapter, documents)):
                yield Finding(
                    case.name,
                    "une cellule écrite serait une formule pour un tableur",
                    "a written cell would be a formula",
                )
                break


def fast_enough(sitting: Sitting) -> Iterator[Finding]:
    """
    (13) On its best sample, reading takes at most a hundred times what a JSON copy of the same documents takes, in the same
    minute on the same machine: asked with the 50 MB questions only, since it measures.
    """
    ratios = []
    for case in sitting.inbound if sitting.large else ():
        translation, _ = sitting.translated(case.partner)
        documents = [each.document for each in translation.documents] if translation else []
        if documents:
            taken = _processor_time(partial(sitting.translated, case.partner))
            ratios.append(taken / _processor_time(partial(_json_copy, documents)))
    if ratios and min(ratios) > SLOWEST:
        yield Finding(
            "to_shared",
            f"lire prend {min(ratios):.0f} fois le temps d'une copie JSON des documents ; {SLOWEST} au plus",
            f"reading takes {min(ratios):.0f} times a JSON copy of the documents; at most {SLOWEST}",
        )


def quality_true(sitting: Sitting) -> Iterator[Finding]:
    """
    (14) `quality.toml` claims no more than the program measures.
    """
    claims = sitting.claims
    for name in claims.unknown:
        yield Finding(name, f"règle inconnue ; règles : {', '.join(RULES)}", f"unknown rule; rules: {', '.join(RULES)}")
    missing = unmet(sitting.subject)
    for name, faults in missing.items():
        rule = RULES[name]
        if name in claims.done or rule.level.rank <= claims.level.rank:
            yield Finding(
                name,
                f"{rule.todo_fr}, ou dites pourquoi dans quality.toml (exempt) : {', '.join(faults[:8])}",
                f"{rule.todo_en}, or say why in quality.toml (exempt): {', '.join(faults[:8])}",
            )


@dataclass(frozen=True, slots=True)
class Question:
    """
    One question of the exam, by what a good adapter does.
    """

    title_fr: str
    title_en: str
    ask: Ask


QUESTIONS: Final[dict[str, Question]] = {
    "kinds_shown": Question("un exemple par genre", "a sample for every kind", kinds_shown),
    "translated_exactly": Question("traduit exactement", "translated exactly", translated_exactly),
    "valid_documents": Question("documents valables", "valid documents", valid_documents),
    "written_exactly": Question("réécrit à l'octet près", "written byte for byte", written_exactly),
    "told_exactly": Question("l'émetteur est prévenu exactement", "the sender is told exactly", told_exactly),
    "nothing_lost": Question("rien de perdu en silence", "nothing lost in silence", nothing_lost),
    "deterministic": Question("même entrée, même réponse", "same input, same answer", deterministic),
    "tables_known": Question("les tables donnent des codes communs", "tables give shared codes", tables_known),
    "hostile_refused": Question("entrées hostiles refusées", "hostile input refused", hostile_refused),
    "damage_survived": Question(
        "fichiers abîmés : traduits ou refusés", "damaged files: translated or refused", damage_survived
    ),
    "values_kept_secret": Question("aucune donnée dans une phrase", "no data in a sentence", values_kept_secret),
    "formulas_disarmed": Question("aucune formule écrite", "no formula written", formulas_disarmed),
    "fast_enough": Question("assez rapide", "fast enough", fast_enough),
    "quality_true": Question("la qualité annoncée est vraie", "the quality claimed is true", quality_true),
}
"""The questions in order; each is passed when it finds nothing."""


def _differs(case: Case, file: str, places: Sequence[str]) -> Finding:
    shown = ", ".join(places[:5]) + (" …" if len(places) > 5 else "")
    return Finding(
        case.name,
        f"ce qui est obtenu n'est pas {file} : {shown} ; si c'est le fichier qui a tort, « tdu adapter accept »",
        f"what is obtained is not {file}: {shown}; if the file is wrong, “tdu adapter accept”",
    )


def _json_copy(documents: Sequence[Document]) -> object:
    return json.loads(json.dumps(documents))


def _processor_time(work: Callable[[], object], rounds: int = 5) -> float:
    """
    The least processor time of some rounds, in seconds.
    """
    taken = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return max(min(taken), 1e-9)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def _with_name(document: Document, text: str) -> Document:
    return {**document, "subject": {**document.get("subject", {}), "birth_name": text.strip()}}


def _cells(adapter: Adapter, documents: Sequence[Document]) -> Iterator[str]:
    """
    The cells of a written file, as a spreadsheet takes them: one that begins with an apostrophe is a text.
    """
    raw = adapter.to_partner(documents)
    if adapter.output_media_type.startswith("text/csv"):
        delimiter = ";" if b";" in raw.partition(b"\n")[0] else ","
        for row in csv.reader(io.StringIO(raw.decode("utf-8-sig", errors="replace"), newline=""), delimiter=delimiter):
            yield from row
        return
    import openpyxl  # noqa: PLC0415  # only a workbook needs it

    sheet: Any = openpyxl.load_workbook(io.BytesIO(raw)).active
    for cells in sheet.iter_rows():
        yield from (f"={cell.value}" if cell.data_type == "f" else f"'{cell.value}" for cell in cells)


def _sentences(sitting: Sitting, raw: bytes) -> str:
    translation, refusal = sitting.translated(raw)
    if refusal:
        return str(refusal)
    issues = translation.issues if translation else ()
    return "".join(f"{issue.pointer} {issue.message_fr} {issue.message_en} {issue.suggestion}" for issue in issues)


def _identifying(subject: Document) -> Iterator[str]:
    names = [subject.get("birth_name"), subject.get("used_name"), *subject.get("given_names", ())]
    numbers = [subject.get("nir"), *(identifier["value"] for identifier in subject.get("identifiers", ()))]
    for value in (*names, *numbers, subject.get("birth_date")):
        if isinstance(value, str) and len(re.sub(r"\W", "", value)) > 3:
            yield value
