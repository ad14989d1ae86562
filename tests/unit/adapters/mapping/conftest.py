"""
What the tests of mappings share: an adapter made from the text of a `mapping.yaml`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent
from types import MappingProxyType

import pytest

from adapters.mapping.engine import MappingAdapter

Make = Callable[..., MappingAdapter]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A function that gives the adapter of a mapping text and its tables (`{name: text}`)."""

    def made(text: str, tables: Mapping[str, str] = MappingProxyType({})) -> MappingAdapter:
        folder = tmp_path / "mon_format"
        (folder / "tables").mkdir(parents=True, exist_ok=True)
        (folder / "mapping.yaml").write_text(dedent(text), encoding="utf-8")
        for name, rows in tables.items():
            text = "partner_value,shared_value,note\n" + dedent(rows).lstrip()
            (folder / "tables" / f"{name}.csv").write_text(text, encoding="utf-8")
        return MappingAdapter(folder)

    return made


@pytest.fixture
def rule(make: Make) -> Make:
    """A function that gives the adapter of a CSV of people known by `ID`, whose columns are `ID`, `NOM`, `DN` and those of some more rules."""

    def made(*rules: str, tables: Mapping[str, str] = MappingProxyType({}), **keys: str) -> MappingAdapter:
        declared = "".join(f"\n  {name}: {keys.get(name, 'reason')}" for name in tables)
        return make(
            f"title: Essai\ndirection: {keys.get('direction', 'both')}\nsource: {{format: csv}}\n"
            + (f"tables:{declared}\n" if tables else "")
            + "documents:\n  - kind: referral\n    key: ID\n    fields:\n"
            + "      subject.identifiers[scheme=partner].value: ID\n      subject.birth_name: NOM\n      subject.birth_date: {from: DN, do: date_iso}\n"
            + "".join(f"      {each}\n" for each in rules)
            + keys.get("after", ""),
            tables,
        )

    return made
