"""
The words every house shares: the kinds of document, a document, and one thing wrong with it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

Document: TypeAlias = dict[str, Any]


class Kind(StrEnum):
    """
    What a document is; also the name of its schema's folder and the value of its `kind` property.
    """

    REFERRAL = "referral"
    BILAN = "bilan"
    CONSENT = "consent"
    STATUS = "status"
    CONVENTION = "convention"


@dataclass(frozen=True, slots=True)
class Issue:
    """
    One thing wrong with a document, told to the person who can mend it.

    `code` is a stable word for programs, `pointer` an RFC 6901 JSON pointer into the document (its parts that no
    schema names are written `*`, since a partner may have put a name or a number there), `suggestion` an allowed
    code or property name, `line` and `column` (from 1, in characters) a place in the file that was received.
    No field ever holds a value of the document.
    """

    code: str
    pointer: str
    message_fr: str
    message_en: str
    suggestion: str | None = None
    line: int | None = None
    column: int | None = None
