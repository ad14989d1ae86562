"""
One translation of one file: what is told on the way, the values without a shared code, the identifiers.
"""

import json
from collections.abc import Sequence
from typing import Final

from adapters.base import Context, Unmapped, warning
from adapters.mapping.notes import NUMBER_IN_TEXT, Reason
from adapters.mapping.records import Reader, Record
from adapters.tables import Table
from schemas import Document, Issue

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
    "Cette valeur est nécessaire et manque, ou ne se lit pas : l'enregistrement n'est pas repris.",
    "This value is needed and is missing, or cannot be read: the record is not used.",
)
ITEM_INCOMPLETE: Final = Reason(
    "item_incomplete",
    "Il manque une valeur nécessaire à cet élément de liste : il n'est pas repris.",
    "A value that this list item needs is missing: the item is not used.",
)
KEY_MISSING: Final = Reason(
    "key_missing",
    "La référence qui reconnaît ce dossier manque : l'enregistrement n'est pas repris.",
    "The reference that recognises this case is missing: the record is not used.",
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
        f"Cet enregistrement ne fait pas un document valable et n'est pas repris. {issue.message_fr}",
        f"This record does not make a valid document and is not used. {issue.message_en}",
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
        line, column = self._reader.place(self._record, self._source) if self._record else (1, None)
        if not self._is_new(reason.code, self._pointer, line, column):
            return
        if len(self.issues) >= MAX_ISSUES:
            if len(self.issues) == MAX_ISSUES:
                self.issues.append(warning(TOO_MANY.code, "", TOO_MANY.message_fr, TOO_MANY.message_en))
            return
        self.issues.append(
            Issue(reason.code, self._pointer, reason.message_fr, reason.message_en, line=line, column=column)
        )

    def _is_new(self, *told: object) -> bool:
        self._told.add(told)
        return told not in self._told_before

    def leave_out(self, reason: Reason) -> None:
        """
        Tell why what is being read gives no document, and count it (`left_out`).
        """
        self.left_out += 1
        self.warn(reason)

    def number_in_text(self) -> None:
        """
        Tell, once for each column, that a text came as a number.
        """
        if self._pointer not in self._numbers:
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
