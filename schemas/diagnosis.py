"""
From the errors of the validator to the problems a partner can mend: where, what rule, which code was perhaps meant.

Reads of an error only its kind and its path (the rest of it holds the value) and looks at the document for two things
that never show: to find the nearest allowed code, and to follow the path to a line and a column.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, TypeAlias

from jsonschema_rs import RegexOptions, ValidationError, ValidationErrorKind, Validator, validator_for

from schemas.issue import Issue
from schemas.messages import Rule, issue_code, sentences, with_suggestion
from schemas.positions import escape, locate_all
from schemas.references import ANY, Place, References, annotation, children
from schemas.suggestion import CodeLabels, Suggester

MAX_ISSUES: Final = 100
"""More would not be read, and a hostile document could ask for a hundred thousand sentences."""

_CODED: Final = frozenset({"enum", "pattern", "format"})
_PLAINER: Final = {
    "pattern": ("format", "enum", "minLength", "maxLength"),
    "minLength": ("format", "enum"),
    "maxLength": ("format", "enum"),
    "enum": ("type",),
}
_SPECIAL: Final = "special_"
"""Begins the name of the twin of a property: the one where the codes that reveal special data belong."""

Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class _Finding:
    path: Path
    keyword: str
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Description:
    """
    What the schema says of one place: the schemas written there, all those that they lead to, those of what is inside, by name.
    """

    places: list[Place]
    parts: list[Place]
    inside: dict[str, list[Place]]


class Diagnosis:
    """
    Turns validation errors of one schema into issues.

    `lists` are the code lists by name: for each code, the labels under which people know it.
    """

    def __init__(self, references: References, root: Place, lists: CodeLabels) -> None:
        self._references = references
        self._root = root
        self._suggester = Suggester(lists)
        self._described = lru_cache(maxsize=4096)(self._describe)
        self._accepting = lru_cache(maxsize=64)(self._accept)

    def issues(self, errors: Iterable[ValidationError], document: object, raw: bytes | None = None) -> list[Issue]:
        """
        The issues of a document, in the order of its text when `raw` (the bytes it was read from) is given.
        """
        findings = self._worth_telling(finding for error in errors for finding in _findings(error))
        told = [self._tell(finding, document) for finding in findings[:MAX_ISSUES]]
        if raw is not None:
            pointers = [_pointer(finding.path) for finding in findings[:MAX_ISSUES]]
            places = locate_all(raw, pointers)
            told = [_placed(issue, places.get(pointer)) for issue, pointer in zip(told, pointers, strict=True)]
            told.sort(key=lambda issue: (issue.line or 0, issue.column or 0))
        if len(findings) > MAX_ISSUES:
            told.append(Issue("too_many_issues", "", *sentences(Rule("too_many_issues", {}))))
        return told

    def _worth_telling(self, findings: Iterable[_Finding]) -> list[_Finding]:
        """
        Without repetitions, without the pattern or the length of a value about which something plainer is said, and
        without the properties called unknown only because the branch of the schema that knows them failed.
        An invalid document always keeps at least one.
        """
        unique = {(finding.path, finding.keyword): finding for finding in findings}
        telling = [
            finding
            for (path, keyword), finding in unique.items()
            if not any((path, plainer) in unique for plainer in _PLAINER.get(keyword, ()))
            and not (keyword == "unknown_property" and self._shown(path)[-1] == path[-1])
        ]
        return telling or list(unique.values())

    def _tell(self, finding: _Finding, document: object) -> Issue:
        shown, details = self._shown(finding.path), finding.details
        parts = self._described(_pattern(shown)).parts
        suggestion, labels, keyword = None, ("", ""), finding.keyword
        if finding.keyword == "unknown_property":
            siblings = frozenset(self._described(_pattern(shown[:-1])).inside) - {ANY}
            suggestion = self._suggester.nearest(finding.path[-1], siblings)
        elif finding.keyword == "enum" and (there := self._twin(finding.path, shown, document)):
            keyword, details = "misplaced", {"there": there, "special": there.startswith(_SPECIAL)}
        elif finding.keyword == "not":
            details = {"said": _said_of_what_is_refused(parts)}
        elif finding.keyword in _CODED:
            options = frozenset(option for option in details.get("options", ()) if isinstance(option, str))
            value = _value_at(document, finding.path)
            listed = annotation(parts, "x-code-list")
            suggestion = self._suggester.nearest(value, options, listed)
            if suggestion is not None:
                labels = self._suggester.labels(suggestion, options, listed)
            details = {**details, "list": self._suggester.list_name(options, listed)}
        examples = annotation(parts, "examples")
        rule = Rule(
            keyword,
            details,
            title_fr=annotation(parts, "title") or "",
            title_en=annotation(parts, "x-title-en") or "",
            example=str(examples[0]) if examples else "",
        )
        french, english = with_suggestion(sentences(rule), suggestion, labels)
        return Issue(issue_code(keyword), _pointer(shown), french, english, suggestion)

    def _twin(self, path: Path, shown: Path, document: object) -> str | None:
        """
        The property beside the one where a code stands (`rights`, `special_rights`), if the item would be right there.
        """
        name = str(shown[0])
        twin = name.removeprefix(_SPECIAL) if name.startswith(_SPECIAL) else _SPECIAL + name
        if twin not in self._described(()).inside:
            return None
        item = _value_at(document, path[:-1])
        return twin if self._accepting((twin, *_pattern(shown[1:-1]))).is_valid(item) else None

    def _accept(self, pattern: tuple[str, ...]) -> Validator:
        constraints = [self._references.constraints(part) for part in self._described(pattern).places]
        return validator_for({"allOf": constraints}, pattern_options=RegexOptions())

    def _shown(self, path: Path) -> Path:
        """
        A path as it may be shown: `*` for each part that is neither an index nor a property named in the schema.
        """
        shown: Path = ()
        for part in path:
            known = isinstance(part, int) or part in self._described(_pattern(shown)).inside
            shown = (*shown, part if known else ANY)
        return shown

    def _describe(self, pattern: tuple[str, ...]) -> _Description:
        places = [self._root] if not pattern else self._described(pattern[:-1]).inside.get(pattern[-1], [])
        parts = self._references.parts(places)
        return _Description(places, parts, children(parts))


def _said_of_what_is_refused(parts: list[Place]) -> tuple[str, str] | None:
    """
    The sentences that the schema has about what a `not` refuses.
    """
    refused = [part.schema["not"] for part in parts if isinstance(part.schema.get("not"), dict)]
    said = [(each["description"], each["x-description-en"]) for each in refused if "x-description-en" in each]
    return said[0] if said else None


def _pattern(shown: Path) -> tuple[str, ...]:
    return tuple(ANY if isinstance(part, int) else part for part in shown)


def _findings(error: ValidationError) -> Iterator[_Finding]:
    path, kind = tuple(error.instance_path), error.kind
    match kind:
        case ValidationErrorKind.Required():
            yield _Finding((*path, kind.property), "required", {"property": kind.property})
        case ValidationErrorKind.AdditionalProperties() | ValidationErrorKind.UnevaluatedProperties():
            for name in kind.unexpected:
                yield _Finding((*path, name), "unknown_property", {})
        case ValidationErrorKind.AnyOf() | ValidationErrorKind.OneOfNotValid():
            yield from _branches(path, kind.context)
        case ValidationErrorKind.OneOfMultipleValid():
            yield _Finding(path, "oneOfMultiple", {})
        case (
            ValidationErrorKind.Type()
            | ValidationErrorKind.Format()
            | ValidationErrorKind.Pattern()
            | ValidationErrorKind.Enum()
        ):
            yield _Finding(path, kind.name, kind.as_dict())
        case _:
            # Of the other kinds only the limits set by the schema are read: `unexpected` items hold values.
            limits = {
                name: value
                for name, value in kind.as_dict().items()
                if name in {"limit", "multiple_of", "expected_value"}
            }
            yield _Finding(path, kind.name, limits)


def _branches(path: Path, branches: list[list[ValidationError]]) -> Iterator[_Finding]:
    """
    What to say when no branch fits: the errors of the one that was meant, what is missing from each, or that none does.

    Meant is a branch of the right type and `const`; better still, one from which nothing is missing.
    """
    meant = [branch for branch in branches if not any(_excludes(error, path) for error in branch)]
    shaped = [branch for branch in meant if all(len(error.instance_path) > len(path) for error in branch)]
    if len(closest := shaped or meant) == 1:
        for error in closest[0]:
            yield from _findings(error)
    elif meant and not shaped and all(_lacks_a_property(error, path) for branch in meant for error in branch):
        alternatives = [[str(error.kind.as_dict()["property"]) for error in branch] for branch in meant]
        yield _Finding(path, "alternatives", {"alternatives": alternatives})
    else:
        yield _Finding(path, "anyOf", {})


def _lacks_a_property(error: ValidationError, path: Path) -> bool:
    return isinstance(error.kind, ValidationErrorKind.Required) and tuple(error.instance_path) == path


def _excludes(error: ValidationError, path: Path) -> bool:
    """
    Whether this error shows that its branch was not the one meant: another type, or another value of a `const`.
    """
    depth = len(error.instance_path) - len(path)
    return (error.kind.name == "type" and depth == 0) or (error.kind.name == "const" and depth <= 1)


def _value_at(document: Any, path: Path) -> Any:
    for part in path:
        document = document[part]
    return document


def _pointer(path: Path) -> str:
    return "".join(f"/{escape(str(part))}" for part in path)


def _placed(issue: Issue, place: tuple[int, int] | None) -> Issue:
    return replace(issue, line=place[0], column=place[1]) if place else issue
