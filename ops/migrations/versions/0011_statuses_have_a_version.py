"""
statuses have a version, and older ones do not follow newer ones

Revision: 0011, after 0010.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.add_column("exchanges", sa.Column("version", sa.Integer(), nullable=True, comment="the sequence of a status"))


def downgrade() -> None:
    """Go back before this revision; the data it added is lost."""
    with op.batch_alter_table("exchanges", schema=None) as batch_op:
        batch_op.drop_column("version")
