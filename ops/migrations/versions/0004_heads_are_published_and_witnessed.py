"""
heads are published and witnessed

Revision: 0004, after 0003.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision; the heads signed so far were shown to the outside at once."""
    op.add_column(
        "ledger_checkpoints",
        sa.Column(
            "published_at", sa.String(length=32), nullable=True, comment="when it was first shown to the outside"
        ),
    )
    op.add_column(
        "ledger_checkpoints",
        sa.Column(
            "witnessed_at", sa.String(length=32), nullable=True, comment="when the quorum of witnesses had cosigned it"
        ),
    )
    op.create_index(
        "ix_ledger_checkpoints_witnessed",
        "ledger_checkpoints",
        ["size"],
        sqlite_where=sa.text("witnessed_at IS NOT NULL"),
        postgresql_where=sa.text("witnessed_at IS NOT NULL"),
    )
    op.create_table(
        "ledger_policies",
        sa.Column("digest", sa.String(length=64), nullable=False, comment="SHA-256 of the policy file, in hexadecimal"),
        sa.Column(
            "since", sa.String(length=32), nullable=False, comment="when this gateway first asked these witnesses"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_ledger_policies")),
    )
    heads = sa.table("ledger_checkpoints", sa.column("signed_at"), sa.column("published_at"))
    op.execute(sa.update(heads).values(published_at=heads.c.signed_at))


def downgrade() -> None:
    """Go back before this revision; the data it added is lost."""
    op.drop_table("ledger_policies")
    op.drop_index("ix_ledger_checkpoints_witnessed", "ledger_checkpoints")
    with op.batch_alter_table("ledger_checkpoints", schema=None) as batch_op:
        batch_op.drop_column("witnessed_at")
        batch_op.drop_column("published_at")
