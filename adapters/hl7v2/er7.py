"""
HL7 v2 messages as trees and back: delimiters, escapes and character sets (HL7 v2.5.1, chapter 2, sections 2.5 to 2.7 and 2.10).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import hl7

from adapters.base import FileRefused

Message = dict[str, list[dict[str, Any]]]
"""The segments of a message by name: `{"PID": [{"PID-5": [{"PID-5.1": "MARTIN"}]}]}`; what is empty is left out."""

CHARSETS: Final[Mapping[str, str]] = {
    "": "utf-8",
    "ASCII": "ascii",
    "8859/1": "iso-8859-1",
    "8859/15": "iso-8859-15",
    "UNICODE UTF-8": "utf-8",
}
"""MSH-18 (table 0211) and the encoding it names; without it, strict UTF-8."""

_MAX_BYTES: Final = 50_000_000
_FRAME: Final = b"\x0b\x1c\r\n "
_SEGMENT: Final = re.compile(r"[A-Z][A-Z0-9]{2}")
_ESCAPE: Final = re.compile(r"\\([^\\]{0,40})\\")
_WRITTEN: Final = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\", "\n": "\\.br\\"}
_ORDER: Final = ("MSH", "RF1", "PRD", "PID", "NTE")
_READ: Final = {"E": "\\", "F": "|", "S": "^", "T": "&", "R": "~", ".br": "\n", "H": "", "N": ""}


def read(raw: bytes) -> list[Message]:
    """
    The messages of a file, MLLP frames and all. Raises `FileRefused` when one is cut, is no REF^I12, or cannot be decoded.
    """
    if len(raw) > _MAX_BYTES:
        raise _refused(
            "too_large", "Le fichier est trop grand : envoyez-le en plusieurs fois.", "The file is too large."
        )
    text = _decoded(raw.strip(_FRAME))
    if not raw.rstrip(b"\x1c\r\n").strip(_FRAME) or not raw.endswith((b"\r", b"\n", b"\x1c")):
        raise _refused("truncated", "Le message est coupé : son dernier segment n'est pas fini.", "The message is cut.")
    lines = [line for line in re.split(r"[\r\n\x0b\x1c]+", text) if line]
    starts = [index for index, line in enumerate(lines) if line.startswith("MSH")]
    if not starts or starts[0] != 0:
        raise _refused("not_hl7", "Ce n'est pas un message HL7 v2 : il commence par MSH.", "This is no HL7 v2 message.")
    return [_message(lines[start:end]) for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)]


def write(messages: Sequence[Mapping[str, Any]]) -> bytes:
    """
    Messages in UTF-8, delimiters `|^~\\&`, each segment ended by a carriage return.
    """
    return "".join(segment + "\r" for message in messages for segment in _segments(message)).encode()


def _decoded(raw: bytes) -> str:
    first = re.split(rb"[\r\n]", raw, maxsplit=1)[0]
    fields = first.split(first[3:4]) if len(first) > 4 else []
    named = fields[17].decode("ascii", "replace").split("~")[0] if len(fields) > 17 else ""
    if named not in CHARSETS:
        raise _refused(
            "encoding_not_accepted",
            "MSH-18 nomme un jeu de caractères que la passerelle ne lit pas : écrivez en UNICODE UTF-8.",
            "MSH-18 names a character set that the gateway does not read: write in UNICODE UTF-8.",
        )
    try:
        text = raw.decode(CHARSETS[named])
        if named.startswith("8859") and not raw.isascii() and _is_utf8(raw):
            raise ValueError("UTF-8 that says it is Latin")
    except ValueError:
        raise _refused(
            "encoding_wrong",
            "Le message n'est pas dans le jeu de caractères que dit MSH-18 (sans lui : UTF-8).",
            "The message is not in the character set that MSH-18 names (without it: UTF-8).",
        ) from None
    return text


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _message(lines: Sequence[str]) -> Message:
    head = lines[0]
    if len(head) < 9 or head[3:8] != "|^~\\&":
        raise _refused("delimiters", "Les délimiteurs attendus sont |^~\\&.", "The delimiters expected are |^~\\&.")
    try:
        parsed = hl7.parse("\r".join(lines))
    except (hl7.HL7Exception, ValueError, IndexError):
        raise _refused("not_hl7", "Ce message HL7 ne se lit pas.", "This HL7 message cannot be read.") from None
    message: Message = {}
    for segment in parsed:
        name = str(segment[0])
        if not _SEGMENT.fullmatch(name):
            raise _refused("not_hl7", "Un segment n'a pas de nom HL7.", "A segment has no HL7 name.")
        message.setdefault(name, []).append(_fields(name, segment))
    kind = message["MSH"][0].get("MSH-9", [{}])[0]
    if (kind.get("MSH-9.1"), kind.get("MSH-9.2")) != ("REF", "I12"):
        raise _refused(
            "message_not_read",
            "Seules les orientations REF^I12 se lisent ici ; ce message est d'un autre type (MSH-9).",
            "Only REF^I12 referrals are read here; this message is of another type (MSH-9).",
        )
    return message


def _fields(name: str, segment: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number in range(1, len(segment)):
        if name == "MSH" and number < 3:
            continue
        label = f"{name}-{number}"
        repetitions = [dict(_components(label, part)) for part in str(segment[number]).split("~")]
        if filled := [each for each in repetitions if each]:
            found[label] = filled
    return found


def _components(label: str, text: str) -> Iterator[tuple[str, str]]:
    for number, component in enumerate(text.split("^"), 1):
        # The first subcomponent is what is read (a street, a surname); the others are named, so that they are counted.
        for rank, part in enumerate(component.split("&"), 1):
            if (value := _ESCAPE.sub(_unescaped, part)) and value != '""':
                yield f"{label}.{number}" + (f".{rank}" if rank > 1 else ""), value


def _unescaped(match: re.Match[str]) -> str:
    code = match.group(1)
    if code in _READ:
        return _READ[code]
    if re.fullmatch(r"X(?:[0-9A-F]{2})+", code):
        return bytes.fromhex(code[1:]).decode("utf-8", "replace")
    return match.group(0)


def _segments(message: Mapping[str, Any]) -> Iterator[str]:
    for name, found in sorted(message.items(), key=lambda each: _ORDER.index(each[0])):
        for segment in found if isinstance(found, list) else [found]:
            yield _written(name, segment)


def _written(name: str, segment: Mapping[str, Any]) -> str:
    numbers = {int(label.partition("-")[2]): value for label, value in segment.items() if "[" not in label}
    first = 3 if name == "MSH" else 1
    cells = [_cell(name, number, numbers.get(number)) for number in range(first, max(numbers, default=0) + 1)]
    return "|".join([name, *(["^~\\&"] if name == "MSH" else []), *cells])


def _cell(name: str, number: int, value: Any) -> str:
    repetitions = value if isinstance(value, list) else [value]
    return "~".join(_repetition(f"{name}-{number}", each) for each in repetitions if each)


def _repetition(label: str, value: Mapping[str, Any]) -> str:
    places = {int(name.rpartition(".")[2]): text for name, text in value.items()}
    return "^".join(escaped(str(places.get(number, ""))) for number in range(1, max(places, default=0) + 1))


def escaped(text: str) -> str:
    """
    A text as a field holds it: its delimiters and line ends escaped.
    """
    return "".join(_WRITTEN.get(character, character) for character in text.replace("\r\n", "\n").replace("\r", "\n"))


def _refused(code: str, message_fr: str, message_en: str) -> FileRefused:
    return FileRefused(code, message_fr, message_en, quarantine=code in {"truncated", "encoding_wrong"})
