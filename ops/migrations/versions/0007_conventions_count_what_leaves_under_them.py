"""
conventions count what leaves under them

Revision: 0007, after 0006.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "volumes",
        sa.Column("convention_id", sa.String(length=64), nullable=False),
        sa.Column("sender", sa.String(length=14), nullable=False),
        sa.Column("period", sa.String(length=20), nullable=False, comment="a day in France, or a minute in UTC"),
        sa.Column("documents", sa.Integer(), nullable=False, comment="accepted from this sender under the convention"),
        sa.PrimaryKeyConstraint("convention_id", "sender", "period", name=op.f("pk_volumes")),
    )


def downgrade() -> None:
    """Go back before this revision; the counts are lost."""
    op.drop_table("volumes")
