"""
who was erased is set aside

Revision: 0013, after 0012.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "erasures",
        sa.Column("person", sa.String(length=36), nullable=False, comment="the subject that was erased"),
        sa.Column(
            "objections_kept", sa.Boolean(), nullable=False, comment="whether objections in force were kept apart"
        ),
        sa.PrimaryKeyConstraint("person", name=op.f("pk_erasures")),
    )


def downgrade() -> None:
    """Go back before this revision; the data it added is lost."""
    op.drop_table("erasures")
