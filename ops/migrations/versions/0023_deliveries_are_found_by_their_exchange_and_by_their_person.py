"""
a recipient's deliveries of an exchange, and those on their way about a person, are found by an index that holds nothing else

The row-level security of exchanges asks for the first at each row, and the mailbox for the second at each delivery: without
statistics, on a new database, PostgreSQL read the whole mailbox for each.

Revision: 0023, after 0022.
"""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_index("ix_deliveries_exchange", "deliveries", ["exchange_id", "recipient"])
    op.create_index("ix_deliveries_person", "deliveries", ["subject_id", "recipient", "state"])
    op.drop_index("ix_deliveries_exchange_id", "deliveries")
    op.drop_index("ix_deliveries_subject_id", "deliveries")


def downgrade() -> None:
    """Undo this revision."""
    op.create_index(op.f("ix_deliveries_subject_id"), "deliveries", ["subject_id"])
    op.create_index(op.f("ix_deliveries_exchange_id"), "deliveries", ["exchange_id"])
    op.drop_index("ix_deliveries_person", "deliveries")
    op.drop_index("ix_deliveries_exchange", "deliveries")
