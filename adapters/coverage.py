"""
What each format carries and what it loses, counted by program: `COVERAGE.md`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from adapters.base import Adapter
from adapters.exam import Sitting, sit
from adapters.quality import Level
from adapters.report import Treatment, count_rules
from adapters.round_trip import losses


@dataclass(frozen=True, slots=True)
class FormatCoverage:
    """
    One format: how many of its elements have each treatment, its tables, what a round trip loses, the level measured.

    `elements` counts by treatment; `codes` the partner's values in tables, `unmapped` those that deliberately give nothing;
    `lost` are pointer patterns, with the reason that `quality.toml` gives, or "".
    """

    adapter: Adapter
    level: Level
    elements: Mapping[str, int]
    cases: int
    codes: int
    unmapped: int
    lost: Mapping[str, str]
    exempt: Mapping[str, str]

    @property
    def direction(self) -> str:
        """
        `⇄` both ways, `→` read only, `←` written only.
        """
        adapter = self.adapter
        return "⇄" if adapter.kinds_in and adapter.kinds_out else "→" if adapter.kinds_in else "←"

    def as_document(self) -> dict[str, object]:
        """
        The same as plain values for JSON.
        """
        return {
            "adapter": self.adapter.name,
            "title": self.adapter.title,
            "level": self.level.value,
            "kinds_in": sorted(self.adapter.kinds_in),
            "kinds_out": sorted(self.adapter.kinds_out),
            "elements": dict(self.elements),
            "samples": self.cases,
            "codes": self.codes,
            "codes_unmapped": self.unmapped,
            "round_trip_losses": dict(self.lost),
            "exempt": dict(self.exempt),
        }


def measure(adapter: Adapter) -> FormatCoverage:
    """
    The coverage of a format, by sitting the exam.
    """
    sitting = Sitting(adapter)
    result = sit(sitting)
    values = [shared for table in adapter.tables for shared in table.rows.values()]
    lost = losses(sitting.adapter, sitting.cases, sitting.subject.context) if result.passed else {}
    return FormatCoverage(
        adapter=adapter,
        level=result.level,
        elements=count_rules(adapter.fields),
        cases=len(sitting.cases),
        codes=len(values),
        unmapped=sum(not shared for shared in values),
        lost={pointer: sitting.claims.lost.get(pointer, "") for pointer in lost},
        exempt=sitting.claims.exempt,
    )


_LEVELS = {Level.NONE: "–", Level.BRONZE: "bronze", Level.SILVER: "argent", Level.GOLD: "or"}


def report_text(found: Iterable[FormatCoverage]) -> str:
    """
    The page `COVERAGE.md`: a line for each format, then what each leaves out.
    """
    formats = list(found)
    lines = [
        "# Ce que portent les formats, et ce qu'ils perdent · What formats carry, and lose",
        "",
        "Écrit par `tdu adapter report --write` ; un test vérifie que cette page est à jour. *Written by program; a test checks that it is up to date.*",
        "",
        "Repris : le sens est dans le document commun. Gardé : dans les mots du partenaire (`local`). Écarté : laissé, pour la raison écrite dans",
        "la correspondance ou dans `tables/elements.csv`. Rien n'est perdu en silence : un élément inconnu est signalé à l'émetteur.",
        "",
        "| format | sens | niveau | repris | gardés | écartés | codes | dont sans équivalent | perdus à l'aller-retour | exemples |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_line(each) for each in formats]
    for each in formats:
        notes = [f"- aller-retour : `{pointer}` – {reason or 'non expliqué'}" for pointer, reason in each.lost.items()]
        notes += [f"- exempté de `{rule}` : {reason}" for rule, reason in sorted(each.exempt.items())]
        if notes:
            lines += ["", f"## {each.adapter.name}", "", *notes]
    return "\n".join([*lines, ""])


def _line(each: FormatCoverage) -> str:
    mapped, kept, ignored = (each.elements[t.value] for t in (Treatment.MAPPED, Treatment.KEPT, Treatment.IGNORED))
    both = each.adapter.kinds_in & each.adapter.kinds_out
    cells = (
        f"`{each.adapter.name}` {each.adapter.title}", each.direction, _LEVELS[each.level], mapped, kept, ignored,
        each.codes, each.unmapped, len(each.lost) if both else "", each.cases,
    )  # fmt: skip
    return "| " + " | ".join(str(cell) for cell in cells) + " |"
