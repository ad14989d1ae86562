"""
The cost of checking a document: the gateway's validator beside the `jsonschema` package, in the same run.

Valid: the fullest example of each kind. Invalid: the same with faults; our time then includes the French and English
sentences, the nearest codes and the pointers, where `jsonschema` only lists its errors.
"""

from __future__ import annotations

import json
import re
from datetime import date
from functools import cache, partial
from importlib.resources import files
from io import BytesIO
from statistics import geometric_mean
from typing import Any, Final

import jsonschema
from referencing import Registry

from ops.bench.measured import Goal, Measured, Say, microseconds
from schemas import Kind, parse_json, schema, schema_versions, validate
from schemas.checking import check_lines
from schemas.registry import FORMATS

_DATE_TIME: Final = re.compile(r"([0-9-]{10})[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})")
_LINES: Final = 200


def run(say: Say) -> Measured:
    """
    Microseconds a document, and how many times less than `jsonschema`, for each kind.
    """
    figures: dict[str, float] = {}
    for kind in Kind:
        say(kind.value)
        raw = _example(kind)
        valid, invalid = parse_json(raw), _with_faults(parse_json(raw))
        reference = reference_validator(kind)
        ours, theirs, ours_invalid, theirs_invalid, read = microseconds(
            partial(validate, kind, valid),
            partial(reference.is_valid, valid),
            partial(validate, kind, invalid),
            partial(_all_errors, reference, invalid),
            partial(parse_json, raw),
        )
        figures |= {
            f"{kind}_bytes": len(raw),
            f"{kind}_us": ours,
            f"{kind}_jsonschema_us": theirs,
            f"{kind}_ratio": theirs / ours,
            f"{kind}_invalid_us": ours_invalid,
            f"{kind}_invalid_jsonschema_us": theirs_invalid,
            f"{kind}_invalid_ratio": theirs_invalid / ours_invalid,
            f"{kind}_parse_us": read,
        }
    say("NDJSON")
    lines = BytesIO(b"".join(json.dumps(parse_json(_example(kind))).encode() + b"\n" for kind in Kind) * _LINES)
    (taken,) = microseconds(lambda: (lines.seek(0), [None for _ in check_lines(lines)]), rounds=3)
    figures["ndjson_lines_per_s"] = len(Kind) * _LINES / taken * 1e6
    figures["valid_ratio"] = geometric_mean(figures[f"{kind}_ratio"] for kind in Kind)
    figures["invalid_ratio"] = geometric_mean(figures[f"{kind}_invalid_ratio"] for kind in Kind)
    goals = {"valid_ratio": 40.0, "invalid_ratio": 3.0}
    return Measured(figures, {name: Goal(figures[name], goal) for name, goal in goals.items()})


@cache
def reference_validator(kind: Kind) -> jsonschema.Draft202012Validator:
    """
    The Python reference implementation, asserting the same formats as ours.
    """
    checker = jsonschema.FormatChecker(formats=())
    checker.checks("date", raises=ValueError)(_is_date)
    checker.checks("date-time", raises=ValueError)(_is_date_time)
    for name, check in FORMATS.items():
        checker.checks(name)(lambda text, check=check: not isinstance(text, str) or check(text))
    registry = Registry().with_contents((schema(name)["$id"], schema(name)) for name in schema_versions())
    return jsonschema.Draft202012Validator(schema(kind), registry=registry, format_checker=checker)


def _all_errors(reference: jsonschema.Draft202012Validator, document: Any) -> list[jsonschema.ValidationError]:
    return list(reference.iter_errors(document))


def _is_date(text: object) -> bool:
    return not isinstance(text, str) or bool(re.fullmatch("[0-9-]{10}", text) and date.fromisoformat(text))


def _is_date_time(text: object) -> bool:
    found = _DATE_TIME.fullmatch(text) if isinstance(text, str) else None
    return not isinstance(text, str) or bool(found and date.fromisoformat(found[1]))


def _example(kind: Kind) -> bytes:
    """
    The example of a kind that uses most of its properties.
    """
    folder = files("schemas") / kind / "v1" / "valid"
    found = [path.read_bytes() for path in folder.iterdir() if path.name.endswith(".json")]
    return max(found, key=len)


def _with_faults(document: dict[str, Any]) -> dict[str, Any]:
    """
    A document with five faults of different sorts: an unknown property, a missing one, a type, a form, a code.
    """
    changed = {**document, "x_unknown": 1, "created_at": "hier", "schema_version": 1, "kind": "referal"}
    changed.pop("id")
    return changed
