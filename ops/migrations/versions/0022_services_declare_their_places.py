"""
services of the directory declare their open places

Revision: 0022, after 0021.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "directory_capacities",
        sa.Column(
            "service_id", sa.String(length=200), nullable=False, comment="kept when its source is imported again"
        ),
        sa.Column("places", sa.Integer(), nullable=False, comment="open when it was declared"),
        sa.Column("until", sa.String(length=10), nullable=False, comment="last day on which it holds (Paris)"),
        sa.Column("declared_by", sa.String(length=14), nullable=False),
        sa.Column("declared_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("service_id", name=op.f("pk_directory_capacities")),
    )
    op.create_index(op.f("ix_directory_capacities_until"), "directory_capacities", ["until"])


def downgrade() -> None:
    """Go back before this revision; the data it added is lost."""
    op.drop_index(op.f("ix_directory_capacities_until"), "directory_capacities")
    op.drop_table("directory_capacities")
