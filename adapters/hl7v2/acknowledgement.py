"""
The answer to HL7 v2 messages, in HL7 v2: an ACK each, accepted (AA), with a fault to correct (AE), or not for here (AR).

HL7 v2.5.1, chapter 2, sections 2.9.2 (original mode) and 2.15 (MSH, MSA, ERR). Pure: the hour is given.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from adapters.hl7v2 import er7

MEDIA_TYPE: Final = "x-application/hl7-v2+er7"
_ANOTHER: Final = "message_not_read"
_START: Final = re.compile(rb"(?:^|[\r\n\x0b\x1c])(MSH[^\r\n]*)")
_FIELDS: Final = 18


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a message is not accepted: a stable word, a sentence in French, and where (a segment and a field), never a value."""

    code: str
    message: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one message: the exchange it made, or the faults that kept it from making one."""

    exchange: str | None
    faults: tuple[Fault, ...] = ()

    @property
    def code(self) -> str:
        """The acknowledgement code (table 0008)."""
        if not self.faults:
            return "AA"
        return "AR" if any(fault.code == _ANOTHER for fault in self.faults) else "AE"


def acknowledge(raw: bytes, answers: Mapping[int, Answer], otherwise: Answer, now: datetime) -> bytes:
    """
    Write an ACK for each message of what was sent; `answers` are by their rank (from 1), `otherwise` that of the others.

    In the frame of MLLP when the messages were. What is no message at all has one ACK, which names no message.
    """
    headers = [_header(found) for found in _START.findall(raw)] or [{}]
    written = b""
    for rank, header in enumerate(headers, 1):
        answer = answers.get(rank, otherwise)
        message = "".join("|".join(fields) + "\r" for fields in _segments(header, answer, now, rank)).encode()
        written += b"\x0b" + message + b"\x1c\r" if raw[:1] == b"\x0b" else message
    return written


def _segments(header: Mapping[int, str], answer: Answer, now: datetime, rank: int) -> Iterator[Sequence[str]]:
    control = header.get(10, "")
    at = now.strftime("%Y%m%d%H%M%S%z")
    number = hashlib.sha256(f"{at}/{rank}/{control}".encode()).hexdigest()[:20]
    sender, facility = header.get(3, ""), header.get(4, "")
    ours = header.get(6, "")
    msh = ["MSH", "^~\\&", "TRAIT-D-UNION", ours, sender, facility, at, "", "ACK^I12^ACK", number]
    yield [*msh, header.get(11, "P"), "2.5", *[""] * 5, "UNICODE UTF-8"]
    yield ["MSA", answer.code, control, *([answer.exchange] if answer.exchange else [])]
    for fault in answer.faults:
        yield [
            "ERR",
            "",
            er7.escaped(fault.place),
            "207",
            "E",
            er7.escaped(fault.code),
            "",
            "",
            er7.escaped(fault.message),
        ]


def _header(found: bytes) -> dict[int, str]:
    """The fields of an MSH by number, as they were written; whatever else is wrong with the message."""
    text = found.decode("utf-8", "replace")
    cells = text.split(text[3:4])[:_FIELDS] if len(text) > 8 else []
    return {number: cell for number, cell in enumerate(cells, 1) if cell and "|" not in cell and cell.isprintable()}
