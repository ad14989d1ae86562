"""
One translation of one file: what is told on the way, the values without a shared code, the identifiers.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from adapters.base import Context, Unmapped, warning
from adapters.mapping.notes import NUMBER_IN_TEXT, Reason
from adapters.mapping.records import Reader, Record
from adapters.tables import Table
from schemas import Document, Issue

Place = tuple[str, int | None, int | None]
"""Where a value is: its pointer, its line, its column."""

MAX_ISSUES: Final = 10_000
_LITERALS: Final = 60

CODE_UNKNOWN: Final = Reason(
    "code_unknown",
    "Ce code n'est pas dans la table : il est gardé tel quel, sans être traduit. Ajoutez-le à la table.",
    "This code is not in the table: it is kept as it is and not translated. Add it to the table.",
)
NOT_ALLOWED: Final = Reason(
    "value_not_allowed",
    "Le format commun ne permet pas cette valeur ici (longueur, forme ou liste) : elle n'est pas reprise.",
    "The shared format does not allow this value here (length, form or list): it is not used.",
)
SEVERAL_VALUES: Final = Reason(
    "several_values",
    "Plusieurs valeurs là où le format commun n'en garde qu'une : seule la première est reprise.",
    "Several values where the shared format keeps only one: only the first is used.",
)
EXPRESSION_FAILED: Final = Reason(
    "expression_failed",
    "L'expression de cette règle a échoué sur cet enregistrement : sa valeur n'est pas reprise.",
    "The expression of this rule failed on this record: its value is not used.",
)
REQUIRED_MISSING: Final = Reason(
    "required_missing",
    "Cette valeur est nécessaire et manque, ou ne se lit pas : {left}.",
    "This value is needed and is missing, or cannot be read: {left}.",
)
NEEDED: Final = (" Elle est nécessaire : {left}.", " It is needed: {left}.")
"""What is added to the remark about a value that cannot be used, when a document falls with it: a cell has one remark."""
ITEM_INCOMPLETE: Final = Reason(
    "item_incomplete",
    "Il manque une valeur nécessaire à cet élément de liste : il n'est pas repris.",
    "A value that this list item needs is missing: the item is not used.",
)
KEY_MISSING: Final = Reason(
    "key_missing",
    "La référence qui reconnaît ce dossier manque : {left}.",
    "The reference that recognises this case is missing: {left}.",
)
ENCODING_GUESSED: Final = Reason(
    "encoding_guessed",
    "Le fichier n'est pas en UTF-8 : il a été lu comme du windows-1252. Exportez-le en UTF-8.",
    "The file is not UTF-8: it was read as windows-1252. Export it as UTF-8.",
)
TOO_MANY: Final = Reason(
    "too_many_issues",
    f"Plus de {MAX_ISSUES} remarques : les suivantes ne sont pas données. Corrigez celles-ci d'abord.",
    f"More than {MAX_ISSUES} issues: the next ones are not given. Correct these first.",
)


def record_invalid(issue: Issue) -> Reason:
    """
    The reason to leave out a record whose document, once every rule was applied, is not one of the shared format.
    """
    return Reason(
        "record_invalid",
        f"Il n'en sort pas de document valable : {{left}}. {issue.message_fr}",
        f"It does not make a valid document: {{left}}. {issue.message_en}",
    )


def left_sentences(kinds: Sequence[str]) -> tuple[str, str]:
    """
    What is left out, in French and in English: the record, or the documents of these kinds among those that it makes.
    """
    if not kinds:
        return "l'enregistrement n'est pas repris", "the record is not used"
    if len(kinds) == 1:
        return (
            f"le document « {kinds[0]} » de cet enregistrement n'est pas repris",
            f"the document “{kinds[0]}” of this record is not used",
        )
    french, english = ", ".join(f"« {each} »" for each in kinds), ", ".join(f"“{each}”" for each in kinds)
    return (
        f"les documents {french} de cet enregistrement ne sont pas repris",
        f"the documents {english} of this record are not used",
    )


class Run:
    """
    Follows a translation: `at` says which value is being read, then `warn` and `tell` know where it stands.
    """

    def __init__(self, name: str, reader: Reader, context: Context) -> None:
        self._name = name
        self._reader = reader
        self.context = context
        self.issues: list[Issue] = []
        self.left_out = 0
        self._unmapped: dict[tuple[str, str, str, bool], int] = {}
        # What was told of this record by the document rule that is applied, and by those before it.
        self._told: set[tuple[object, ...]] = set()
        self._told_before: set[tuple[object, ...]] = set()
        # Where the remark about a value that is not used stands in `issues`, and how it read, by the place of the value.
        self._unused: dict[Place, tuple[int, Issue]] = {}
        self._fallen: dict[tuple[Reason, Place], tuple[int, list[str]]] = {}
        self._counting = False
        self._numbers: set[str] = set()
        self._literals: dict[str, str] = {}
        self._record: Record | None = None
        self._source = ""
        self._pointer = ""

    def begin_record(self) -> None:
        """
        Say that the next record begins.
        """
        self._told = set()
        self._told_before = set()
        self._unused = {}
        self._fallen = {}

    def begin_document(self) -> None:
        """
        Say that the next document rule begins on this record: what the earlier ones told of a cell is not told again.
        """
        self._told_before |= self._told
        self._told = set()

    def at(self, record: Record, source: str, pointer: str) -> None:
        """
        Say which value is being read.
        """
        self._record = record
        self._source = source
        self._pointer = pointer

    def warn(self, reason: Reason) -> None:
        """
        Tell the sender something about the value being read.
        """
        if not self._counting:
            self._tell(reason, self._place())

    def refuse(self, reason: Reason) -> None:
        """
        Tell why the value being read is not used.
        """
        if not self._counting and self._tell(reason, place := self._place()):
            self._unused.setdefault(place, (len(self.issues) - 1, self.issues[-1]))

    def _place(self) -> Place:
        line, column = self._reader.place(self._record, self._source) if self._record else (1, None)
        return self._pointer, line, column

    def _tell(self, reason: Reason, place: Place) -> bool:
        """
        Add a remark, unless it was made of this place by an earlier document of the record, or there are too many.
        """
        return self._is_new(reason.code, *place) and self._add(reason, place)

    def _add(self, reason: Reason, place: Place) -> bool:
        if len(self.issues) >= MAX_ISSUES:
            if len(self.issues) == MAX_ISSUES:
                self.issues.append(warning(TOO_MANY.code, "", TOO_MANY.message_fr, TOO_MANY.message_en))
            return False
        pointer, line, column = place
        self.issues.append(Issue(reason.code, pointer, reason.message_fr, reason.message_en, line=line, column=column))
        return True

    def _is_new(self, *told: object) -> bool:
        self._told.add(told)
        return told not in self._told_before

    def leave_out(self, reason: Reason, kind: str) -> None:
        """
        Tell why what is being read gives no document, and count it (`left_out`); `kind` names the document when the record
        makes others ("" when it is the only one). A cell whose own remark stands already, or of which an earlier document
        said the same, keeps one remark, completed.
        """
        self.left_out += 1
        place = self._place()
        index, kinds = self._fallen.get((reason, place), (-1, []))
        kinds = list(dict.fromkeys([*kinds, kind])) if kind else []
        french, english = left_sentences(kinds)
        fallen, before = (reason, place), self._unused.get(place) if reason is REQUIRED_MISSING else None
        if before:
            index, said = before
            reason = Reason(reason.code, said.message_fr + NEEDED[0], said.message_en + NEEDED[1])
        told = Reason(
            reason.code, reason.message_fr.replace("{left}", french), reason.message_en.replace("{left}", english)
        )
        if index >= 0:
            self.issues[index] = replace(
                self.issues[index], code=told.code, message_fr=told.message_fr, message_en=told.message_en
            )
        elif self._add(told, place):
            index = len(self.issues) - 1
        self._fallen[fallen] = index, kinds

    @contextmanager
    def counting(self) -> Iterator[None]:
        """
        Read what is left out: its values without a shared code are counted, and nothing else is told of it.
        """
        before, self._counting = self._counting, True
        try:
            yield
        finally:
            self._counting = before

    def number_in_text(self) -> None:
        """
        Tell, once for each column, that a text came as a number.
        """
        if not self._counting and self._pointer not in self._numbers:
            self._numbers.add(self._pointer)
            self.warn(NUMBER_IN_TEXT)

    def document_id(self, kind: str, key: Sequence[str]) -> str:
        """
        See `Notes.document_id`.
        """
        return self.context.document_id(f"{self._name}/{kind}/{json.dumps(key, ensure_ascii=False)}")

    def code(self, table: Table, value: str) -> str | None:
        """
        The shared code of a value; one that the table does not know is told, counted, and kept for `local.fields`.

        Unknown values take the shared code of the row `*`, when the table has one.
        """
        shared = table.shared(value)
        if shared is None:
            known = table.knows(value)
            count = (table.name, self._pointer, value[:80], known)
            if self._is_new(*count):
                self._unmapped[count] = self._unmapped.get(count, 0) + 1
            if not known:
                if self._counting:
                    return table.otherwise
                if len(self._literals) < _LITERALS:
                    self._literals.setdefault(field_name(self._source), value[:1000])
                self.warn(CODE_UNKNOWN)
                return table.otherwise
        return shared

    def keep_literals(self, document: Document) -> None:
        """
        Put the words that no table knows beside the document's shared values, then forget them.
        """
        if self._literals:
            kept = document.setdefault("local", {}).setdefault("fields", {})
            for name, value in self._literals.items():
                kept.setdefault(name, value)
            self._literals = {}

    def unmapped(self) -> tuple[Unmapped, ...]:
        """
        The values without a shared code, the most frequent first.
        """
        found = (Unmapped(*key[:3], count, key[3]) for key, count in self._unmapped.items())
        return tuple(sorted(found, key=lambda each: (-each.count, each.table, each.value)))


def field_name(source: str) -> str:
    """
    A column's name as a name of `local.fields`: letters, digits, `_`, `.` and `-`.
    """
    kept = "".join(
        character if character.isascii() and (character.isalnum() or character in "_.-") else "_"
        for character in source
    )
    return kept.strip("_")[:64] or "valeur"
