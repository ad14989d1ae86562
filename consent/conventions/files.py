"""
Conventions as people write them: YAML with comments, or JSON, read strictly and with the place of every value.

YAML is read as a way of writing JSON and nothing more: no anchors or aliases (their expansion can be made enormous), no
tags, no repeated keys, and the scalars of JSON only, so that `2026-01-01`, `no` and `039` stay texts.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import rfc8785
import yaml

from consent.conventions.checks import ConventionRefused, Place, check
from consent.conventions.convention import Convention
from schemas import MalformedJson, parse_json
from schemas.positions import escape

MAX_BYTES: Final = 256_000
MAX_DEPTH: Final = 16

# What a plain scalar means besides a text: the words and the numbers of JSON.
_WORDS: Final[Mapping[str, bool | None]] = {"": None, "~": None, "null": None, "true": True, "false": False}
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")

_SENTENCES: Final = {
    "too_large": (
        "Le fichier de la convention est trop gros : 256 ko au plus.",
        "The convention's file is too large: at most 256 kB.",
    ),
    "too_deep": ("Le fichier emboîte trop de niveaux.", "The file nests too many levels."),
    "encoding": ("Le fichier n'est pas en UTF-8.", "The file is not UTF-8."),
    "syntax": (
        "La syntaxe YAML est incorrecte ici : vérifiez le décalage des lignes et les guillemets.",
        "The YAML syntax is wrong here: check the indentation and the quotes.",
    ),
    "duplicate_key": (
        "La même propriété est donnée deux fois. Gardez-en une seule.",
        "The same property is given twice. Keep only one.",
    ),
    "key_not_text": ("Le nom d'une propriété doit être un texte.", "The name of a property must be a text."),
    "anchor": (
        "Les ancres et les renvois (& et *) ne sont pas admis : écrivez la valeur en entier.",
        "Anchors and aliases (& and *) are not allowed: write the value in full.",
    ),
    "tag": ("Les étiquettes YAML (!) ne sont pas admises.", "YAML tags (!) are not allowed."),
    "number_range": (
        "Un nombre du fichier est trop grand : écrivez un identifiant entre guillemets.",
        "A number of the file is too large: write an identifier between quotes.",
    ),
    "empty": ("Le fichier est vide.", "The file is empty."),
    "several": (
        "Le fichier contient plusieurs documents : une convention par fichier.",
        "The file holds several documents: one convention per file.",
    ),
}


class ConventionUnreadable(ValueError):
    """
    The file is not YAML or JSON that every reader would understand alike.

    `code` for programs, a sentence in French and in English, `line` and `column` from 1 when the place is known.
    It holds nothing of the file.
    """

    def __init__(self, code: str, message_fr: str, message_en: str, place: Place | None = None) -> None:
        line, column = place or (None, None)
        super().__init__(f"{message_fr} (ligne {line}, colonne {column})" if place else message_fr)
        self.code = code
        self.message_fr = message_fr
        self.message_en = message_en
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Loaded:
    """
    A file that was read: its value, and the line and column (from 1) of each JSON pointer when it was YAML.
    """

    document: Any
    places: Mapping[str, Place]


def read(raw: bytes, state: str = "proposed") -> Convention:
    """
    The convention of a YAML or JSON file.

    Raises ConventionUnreadable when the file cannot be read and ConventionRefused, with all its problems, when what it
    says is not a sound convention.
    """
    loaded = load(raw)
    # Checked here first, for the lines and columns of the file.
    issues = check(loaded.document, loaded.places)
    if issues:
        raise ConventionRefused(issues)
    return Convention.from_document(loaded.document, state)


def load(raw: bytes) -> Loaded:
    """
    The value of a YAML or JSON file, unchecked: JSON when it begins with a brace. Raises ConventionUnreadable.
    """
    if len(raw) > MAX_BYTES:
        _refuse("too_large")
    if raw.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return Loaded(_strict_json(raw), {})
    return load_yaml(raw)


def load_yaml(raw: bytes) -> Loaded:
    """
    The value of a YAML file, unchecked, with the place of every pointer. Raises ConventionUnreadable.
    """
    if len(raw) > MAX_BYTES:
        _refuse("too_large")
    reader = _Reader(_text(raw))
    document = reader.document()
    # What YAML lets through and strict JSON does not (invisible characters, huge numbers) is refused by the same rules.
    try:
        canonical = rfc8785.dumps(document)
    except rfc8785.CanonicalizationError:
        _refuse("number_range")
    try:
        return Loaded(parse_json(canonical, max_bytes=MAX_BYTES, max_depth=MAX_DEPTH), reader.places)
    except MalformedJson as error:
        raise ConventionUnreadable(error.code, error.message_fr, error.message_en) from None


def _strict_json(raw: bytes) -> Any:
    try:
        return parse_json(raw, max_bytes=MAX_BYTES, max_depth=MAX_DEPTH)
    except MalformedJson as error:
        raise ConventionUnreadable(error.code, error.message_fr, error.message_en, (error.line, error.column)) from None


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        _refuse("encoding")


class _Reader:
    """
    Turns the events of a YAML text into JSON values, noting where each stands; refuses what is not JSON at once.
    """

    def __init__(self, text: str) -> None:
        self._events = yaml.parse(text, Loader=yaml.SafeLoader)
        self.places: dict[str, Place] = {}

    def document(self) -> Any:
        """
        The only document of the text. Raises ConventionUnreadable.
        """
        try:
            self._next()  # the start of the stream
            if isinstance(self._next(), yaml.StreamEndEvent):
                _refuse("empty")
            value = self._value(self._next(), "", 0)
            self._next()  # the end of the document
            after = self._next()
            if not isinstance(after, yaml.StreamEndEvent):
                _refuse("several", after)
        except yaml.MarkedYAMLError as error:
            _refuse("syntax", error.problem_mark or error.context_mark)
        except yaml.YAMLError:
            _refuse("syntax")
        return value

    def _next(self) -> Any:
        return next(self._events)

    def _value(self, event: Any, pointer: str, depth: int) -> Any:
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            _refuse("anchor", event)
        if event.tag is not None:
            _refuse("tag", event)
        if depth > MAX_DEPTH:
            _refuse("too_deep", event)
        self.places[pointer] = _place(event)
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event) if event.implicit[0] else event.value
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(pointer, depth)
        return self._mapping(pointer, depth)

    def _sequence(self, pointer: str, depth: int) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._value(event, f"{pointer}/{len(items)}", depth + 1))
        return items

    def _mapping(self, pointer: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._value(event, pointer + "/", depth + 1)
            if not isinstance(key, str):
                _refuse("key_not_text", event)
            if key in found:
                _refuse("duplicate_key", event)
            found[key] = self._value(self._next(), f"{pointer}/{escape(key)}", depth + 1)
        return found


def _scalar(event: yaml.ScalarEvent) -> Any:
    text = event.value
    if text in _WORDS:
        return _WORDS[text]
    if not _NUMBER.fullmatch(text):
        return text
    try:
        return json.loads(text)
    except ValueError:  # Python reads no integer of more than 4,300 digits
        _refuse("number_range", event)


def _place(where: Any) -> Place:
    mark = getattr(where, "start_mark", where)
    return mark.line + 1, mark.column + 1


def _refuse(code: str, where: Any = None) -> NoReturn:
    """
    Refuse the file, at an event or a mark of the YAML reader when there is one.
    """
    raise ConventionUnreadable(code, *_SENTENCES[code], _place(where) if where else None)
