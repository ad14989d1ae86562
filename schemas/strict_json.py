"""
The one JSON parser of the edge: what it lets in means the same thing to every program that reads it afterwards.

Refused, each with a sentence, a line and a column: anything but UTF-8, a property given twice (two readers would choose
differently), NaN and Infinity, numbers that others would round, lone surrogates, NUL, the invisible characters that
reverse the reading order, and documents beyond the caps below.
Sources: RFC 8259, RFC 7493 (I-JSON), Unicode TR 36 section 3.
"""

import json
import re
from math import isinf
from typing import Any, Final, NoReturn

import orjson

from schemas.malformed import MalformedJson
from schemas.positions import STRING, Scan, line_and_column

MAX_BYTES: Final = 2_000_000
"""Documents carry references to attachments, never the files: our largest example has 8 kB."""

MAX_DEPTH: Final = 64
"""The shared schemas need fewer than 10 levels; 64 leaves room to any partner's file and stays far from any parser's stack."""

MAX_ITEMS: Final = 100_000
"""Values and keys in one document; bounds the memory a small hostile body can claim (`[[],[],…` costs twenty times its size)."""

_LARGEST_INTEGER: Final = 2**53 - 1
_DIGITS: Final = 17
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_BIDI_CODES = frozenset([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
_BIDI_BYTES = re.compile(rb"\xe2(?:\x80[\xaa-\xae]|\x81[\xa6-\xa9])")
_RISKY_ESCAPE = re.compile(rb"\\u(?:00[0-7]|20[26])")
_DIGITS_AS_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = b"0" * _DIGITS
_STRING_OR_BRACKET = re.compile(STRING.pattern + r"|[\[\]{}]", re.DOTALL)
_NOT_BRACKETS = bytes(sorted(set(range(256)) - set(b"[]{}")))
_BRACES_AS_BRACKETS = bytes.maketrans(b"{}", b"[]")
_UNDECIDED: Final = object()

# The standard library's messages, by their first words: they say more than "syntax error" and hold no value.
_SYNTAX_CODES: Final = (
    ("Expecting ',' delimiter", "missing_comma"),
    ("Expecting ':' delimiter", "missing_colon"),
    ("Expecting value", "missing_value"),
    ("Expecting property name", "missing_name"),
    ("Illegal trailing comma", "trailing_comma"),
    ("Unterminated string", "unterminated"),
    ("Invalid control character", "control_character"),
    ("Invalid \\", "bad_escape"),
    ("Extra data", "extra_data"),
)


class _Refused(Exception):
    """
    Raised inside the parser's hooks, which do not know where they are.
    """


def parse_json(
    raw: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH, max_items: int = MAX_ITEMS
) -> Any:
    """
    Read a JSON document (UTF-8, with or without a byte order mark) strictly.

    Returns dicts, lists, strings, ints within ±(2^53 - 1), finite floats, booleans and None.
    Raises MalformedJson, and nothing else, whatever the bytes.
    """
    if len(raw) > max_bytes:
        raise MalformedJson("too_large", limit=max_bytes)
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    _check_size(raw, max_depth, max_items)
    quick = _parse_ordinary(raw)
    return _parse_anything(raw) if quick is _UNDECIDED else quick


def _check_size(raw: bytes, max_depth: int, max_items: int) -> None:
    """
    Refuse what nests too deep or holds too much, before a parser builds anything.

    Most documents are cleared by counting bytes; the others have their strings set aside and are counted exactly.
    """
    opened = raw.count(b"{") + raw.count(b"[")
    if opened <= max_depth and opened + raw.count(b",") + raw.count(b":") < max_items:
        return
    outside_strings = b"".join(raw.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    if sum(map(outside_strings.count, b"{[,:")) >= max_items:
        raise MalformedJson("too_many_items", limit=max_items)
    brackets = outside_strings.translate(_BRACES_AS_BRACKETS, _NOT_BRACKETS)
    for _ in range(max_depth):
        # Each round takes away the innermost pairs; what resists is too deep, or never closed.
        brackets, before = brackets.replace(b"[]", b""), brackets
        if len(brackets) == len(before):
            break
    if brackets and (offset := _offset_beyond(text := _decode(raw), max_depth)) is not None:
        _refuse("too_deep", text, offset, max_depth)


def _offset_beyond(text: str, max_depth: int) -> int | None:
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        character = text[match.start()]
        depth += (character in "[{") - (character in "]}")
        if depth > max_depth:
            return match.start()
    return None


def _parse_ordinary(raw: bytes) -> Any:
    """
    The fast reader's answer where it is proved to be the strict one's, else `_UNDECIDED`.

    orjson refuses NaN, Infinity, overflowing floats, lone surrogates and anything but UTF-8, but keeps the last of two
    equal keys. Unless it is escaped (\\u003a), each colon of the text is either a separator or stands in a string, so a
    key that was dropped leaves fewer colons in what is written back.
    """
    if _RISKY_ESCAPE.search(raw) or _BIDI_BYTES.search(raw) or _LONG_NUMBER in raw.translate(_DIGITS_AS_ZEROS):
        return _UNDECIDED
    try:
        document = orjson.loads(raw)
        written = orjson.dumps(document, option=orjson.OPT_STRICT_INTEGER)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return _UNDECIDED
    return document if raw.count(b":") == written.count(b":") else _UNDECIDED


def _parse_anything(raw: bytes) -> Any:
    """
    The strict reader: the definition of what is accepted, and of what is said about the rest.
    """
    text = _decode(raw)
    problem: tuple[str, int] | None = None
    try:
        document = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        # Not raised from here: the library's error carries the whole document with it.
        problem = _syntax_code(error.msg), error.pos
    except _Refused:
        problem = _first_refusal(text)
    problem = problem or _unwanted_character(text)
    if problem:
        _refuse(problem[0], text, problem[1])
    return document


def _decode(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode(errors="replace")
    else:
        if text and not text.isspace():
            return text
        raise MalformedJson("empty")
    raise MalformedJson("encoding", *line_and_column(before, len(before)))


def _refuse(code: str, text: str, offset: int, limit: int | None = None) -> NoReturn:
    raise MalformedJson(code, *line_and_column(text, offset), limit)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Refused
    return found


def _integer(digits: str) -> int:
    if len(digits) > _DIGITS or not -_LARGEST_INTEGER <= (number := int(digits)) <= _LARGEST_INTEGER:
        raise _Refused
    return number


def _float(digits: str) -> float:
    number = float(digits)
    if isinf(number):
        raise _Refused
    return number


def _constant(_name: str) -> NoReturn:
    raise _Refused


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant)


def _syntax_code(message: str) -> str:
    return next((code for start, code in _SYNTAX_CODES if message.startswith(start)), "syntax")


def _first_refusal(text: str) -> tuple[str, int]:
    """
    What a hook refused, and where: the code and the offset.
    """
    for token in Scan(text):
        if token.repeated:
            return "duplicate_key", token.offset
        if token.role == "value" and (code := _number_code(token.text)):
            return code, token.offset
    return "syntax", 0


def _number_code(text: str) -> str | None:
    if text in {"NaN", "Infinity", "-Infinity"}:
        return "not_a_number"
    if text[0] not in "-0123456789":
        return None
    try:
        _float(text) if set(text) & set(".eE") else _integer(text)
    except _Refused:
        return "number_range"
    except ValueError:
        return None
    return None


def _unwanted_character(text: str) -> tuple[str, int] | None:
    if match := _BIDI.search(text):
        return "bidi_control", match.start()
    high = -1  # where a first half of a surrogate pair stands, as long as the other half may follow
    for match in _ESCAPE.finditer(text):
        code = int(match.group(1), 16) if match.group(1) else -1
        low = 0xDC00 <= code <= 0xDFFF
        if (high >= 0) != low or (low and match.start() != high + 6):
            return "lone_surrogate", high if high >= 0 else match.start()
        high = match.start() if 0xD800 <= code <= 0xDBFF else -1
        if code == 0 or code in _BIDI_CODES:
            return "nul" if code == 0 else "bidi_control", match.start()
    return ("lone_surrogate", high) if high >= 0 else None
