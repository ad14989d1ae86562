"""
agreements are proofs for a time

Revision: 0013, after 0012.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_DAYS = {"one_day": 1, "one_month": 31, "six_months": 182, "one_year": 365}


def upgrade() -> None:
    """Apply this revision."""
    op.add_column(
        "agreements",
        sa.Column(
            "over_at",
            sa.String(length=32),
            nullable=True,
            comment="when it is over: its proof is kept from then on",
        ),
    )
    op.create_index(op.f("ix_agreements_over_at"), "agreements", ["over_at"])
    agreements = sa.table(
        "agreements",
        *(sa.column(name) for name in ("id", "recorded_at", "withdrawn_at", "over_at")),
        sa.column("decisive", sa.JSON),
    )
    connection = op.get_bind()
    for row in connection.execute(sa.select(agreements)).all():
        change = sa.update(agreements).where(agreements.c.id == row.id)
        connection.execute(change.values(over_at=_over(row)))


def downgrade() -> None:
    """Go back before this revision; the data it added is lost."""
    op.drop_index(op.f("ix_agreements_over_at"), "agreements")
    with op.batch_alter_table("agreements", schema=None) as batch_op:
        batch_op.drop_column("over_at")


def _over(row: Any) -> str:
    """When an agreement is or was over: at its term, when it was taken back, or at once when it was refused."""
    said = row.decisive
    if said["state"] != "given":
        return str(row.withdrawn_at or row.recorded_at)
    ends = [datetime.fromisoformat(said["valid_until"])] if "valid_until" in said else []
    if said.get("duration") in _DAYS:
        ends.append(datetime.fromisoformat(said["valid_from"]) + timedelta(days=_DAYS[said["duration"]]))
    if not ends:
        return str(row.recorded_at)
    return min(ends).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
