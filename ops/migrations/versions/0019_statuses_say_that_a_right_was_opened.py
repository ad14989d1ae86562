"""
statuses say that a right was opened, for the indicators to count

Not filled for what was taken in before: the documents are sealed under each person's key, and a migration opens none.

Revision: 0019, after 0018.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_COMMENT = (
    "whether a status that was let through says that a right was opened, which right is not said; null of anything else"
)


def upgrade() -> None:
    """Apply this revision."""
    op.add_column("exchanges", sa.Column("right_opened", sa.Boolean(), nullable=True, comment=_COMMENT))


def downgrade() -> None:
    """Go back before this revision; the data it added is lost."""
    op.drop_column("exchanges", "right_opened")
