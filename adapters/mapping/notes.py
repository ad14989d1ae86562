"""
What a mapping tells while it translates: the reason for each warning or refusal of a value, as fixed sentences.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol


class Reason(NamedTuple):
    """
    Why a value was repaired or left out: a stable word for programs, a sentence in French, one in English.
    """

    code: str
    message_fr: str
    message_en: str


class Notes(Protocol):
    """
    What a step of a rule may use beside the value: identifiers of documents, and a place to tell a repair.
    """

    def document_id(self, kind: str, key: Sequence[str]) -> str:
        """
        The identifier that this format gives to the document of that kind and that business key.
        """

    def warn(self, reason: Reason) -> None:
        """
        Tell the sender something about the value being read; the value is used all the same.
        """


Read = Callable[[str, Notes], Any]
Write = Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Step:
    """
    One function of a rule: `read` gives a value or raises `Unreadable`, `write` gives the partner's text back.
    """

    read: Read
    write: Write


class Silent:
    """
    Notes for what has nobody to tell: writing, and the reading of a key whose cell its own rule tells about.
    """

    def warn(self, reason: Reason) -> None:
        """
        Nothing.
        """

    def document_id(self, kind: str, key: Sequence[str]) -> str:
        """
        No identifier is made.
        """
        del kind, key
        return ""


class Unreadable(Exception):
    """
    A value has not the form that its step expects; it is left out and told.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.code)
        self.reason = reason


class Number(str):
    """
    The text of a cell that the file holds as a number: zeros on its left may have been lost.
    """

    __slots__ = ()


def unreadable(expected_fr: str, expected_en: str) -> Unreadable:
    """
    The refusal of a value that should be `expected`.
    """
    return Unreadable(
        Reason(
            "cell_unreadable",
            f"On attend ici {expected_fr} : cette valeur n'est pas reprise.",
            f"Expected here: {expected_en}. This value is not used.",
        )
    )


ZERO_RESTORED: Final = Reason(
    "zero_restored",
    "Des zéros à gauche avaient disparu (tableur) : ils ont été remis. Mettez la colonne au format texte.",
    "Zeros on the left had disappeared (spreadsheet): they were put back. Give the column the text format.",
)
DECIMAL_REMOVED: Final = Reason(
    "decimal_removed",
    "Un numéro était écrit comme un nombre à virgule (tableur) : « .0 » a été retiré. Mettez la colonne au format texte.",
    "A number was written with decimals (spreadsheet): “.0” was removed. Give the column the text format.",
)
DIGITS_LOST: Final = Unreadable(
    Reason(
        "digits_lost",
        "Un tableur a remplacé ce numéro par un nombre approché (E+…) : les chiffres perdus ne se devinent pas. "
        "Mettez la colonne au format texte et exportez de nouveau.",
        "A spreadsheet replaced this number by an approximate one (E+…): the lost digits cannot be guessed. "
        "Give the column the text format and export again.",
    )
)
DATE_SERIAL: Final = Reason(
    "date_serial",
    "Cette date était un nombre de jours de tableur : elle a été convertie. Mettez la colonne au format date.",
    "This date was a spreadsheet's count of days: it was converted. Give the column the date format.",
)
NUMBER_IN_TEXT: Final = Reason(
    "number_in_text",
    "Cette colonne contient des nombres : si ce sont des numéros, des zéros à gauche ont pu disparaître. "
    "Mettez-la au format texte.",
    "This column holds numbers: if they are identifiers, zeros on the left may have disappeared. "
    "Give it the text format.",
)


def text_of(value: Any) -> str:
    """
    A value of a file as one line of text: spaces gathered, accents composed (NFC).
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return Number(int(value))
    return Number(value)
