"""
From the plain values of a mapping file to its rules, each checked against the shared schemas.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from adapters.mapping import expression, places
from adapters.mapping.model import ITSELF, Condition, Rule, Written
from adapters.mapping.problems import Problems
from adapters.mapping.steps import make_step
from adapters.mapping.targets import BadTarget, Target, parse_target
from adapters.mapping.yaml_lines import Path
from adapters.tables import Table
from schemas import Kind

_ORIGINS: Final = ("from", "const", "context", "jsonata", "fields")


class RuleReader:
    """
    Reads the rules of one kind of document; what is wrong goes to `problems`.
    """

    def __init__(self, kind: Kind, tables: Mapping[str, Table], problems: Problems) -> None:
        self._kind = kind
        self._tables = tables
        self._problems = problems

    def rules(self, fields: Mapping[str, Any], path: Path, above: str = "") -> tuple[Rule, ...]:
        """
        The rules of a `fields` block, in order; `above` is the pattern of the object that they fill.
        """
        return tuple(self._rules(fields, path, above))

    def _rules(self, fields: Mapping[str, Any], path: Path, above: str) -> Iterator[Rule]:
        for text, written in fields.items():
            here = (*path, text)
            target = self.target(text, here, above)
            if target is None:
                continue
            several = written if isinstance(written, list) else [written]
            if len(several) > 1 and not target.many:
                self._problems.add(
                    here,
                    "Plusieurs règles ne peuvent remplir que les éléments d'une liste : terminez la cible par [].",
                    "Several rules can only fill the items of a list: end the target with [].",
                )
            for index, one in enumerate(several):
                rule = self._rule(one, target, (*here, index) if isinstance(written, list) else here, above)
                if rule is not None:
                    yield rule

    def target(self, text: str, path: Path, above: str = "") -> Target | None:
        """
        A target, when it is one and the schema has it.
        """
        try:
            target = parse_target(text)
        except BadTarget as error:
            self._problems.add(path, f"Cible mal écrite : {error}.", "This target is not well written.")
            return None
        pattern = above + target.pattern
        if places.find(self._kind, pattern) is None:
            near = places.nearest(self._kind, pattern)
            self._problems.add(
                path,
                "Le schéma commun n'a pas cette place." + (f" Vouliez-vous dire « {near} » ?" if near else ""),
                "The shared schema has no such place." + (f" Did you mean “{near}”?" if near else ""),
            )
            return None
        return target

    def _rule(self, written: Any, target: Target, path: Path, above: str) -> Rule | None:
        plain: dict[str, Any] = {"from": written} if isinstance(written, str) else written
        given = [name for name in _ORIGINS if name in plain]
        if given == ["from", "jsonata"]:
            given = ["jsonata"]  # `from` then names the columns that the expression reads
        if len(given) != 1 and not (given == [] and "each" in plain):
            self._problems.add(
                path,
                "Une règle dit une fois d'où vient la valeur : from, const, context, jsonata ou fields.",
                "A rule says once where the value comes from: from, const, context, jsonata or fields.",
            )
            return None
        sources = as_tuple(plain.get("from", ITSELF if given == [] else ()))
        rule = Rule(
            target=target,
            path=".".join(str(part) for part in path if not isinstance(part, int) or part),
            line=self._problems.line(path),
            sources=sources,
            join=plain.get("join"),
            const=plain.get("const"),
            context=plain.get("context"),
            expression=plain.get("jsonata"),
            each=plain.get("each"),
            fields=self.rules(plain.get("fields", {}), (*path, "fields"), above + target.pattern),
            split=as_tuple(plain.get("split", ())),
            steps=read_steps(plain.get("do", ()), (*path, "do"), self._problems),
            table=self._table(plain.get("table"), path),
            default=plain.get("default"),
            required=plain.get("required", False),
            when=read_conditions(plain.get("when")),
        )
        self._check(rule, path, above)
        return rule

    def _table(self, name: str | None, path: Path) -> str | None:
        if name is not None and name not in self._tables:
            self._problems.add(
                (*path, "table"),
                f"La table « {name} » n'est pas déclarée : ajoutez-la sous « tables », avec sa liste commune.",
                f"The table “{name}” is not declared: add it under “tables”, with its shared list.",
            )
        return name

    def _check(self, rule: Rule, path: Path, above: str) -> None:
        pattern = above + rule.target.pattern
        for key, value in (("const", rule.const), ("default", rule.default)):
            if value is not None and not places.accepts(self._kind, pattern)(value):
                self._problems.add(
                    (*path, key),
                    "Le schéma commun ne permet pas cette valeur ici.",
                    "The schema refuses this value here.",
                )
        if (rule.each or rule.split) and not rule.target.many:
            self._problems.add(
                path,
                "Une liste (each, split) remplit une cible de liste : terminez-la par [].",
                "A list (each, split) fills a list: end the target with [].",
            )
        if rule.expression is not None:
            check_expression(rule.expression, (*path, "jsonata"), self._problems)

    def written(self, fields: Mapping[str, Any], path: Path) -> tuple[Written, ...]:
        """
        The `write` block of a file.
        """
        found = []
        for source, written in fields.items():
            here = (*path, source)
            plain: dict[str, Any] = {"from": written} if isinstance(written, str) else written
            if len({"from", "const", "jsonata"} & plain.keys()) != 1:
                self._problems.add(
                    here, "Il faut from, const ou jsonata, un seul.", "Give one of from, const and jsonata."
                )
                continue
            if "jsonata" in plain:
                check_expression(plain["jsonata"], (*here, "jsonata"), self._problems)
            found.append(
                Written(
                    source=source,
                    target=self.target(plain["from"], here) if "from" in plain else None,
                    const=plain.get("const"),
                    expression=plain.get("jsonata"),
                    steps=read_steps(plain.get("do", ()), (*here, "do"), self._problems),
                    table=self._table(plain.get("table"), here),
                )
            )
        return tuple(found)


def as_tuple(written: Any) -> tuple[str, ...]:
    """
    One text or several, as a tuple.
    """
    return (written,) if isinstance(written, str) else tuple(written)


def read_steps(written: Any, path: Path, problems: Problems) -> tuple[tuple[str, Any], ...]:
    """
    The functions of a `do`, each with its parameter or None.
    """
    steps = []
    for one in [written] if isinstance(written, str | dict) else written:
        name, parameter = next(iter(one.items())) if isinstance(one, dict) else (one, None)
        try:
            make_step(name, parameter)
        except ValueError as error:
            problems.add(path, f"{name} : {error}.", f"{name}: this parameter cannot be used.")
            continue
        steps.append((name, parameter))
    return tuple(steps)


def read_conditions(written: Any) -> tuple[Condition, ...]:
    """
    The conditions of a `when`, all of which must hold.
    """
    conditions = []
    for one in [] if written is None else [written] if isinstance(written, dict) else written:
        if "filled" in one:
            conditions.append(Condition(one["from"], None, one["filled"]))
        if "is" in one:
            conditions.append(Condition(one["from"], frozenset(as_tuple(one["is"])), True))
        if "not" in one:
            conditions.append(Condition(one["from"], frozenset(as_tuple(one["not"])), False))
    return tuple(conditions)


def check_expression(text: str, path: Path, problems: Problems) -> None:
    """
    Tell an expression that is not JSONata.
    """
    try:
        expression.compile_expression(text)
    except expression.BadExpression as error:
        problems.add(path, f"Expression JSONata refusée ({error.code}).", f"JSONata expression refused ({error.code}).")
