"""
the ledger keeps no index that nobody reads, and past volumes are found without reading them all

Revision: 0021, after 0020.
"""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.drop_index("ix_ledger_events_delivery_id", "ledger_events")
    op.drop_index("ix_ledger_events_occurred_at_id", "ledger_events")
    op.create_index("ix_ledger_events_occurred_at", "ledger_events", ["occurred_at"])
    op.create_index(op.f("ix_volumes_period"), "volumes", ["period"])


def downgrade() -> None:
    """Undo this revision."""
    op.drop_index(op.f("ix_volumes_period"), "volumes")
    op.drop_index("ix_ledger_events_occurred_at", "ledger_events")
    op.create_index("ix_ledger_events_occurred_at_id", "ledger_events", ["occurred_at", "id"])
    op.create_index(op.f("ix_ledger_events_delivery_id"), "ledger_events", ["delivery_id"])
