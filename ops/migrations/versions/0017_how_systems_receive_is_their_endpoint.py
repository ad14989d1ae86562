"""
how systems receive is their endpoint

The two columns were written and never read: what a system set since is in the table `endpoints`, and the others come to
their mailbox.

Revision: 0017, after 0016.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    # Not in a batch: on SQLite that makes the table anew, which what refers to it forbids.
    op.drop_column("systems", "delivery_settings")
    op.drop_column("systems", "delivery")


def downgrade() -> None:
    """Undo this revision."""
    kind = sa.Column("delivery", sa.String(length=16), nullable=False, server_default="pull", comment="pull or webhook")
    op.add_column("systems", kind)
    op.add_column("systems", sa.Column("delivery_settings", sa.JSON(), nullable=False, server_default="{}"))
