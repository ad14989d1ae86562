"""
From a partner's record to shared documents: each rule becomes one closure, made once.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from adapters.mapping.elements import inside, pointer_of
from adapters.mapping.filling import FROM_CONTEXT, Apply, Filling, Missing, constant, fill, only_count
from adapters.mapping.finishing import finishing
from adapters.mapping.model import FLAT, ITSELF, Condition, DocumentRule, MappingFile, Rule
from adapters.mapping.notes import Read, Silent, Unreadable, text_of
from adapters.mapping.origins import origin_of, split_text
from adapters.mapping.paths import Levels
from adapters.mapping.records import Reader, Record
from adapters.mapping.run import (
    KEY_MISSING,
    REQUIRED_MISSING,
    SEVERAL_VALUES,
    Run,
    record_invalid,
)
from adapters.mapping.steps import MAKES_IDENTIFIER, make_step
from schemas import Document, Kind, validate

_SILENT: Final = Silent()


@dataclass(frozen=True, slots=True)
class Compiled:
    """
    One document rule, ready for one reader.
    """

    rule: DocumentRule
    apply: Sequence[Apply]
    holds: Callable[[Record], bool]
    each: Callable[[Record], list[Record]]
    key: Callable[[Record], list[str]]
    named: str
    """Its kind, when a record may make other documents; "" when this is the only one."""


class Compiler:
    """
    Makes closures for one file: columns are found once, then each record costs a few calls.
    """

    def __init__(self, mapping: MappingFile, reader: Reader) -> None:
        self._mapping = mapping
        self._reader = reader
        self._above: Levels = (mapping.source.records,)
        self._flat = mapping.source.format in FLAT

    def document(self, rule: DocumentRule) -> Compiled:
        """
        A document rule, compiled.
        """
        before, each = self._above, rule.each
        items = self._items(each, ()) if each else lambda record: [record]
        if each:
            self._above = self._inside(each)
        compiled = Compiled(
            rule,
            [self.rule(each_rule, rule.kind, "") for each_rule in rule.fields],
            self.conditions(rule.when),
            items,
            self._key(rule),
            rule.kind.value if len(self._mapping.documents) > 1 else "",
        )
        self._above = before
        return compiled

    def rule(self, rule: Rule, kind: Kind, above: str) -> Apply:
        """
        One rule, compiled; `above` is the pattern of the object that it fills.
        """
        holds = self.conditions(rule.when)
        apply = self._object(rule, kind, above) if rule.fields else self._value(rule, kind, above)
        if not rule.when:
            return apply
        return lambda record, filling: holds(record) and apply(record, filling)

    def conditions(self, conditions: Sequence[Condition]) -> Callable[[Record], bool]:
        """
        Whether all the conditions hold for a record.
        """
        checks = [self._condition(condition) for condition in conditions]
        return lambda record: all(check(record) for check in checks)

    def _condition(self, condition: Condition) -> Callable[[Record], bool]:
        get, values, wanted = self._reader.getter(condition.source), condition.values, condition.wanted
        if values is None:
            return lambda record: (get(record) is not None) is wanted

        def check(record: Record) -> bool:
            found = get(record)
            each = found if isinstance(found, list) else [found]
            return any(text_of(value) in values for value in each if value is not None) is wanted

        return check

    def _value(self, rule: Rule, kind: Kind, above: str) -> Apply:
        if rule.const is not None:
            return constant(rule, lambda context: rule.const)
        if rule.context is not None:
            return constant(rule, FROM_CONTEXT[rule.context])
        finish = finishing(rule, kind, above, self._mapping)
        if len(rule.sources) == 1 and not (rule.target.many or rule.expression):
            return self._single(rule, finish)
        origin, many, default = (
            origin_of(rule, self._reader, self._mapping.tables, self._pointer_of),
            rule.target.many,
            rule.default,
        )

        def apply(record: Record, filling: Filling) -> bool:
            run = filling.run
            given = False
            for source, pointer, raw in origin(record, run):
                run.at(record, source, pointer)
                value = finish(raw, run)
                if value is None:
                    continue
                if given and not many:
                    run.warn(SEVERAL_VALUES)
                    break
                filling.put(rule, value)
                given = True
            if not given and default is not None:
                filling.put(rule, default)
                return False
            if not given and rule.required:
                run.at(record, rule.sources[0] if rule.sources else ITSELF, self._pointer(rule))
                raise Missing
            return given

        return apply

    def _single(self, rule: Rule, finish: Callable[[Any, Run], Any]) -> Apply:
        """
        The usual rule, one source to one place, without the generality of the others: two thirds of the time go here.
        """
        source, default, required = rule.sources[0], rule.default, rule.required
        get, pointer = self._reader.getter(source), self._pointer_of(source)

        def apply(record: Record, filling: Filling) -> bool:
            raw, run = get(record), filling.run
            run.at(record, source, pointer)
            if type(raw) is list:
                run.warn(SEVERAL_VALUES)
                raw = raw[0]
            if raw is not None and (value := finish(raw, run)) is not None:
                filling.put(rule, value)
                return True
            if default is not None:
                filling.put(rule, default)
            elif required:
                raise Missing
            return False

        return apply

    def _object(self, rule: Rule, kind: Kind, above: str) -> Apply:
        items = self._items(rule.each, rule.split) if rule.each else lambda record: [record]
        before = self._above
        if rule.each:
            self._above = self._inside(rule.each)
        inside = [self.rule(each, kind, above + rule.target.pattern) for each in rule.fields]
        self._above = before
        required = rule.required

        def apply(record: Record, filling: Filling) -> bool:
            given = False
            for item in items(record):
                part = Filling(filling.run, trace=filling.trace)
                if fill(inside, item, part):
                    filling.put(rule, part.document)
                    given = True
            if required and not given:
                raise Missing
            return given

        return apply

    def _items(self, source: str, split: Sequence[str]) -> Callable[[Record], list[Record]]:
        get, items = self._reader.getter(source), self._reader.items

        def found(record: Record) -> list[Record]:
            value = get(record)
            if value is None:
                return []
            values = split_text(value, split) if split else value if isinstance(value, list) else [value]
            return items(record, source, values)

        return found

    def _key(self, rule: DocumentRule) -> Callable[[Record], list[str]]:
        """
        The business key of a record: each source as its own rule reads it, so that a date is the same in any form.
        """
        if not rule.key:
            plain = self._reader.plain
            return lambda record: [json.dumps(plain(record), ensure_ascii=False, sort_keys=True)]
        steps = {
            each.sources[0]: each.steps
            for each in rule.fields
            if len(each.sources) == 1 and each.steps and MAKES_IDENTIFIER not in dict(each.steps)
        }
        getters = [
            (self._reader.getter(source), [make_step(*step).read for step in steps.get(source, ())])
            for source in rule.key
        ]
        return lambda record: [_key_part(get(record), reads) for get, reads in getters]

    def _pointer(self, rule: Rule) -> str:
        return self._pointer_of(rule.sources[0]) if rule.sources else ""

    def _pointer_of(self, source: str) -> str:
        return pointer_of(source, self._above, flat=self._flat)

    def _inside(self, each: str) -> Levels:
        return inside(each, self._above, flat=self._flat)


def translate(
    compiled: Compiled, record: Record, run: Run, trace: Callable[[Rule, Any], None] | None = None
) -> Iterator[Document]:
    """
    The documents that a record gives by one document rule.
    """
    if not compiled.holds(record):
        return
    for item in compiled.each(record):
        key = compiled.key(item)
        if not any(key):
            run.at(record, compiled.rule.key[0] if compiled.rule.key else ITSELF, f"/{'/'.join(compiled.rule.key)}")
            run.leave_out(KEY_MISSING, compiled.named)
            only_count(compiled.apply, item, run)
            continue
        kind = compiled.rule.kind
        filling = Filling(run, _envelope(run, kind, key), trace=trace)
        if not _filled(compiled, item, filling):
            run.keep_literals({})
            continue
        run.keep_literals(filling.document)
        if wrong := validate(kind, filling.document):
            run.at(item, ITSELF, "")
            run.leave_out(record_invalid(wrong[0]), compiled.named)
            continue
        yield filling.document


def _filled(compiled: Compiled, item: Record, filling: Filling) -> bool:
    """
    Apply each rule of a document; False when a value that it needs is not there, which is told.
    """
    for rank, apply in enumerate(compiled.apply, 1):
        try:
            apply(item, filling)
        except Missing:
            filling.run.leave_out(REQUIRED_MISSING, compiled.named)
            only_count(compiled.apply[rank:], item, filling.run)
            return False
    return True


def _envelope(run: Run, kind: Kind, key: Sequence[str]) -> Document:
    context = run.context
    return {
        "kind": kind.value,
        "schema_version": "1.0",
        "id": run.document_id(kind.value, key),
        "created_at": context.now.isoformat(),
        "sender": context.organisation,
        "purpose": context.purpose,
    }


def _key_part(value: Any, reads: Sequence[Read]) -> str:
    if value is None:
        return ""
    found: Any = text_of(value)
    try:
        for read in reads:
            found = read(found, _SILENT)
    except Unreadable:
        return text_of(value)
    return str(found)
