"""
The questions of the exam about the samples: translated exactly, written exactly, told exactly, nothing lost in silence.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from adapters.base import AdapterError
from adapters.report import Treatment
from adapters.samples import Case, Sentence, differences, not_written, told_by
from adapters.sitting import Finding, Sitting
from schemas import Kind, code_list, validate

_CASES_SHOWN: Final = 5


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
    because = _not_written(sitting) if not written else ("", "")
    for kind in sorted(sitting.adapter.kinds_out ^ written):
        announced = kind in sitting.adapter.kinds_out
        yield Finding(
            kind,
            f"écrit, mais aucun exemple : il manque samples/<cas>/back.* (« tdu adapter accept » l'écrit{because[0]})"
            if announced
            else "dans un exemple réécrit, mais l'adaptateur ne dit pas l'écrire",
            f"written, but no sample: samples/<case>/back.* is missing (“tdu adapter accept” writes it{because[1]})"
            if announced
            else "in a written sample, but the adapter does not say that it writes it",
        )


def _not_written(sitting: Sitting) -> Sentence:
    """
    Why no sample has a `back.*`, case by case, to be put after “accept writes it”.
    """
    found = [(case.name, not_written(sitting.adapter, case.shared, case.told)) for case in sitting.cases[:_CASES_SHOWN]]
    told = [(name, reason) for name, reason in found if reason]
    if not told or len(told) < len(found):
        return "", ""
    return (
        " pour un exemple ordinaire ; " + " ; ".join(f"{name} : {reason[0]}" for name, reason in told),
        " for an ordinary sample; " + "; ".join(f"{name}: {reason[1]}" for name, reason in told),
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
    (5) A sample tells its `issues.json`, nothing when there is none; a record that no rule takes is told there too.
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


def _differs(case: Case, file: str, places: Sequence[str]) -> Finding:
    shown = ", ".join(places[:5]) + (" …" if len(places) > 5 else "")
    return Finding(
        case.name,
        f"ce qui est obtenu n'est pas {file} : {shown} ; si c'est le fichier qui a tort, « tdu adapter accept »",
        f"what is obtained is not {file}: {shown}; if the file is wrong, “tdu adapter accept”",
    )
