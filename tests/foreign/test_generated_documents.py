"""
On documents generated from the schemas, near valid or absurd, three validators say the same: the gateway's, the Python
reference (`jsonschema`) and a stranger's (`ajv`).

Hypothesis makes the texts and the junk; documents are then put together from a fixed seed, so that 5,000 take seconds.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import schemas
from ops.bench.schemas import reference_validator
from schemas import Kind, schema, schema_versions, validate
from schemas.references import Place, References, annotation, children, subschemas
from schemas.registry import references

EACH = 1000
SEED = 39
ABSURD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.0, 1.5, 2**53 - 1, 1e300, "", " ", "x", "Économie", "a\nb", "a\u2028", "٣٩٩٩٠", "😀" * 90,
    "2026-02-29", "2026-02-30", "2026-13-01T00:00:00Z", "1990-00-00", "1990-00-12", "99900001100018", "35600000000048",
    "269054958815780", "2A004", [], {}, ["a", "a"], [1, True], [{}, {}], {"a": 1}, {"siret": "99900001100018"},
)  # fmt: skip


@cache
def texts() -> dict[str, list[str]]:
    """Texts that follow each pattern of the schemas, and under the empty pattern texts that follow none, by hypothesis."""
    waiting, patterns = [References.root(schema(name)) for name in schema_versions()], set()
    while waiting:
        place = waiting.pop()
        waiting += subschemas(place)
        patterns |= {place.schema["pattern"]} if "pattern" in place.schema else set()
    # In a JSON Schema `$` is the end of the text; in Python's re it also stands before a last line break.
    strategies = {pattern: st.from_regex(re.sub(r"\$$", r"\\Z", pattern)) for pattern in patterns} | {"": st.text()}
    found: dict[str, list[str]] = {pattern: [] for pattern in strategies}

    @settings(max_examples=60, database=None, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.fixed_dictionaries(strategies))
    def draw(drawn: dict[str, str]) -> None:
        for pattern, text in drawn.items():
            found[pattern].append(text)

    draw()
    return found


class Maker:
    """Makes documents of a kind: examples changed in one to four places, or documents built from the schema alone."""

    def __init__(self, kind: Kind, seed: int) -> None:
        self.random = Random(seed)
        self.root = References.root(schema(kind))
        folder = Path(schemas.__file__).parent / kind / "v1" / "valid"
        self.examples = [json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))]
        self.texts = texts()

    def document(self) -> Any:
        """One document, valid or not."""
        if self.random.random() < 0.3:
            return self.build([self.root])
        found = copy.deepcopy(self.random.choice(self.examples))
        for _ in range(self.random.randint(1, 4)):
            self.change(found, [self.root])
        return found

    def change(self, value: Any, places: list[Place]) -> None:
        """Change one thing somewhere in a container: an item or a property made again, taken away, absurd or unknown."""
        inside = children(references().parts(places))
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        below = [key for key in keys if isinstance(value[key], (dict, list)) and value[key]]
        if below and self.random.random() < 0.6:
            key = self.random.choice(below)
            return self.change(value[key], inside.get(str(key), inside.get("*", [])))
        names = sorted(inside.keys() - {"*"}) or ["*"]
        if isinstance(value, list):
            self.lengthen(value, inside.get("*", []), self.random.choice((1, 1, 1, 1, 20, 60)))
        elif keys and self.random.random() < 0.2:
            del value[self.random.choice(keys)]
        elif self.random.random() < 0.08:
            value["x-unknown"] = self.absurd()
        else:
            name = self.random.choice(names)
            value[name] = self.build(inside.get(name, []))
        return None

    def lengthen(self, value: list[Any], item: list[Place], count: int) -> None:
        """Put items before those of a list: made from the schema, or copies of one that is there."""
        again = self.random.random() < 0.3
        value[:0] = [copy.deepcopy(value[-1]) if value and again else self.build(item) for _ in range(count)]

    def absurd(self) -> Any:
        """Something that is rarely in its place."""
        return copy.deepcopy(self.random.choice(ABSURD))

    def build(self, places: list[Place]) -> Any:
        """A value near what a schema accepts."""
        parts = references().parts(places)
        shown = annotation(parts, "examples") or []
        if not parts or self.random.random() < 0.06:
            return self.absurd()
        if shown and self.random.random() < 0.4:
            return copy.deepcopy(self.random.choice(shown))
        if inside := children(parts):
            return self.composite(parts, inside)
        return self.scalar(parts)

    def composite(self, parts: list[Place], inside: dict[str, list[Place]]) -> Any:
        """A list of up to three items, or an object with most of its required properties and some of the others."""
        if annotation(parts, "type") == "array":
            return [self.build(inside.get("*", [])) for _ in range(self.random.randint(0, 3))]
        required = {name for part in parts for name in part.schema.get("required", ())}
        kept = [name for name in inside if self.random.random() < (0.96 if name in required else 0.25)]
        return {name if name != "*" else self.random.choice(("code", "a b")): self.build(inside[name]) for name in kept}

    def scalar(self, parts: list[Place]) -> Any:
        """A code, a number near its bounds, a text of the pattern, or one as long as allowed or a little longer."""
        if codes := annotation(parts, "enum"):
            return self.random.choice(codes)
        kind, longest = annotation(parts, "type"), annotation(parts, "maxLength")
        if kind == "boolean":
            return self.random.random() < 0.5
        if kind == "integer":
            bounds = [annotation(parts, "minimum") or 0, annotation(parts, "maximum") or 0]
            return self.random.choice(bounds) + self.random.randint(-1, 1)
        if longest and self.random.random() < 0.1:
            return self.random.choice("aé😀") * (longest + self.random.randint(0, 1))
        return self.random.choice(self.texts[self.random.choice(["", *[annotation(parts, "pattern") or ""] * 9])])


def documents(kind: Kind) -> list[Any]:
    """The generated documents of a kind, all different, beside the examples that they were made from."""
    maker, found = Maker(kind, SEED), {}
    while len(found) < EACH:
        document = maker.document()
        found[json.dumps(document, sort_keys=True)] = document
    return list(found.values())


@pytest.mark.parametrize("kind", Kind)
def test_three_validators_agree_on_generated_documents(kind: Kind, ajv: Callable[..., list[Any]]) -> None:
    """Of 1,000 documents of each kind, each is valid for all three validators or for none, and there are many of both."""
    generated = documents(kind)
    ours = [not validate(kind, document) for document in generated]
    python = [reference_validator(kind).is_valid(document) for document in generated]
    strangers = [verdict.valid for verdict in ajv((schema(kind)["$id"], document) for document in generated)]
    verdicts = zip(generated, ours, python, strangers, strict=True)

    assert [] == [each for each in verdicts if len(set(each[1:])) > 1]
    assert EACH * 0.1 < sum(ours) < EACH * 0.9
