"""
From a referral to the seventeen cells of a row; what the gate cut is an empty cell.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from adapters.tables import Table
from schemas import Document

_DIALLED_WITH_ZERO: Final = re.compile(r"\+(?:33|262|590|594|596)(?=[0-9]{9}$)")


def cells(referral: Document, tables: Mapping[str, Table]) -> list[str]:
    """
    The cells of one referral in the order of the file.

    `ID_CD` is the département's own number of the person when the referral carries it, else the referral's identifier,
    by which the département answers. A second given name or telephone number has no cell.
    """
    subject = referral.get("subject", {})
    orientation = referral.get("orientation", {})
    structure, referent = orientation.get("structure", {}), orientation.get("referent", {})
    fixed, mobile = _phones(subject.get("phones", []))
    birth_name = subject.get("birth_name", "")
    return [
        _identifier(subject, "caf_matricule").lstrip("0"),
        _partner_value(tables["civilite"], subject.get("title")),
        subject.get("used_name") or birth_name,
        birth_name,
        _first(subject.get("given_names")),
        subject.get("birth_date", ""),
        structure.get("name", ""),
        structure.get("siret", ""),
        _partner_value(tables["nature_orientation"], orientation.get("type")),
        referent.get("last_name") or referent.get("name", ""),
        referent.get("first_name", ""),
        orientation.get("start_date", ""),
        orientation.get("target", ""),
        _first(subject.get("emails")),
        fixed,
        mobile,
        _identifier(subject, "departement_internal") or referral.get("id", ""),
    ]


def _identifier(subject: Document, scheme: str) -> str:
    found = (
        each["value"] for each in subject.get("identifiers", []) if each.get("scheme") == scheme and "value" in each
    )
    return next((str(value) for value in found), "")


def _partner_value(table: Table, shared: str | None) -> str:
    return next((value for value, code in table.rows.items() if shared and code == shared), "")


def _first(values: Any) -> str:
    return str(values[0]) if values else ""


def _phones(numbers: list[str]) -> tuple[str, str]:
    """
    The first fixed and the first mobile number, as dialled in France: a leading `+` would be a formula in a spreadsheet.
    """
    dialled = [_DIALLED_WITH_ZERO.sub("0", number).replace("+", "00") for number in numbers]
    mobile = [number for number in dialled if number.startswith(("06", "07"))]
    fixed = [number for number in dialled if number not in mobile]
    return _first(fixed), _first(mobile)
