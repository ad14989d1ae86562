"""
who was erased is set aside

Revision: 0016, after 0015.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
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
