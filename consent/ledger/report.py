"""
What a verification found, in French and in English, for people and for programs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from consent.ledger.catalogue import CATALOGUE
from consent.ledger.event_types import EventType
from consent.ledger.findings import Finding

VALID, INVALID, UNUSABLE = "valid", "invalid", "unusable"
EXIT_CODES = {VALID: 0, INVALID: 1, UNUSABLE: 2}


@dataclass(frozen=True, slots=True)
class Report:
    """
    The result of a verification. `outcome` is `valid`, `invalid` (something was altered) or `unusable` (nothing to verify).

    Facts are None when they could not be established: `origin`, `size` and `root` (hex) of the verified checkpoint, `index`
    of a receipt's entry, the `event` it shows, who `cosigned` and when (POSIX seconds). `checked` counts what was compared.
    `warnings` never change the outcome.
    """

    outcome: str
    findings: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()
    origin: str | None = None
    size: int | None = None
    root: str | None = None
    index: int | None = None
    event: Mapping[str, Any] | None = None
    cosigned: Mapping[str, int] = field(default_factory=dict)
    checked: Mapping[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether everything verified."""
        return self.outcome == VALID

    @property
    def exit_code(self) -> int:
        """What a command exits with: 0 valid, 1 invalid, 2 unusable input."""
        return EXIT_CODES[self.outcome]

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values, for `json.dumps`."""
        return {
            "outcome": self.outcome,
            "origin": self.origin,
            "size": self.size,
            "root": self.root,
            "index": self.index,
            "event": self.event,
            "cosigned": dict(self.cosigned),
            "checked": dict(self.checked),
            "findings": _listed(self.findings),
            "warnings": _listed(self.warnings),
        }

    def to_text_fr(self) -> str:
        """The report as French text, lines ended by newlines."""
        verdict = {
            VALID: "VALIDE : rien n’a été altéré.",
            INVALID: "NON VALIDE : quelque chose a été altéré.",
            UNUSABLE: "INUTILISABLE : il n’y a pas de quoi vérifier.",
        }
        words = (
            "Journal",
            "Entrées signées",
            "Racine",
            "Entrée du reçu",
            "Événement",
            "Cosigné par",
            "Contrôlé",
            "Attention",
        )
        return self._text(verdict[self.outcome], words, french=True)

    def to_text_en(self) -> str:
        """The report as English text, lines ended by newlines."""
        verdict = {
            VALID: "VALID: nothing was altered.",
            INVALID: "NOT VALID: something was altered.",
            UNUSABLE: "UNUSABLE: there is nothing to verify.",
        }
        words = ("Log", "Signed entries", "Root", "Entry of the receipt", "Event", "Cosigned by", "Checked", "Note")
        return self._text(verdict[self.outcome], words, french=False)

    def _text(self, verdict: str, words: tuple[str, ...], *, french: bool) -> str:
        colon = " : " if french else ": "
        facts = (
            self.origin,
            self.size,
            self.root,
            self.index,
            self._event_title(french=french),
            ", ".join(sorted(self.cosigned)) or None,
            ", ".join(f"{count} {_UNITS[unit][0 if french else 1]}" for unit, count in self.checked.items()) or None,
        )
        lines = [
            verdict,
            *(f"{word}{colon}{fact}" for word, fact in zip(words, facts, strict=False) if fact is not None),
        ]
        lines += [f"- {finding.message_fr if french else finding.message_en}" for finding in self.findings]
        lines += [f"{words[-1]}{colon}{note.message_fr if french else note.message_en}" for note in self.warnings]
        return "\n".join(lines) + "\n"

    def _event_title(self, *, french: bool) -> str | None:
        if self.event is None:
            return None
        kind = self.event.get("type")
        if not isinstance(kind, str) or kind not in set(EventType):
            return ascii(kind)[:60]  # a terminal must not obey what a file says
        wording = CATALOGUE[EventType(kind)]
        return f"{wording.title_fr if french else wording.title_en} ({kind})"


_UNITS = {
    "entries": ("entrées", "entries"),
    "index_roots": ("états de l’index", "states of the index"),
    "files": ("fichiers", "files"),
    "pages": ("pages", "pages"),
    "rows": ("lignes", "rows"),
    "matching": ("événements demandés", "events asked for"),
    "disclosed": ("événements ouverts", "events opened"),
}


def _listed(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    return [
        {
            "code": finding.code,
            "file": finding.file,
            "offset": finding.offset,
            "index": finding.index,
            "message_fr": finding.message_fr,
            "message_en": finding.message_en,
        }
        for finding in findings
    ]
