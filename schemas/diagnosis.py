"""
From the errors of the validator to the problems a partner can mend: where, what rule, which code was perhaps meant.

Reads of an error only its kind and its path (the rest of it holds the value) and looks at the document for two things
that never show: to find the nearest allowed code, and to follow the path to a line and a column.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, Final, TypeAlias

from jsonschema_rs import ValidationError, ValidationErrorKind

from schemas.identity import fold
from schemas.issue import Issue
from schemas.messages import Rule, issue_code, sentences, with_suggestion
from schemas.positions import escape, locate_all
from schemas.references import ANY, Place, References, annotation, children

MAX_ISSUES: Final = 200
"""More would not be read, and a hostile document could ask for a hundred thousand sentences."""

_LONGEST_CODE: Final = 80
_CODED: Final = frozenset({"enum", "pattern", "format"})

Path: TypeAlias = tuple[str | int, ...]
CodeLabels: TypeAlias = Callable[[str], Mapping[str, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class _Finding:
    path: Path
    keyword: str
    details: dict[str, Any]


class Diagnosis:
    """
    Turns validation errors of one schema into issues.

    `labels` gives the codes of a code list, each with the labels under which people know it.
    """

    def __init__(self, references: References, root: Place, labels: CodeLabels) -> None:
        self._references = references
        self._root = root
        self._labels = labels

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
        Without repetitions, without the pattern of a value whose format is also wrong (the format says it better), and
        without the properties called unknown only because the branch of the schema that knows them failed.
        An invalid document always keeps at least one.
        """
        unique = {(finding.path, finding.keyword): finding for finding in findings}
        telling = [
            finding
            for (path, keyword), finding in unique.items()
            if not (keyword == "pattern" and (path, "format") in unique)
            and not (keyword == "unknown_property" and self._descend(path)[1][-1] == str(path[-1]))
        ]
        return telling or list(unique.values())

    def _tell(self, finding: _Finding, document: object) -> Issue:
        places, shown = self._descend(finding.path)
        parts = self._references.parts(places)
        details = finding.details
        if finding.keyword == "unknown_property":
            siblings = children(self._references.parts(self._descend(finding.path[:-1])[0]))
            suggestion = _nearest(str(finding.path[-1]), {name: () for name in siblings if name != ANY})
        elif finding.keyword in _CODED:
            suggestion = _nearest(_value_at(document, finding.path), self._codes(parts, details.get("options", ())))
        else:
            suggestion = None
        examples = annotation(parts, "examples")
        rule = Rule(
            finding.keyword,
            details,
            title_fr=annotation(parts, "title") or "",
            title_en=annotation(parts, "x-title-en") or "",
            example=str(examples[0]) if examples else "",
        )
        french, english = with_suggestion(sentences(rule), suggestion)
        pointer = "".join(f"/{escape(part)}" for part in shown)
        return Issue(issue_code(finding.keyword), pointer, french, english, suggestion)

    def _codes(self, parts: list[Place], options: Iterable[object]) -> dict[str, tuple[str, ...]]:
        allowed: dict[str, tuple[str, ...]] = {option: () for option in options if isinstance(option, str)}
        if name := annotation(parts, "x-code-list"):
            labelled = self._labels(name)
            codes = allowed or labelled
            return {code: labelled.get(code, ()) for code in codes}
        return allowed

    def _descend(self, path: Path) -> tuple[list[Place], list[str]]:
        """
        The schemas that describe what is at `path`, and the path as it may be shown: `*` for each part that is not an
        index nor a property named in the schema.
        """
        places, shown = [self._root], []
        for part in path:
            inside = children(self._references.parts(places))
            named = isinstance(part, str) and part in inside
            shown.append(str(part) if named or isinstance(part, int) else ANY)
            places = inside.get(str(part) if named else ANY, [])
        return places, shown


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
    What to say when no branch fits: the errors of the one branch that was meant, what is missing from each, or that none does.
    """
    meant = [branch for branch in branches if not any(_excludes(error, path) for error in branch)]
    if len(meant) == 1:
        for error in meant[0]:
            yield from _findings(error)
        return
    kinds = [error.kind for branch in meant for error in branch if tuple(error.instance_path) == path]
    missing = [kind for kind in kinds if isinstance(kind, ValidationErrorKind.Required)]
    if meant and len(missing) == sum(map(len, meant)):
        alternatives = [[str(error.kind.as_dict()["property"]) for error in branch] for branch in meant]
        yield _Finding(path, "alternatives", {"alternatives": alternatives})
    else:
        yield _Finding(path, "anyOf", {})


def _excludes(error: ValidationError, path: Path) -> bool:
    """
    Whether this error shows that its branch was not the one meant: another type, or another value of a `const`.
    """
    depth = len(error.instance_path) - len(path)
    return (error.kind.name == "type" and depth == 0) or (error.kind.name == "const" and depth <= 1)


def _nearest(value: object, allowed: Mapping[str, tuple[str, ...]]) -> str | None:
    """
    The allowed code whose word or label is nearest to a value, if one is near enough.
    """
    if not isinstance(value, str) or len(value) > _LONGEST_CODE:
        return None
    words = {fold(word): code for code, labels in allowed.items() for word in (*labels, code)}
    near = get_close_matches(fold(value), words, n=1, cutoff=0.7)
    return words[near[0]] if near else None


def _value_at(document: Any, path: Path) -> Any:
    for part in path:
        document = document[part]
    return document


def _pointer(path: Path) -> str:
    return "".join(f"/{escape(str(part))}" for part in path)


def _placed(issue: Issue, place: tuple[int, int] | None) -> Issue:
    return replace(issue, line=place[0], column=place[1]) if place else issue
