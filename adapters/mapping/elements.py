"""
The elements of a format that a mapping names: its columns or paths, and what becomes of each.
"""

from collections.abc import Iterator, Sequence

from adapters.mapping.model import FLAT, ITSELF, MappingFile, Rule
from adapters.mapping.paths import Levels, absolute, predicates
from adapters.report import FieldRule, Treatment


def pointer_of(source: str, above: Levels, *, flat: bool) -> str:
    """
    A source as issues and the coverage name it: `/COLUMN`, or the absolute path in a tree.
    """
    if flat:
        return f"/{above[-1][-1] if source == ITSELF and above[-1] else source}"
    return absolute(source, above)


def inside(each: str, above: Levels, *, flat: bool) -> Levels:
    """
    What the paths of a list's items are relative to.
    """
    below = (each,) if flat else tuple(part for part in absolute(each, above).split("/") if part)
    return (*above, below)


def used_sources(mapping: MappingFile) -> tuple[str, ...]:
    """
    The columns that a flat mapping reads, in the order in which it names them.
    """
    found = dict.fromkeys(mapping.source.columns)
    for source, _, _ in _sources(mapping):
        found[source] = None
    return tuple(name for name in found if name != ITSELF)


def _sources(mapping: MappingFile) -> Iterator[tuple[str, Levels, str]]:
    """
    Every source that a mapping names, with what it is relative to and the target it goes to.
    """
    flat = mapping.source.format in FLAT
    root: Levels = (mapping.source.records,)
    for document in mapping.documents:
        above = root
        if document.each:
            yield document.each, root, ""
            above = inside(document.each, root, flat=flat)
        for source in document.key:
            yield source, above, "/id"
        for condition in document.when:
            yield condition.source, root, "/kind"
        yield from _rule_sources(document.fields, above, "", flat=flat)


def _rule_sources(
    rules: Sequence[Rule], above: Levels, target: str, *, flat: bool
) -> Iterator[tuple[str, Levels, str]]:
    for rule in rules:
        here = target + rule.target.pattern
        for condition in rule.when:
            yield condition.source, above, here
        for source in rule.sources:
            yield source, above, here
        for source in predicates(rule.sources) if not flat else ():
            yield source, above, here
        if rule.fields:
            below = inside(rule.each, above, flat=flat) if rule.each else above
            if rule.each and flat:
                yield rule.each, above, here
            yield from _rule_sources(rule.fields, below, here, flat=flat)


def field_rules(mapping: MappingFile) -> dict[str, FieldRule]:
    """
    The list of the format's elements, as the mapping tells it: what is mapped, kept in the partner's words, left out.
    """
    flat = mapping.source.format in FLAT
    targets: dict[str, list[str]] = {}
    for source, above, target in _sources(mapping):
        if not (source == ITSELF and above == ((),)):
            path = pointer_of(source, above, flat=flat)
            known = targets.setdefault(path, [])
            if target and target not in known:
                known.append(target)
    rules = {
        path: FieldRule(
            path,
            Treatment.KEPT if found and all(each.startswith("/local") for each in found) else Treatment.MAPPED,
            " ".join(found) or "/",
            "",
        )
        for path, found in targets.items()
        if found
    }
    for source, reason in mapping.ignored.items():
        path = f"/{source}" if flat else absolute(source, (mapping.source.records,))
        rules.setdefault(path, FieldRule(path, Treatment.IGNORED, "", reason))
    return rules
