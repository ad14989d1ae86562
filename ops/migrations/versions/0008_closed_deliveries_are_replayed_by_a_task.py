"""
closed deliveries are replayed by a task that shows how far it is

Revision: 0008, after 0007.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "replays",
        sa.Column("id", sa.String(length=36), nullable=False, comment="in the order of time"),
        sa.Column("requested_by", sa.String(length=64), nullable=False, comment="client_id; empty: the operator"),
        sa.Column("partner", sa.String(length=14), nullable=False, comment="whose deliveries; empty: everybody's"),
        sa.Column("filters", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False, comment="running, done or cancelled"),
        sa.Column("total", sa.Integer(), nullable=False, comment="what the filters found when it was asked for"),
        sa.Column("replayed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("refused", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("updated_at", sa.String(length=32), nullable=False),
        sa.Column("finished_at", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replays")),
    )
    for column in ("partner", "state"):
        op.create_index(op.f(f"ix_replays_{column}"), "replays", [column])


def downgrade() -> None:
    """Go back before this revision; the data it added is lost."""
    op.drop_table("replays")
