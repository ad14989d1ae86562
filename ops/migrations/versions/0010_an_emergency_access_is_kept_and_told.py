"""
an emergency access is kept and told

Revision: 0010, after 0009.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "break_glass",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("subject_id", sa.String(length=36), nullable=False),
        sa.Column("convention_id", sa.String(length=64), nullable=False),
        sa.Column("convention_version", sa.Integer(), nullable=False),
        sa.Column("convention_hash", sa.String(length=64), nullable=False),
        sa.Column("flow", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("sender", sa.String(length=14), nullable=False, comment="who opened it"),
        sa.Column("recipient", sa.String(length=14), nullable=False),
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column(
            "sealed",
            sa.LargeBinary(),
            nullable=False,
            comment="the person, the professional and why, under the subject's key",
        ),
        sa.Column("opened_at", sa.String(length=32), nullable=False),
        sa.Column("until", sa.String(length=32), nullable=False),
        sa.Column("ended_at", sa.String(length=32), nullable=True, comment="when it ended, and the ledger says so"),
        sa.Column("review_due_at", sa.String(length=32), nullable=False),
        sa.Column("reviewed_at", sa.String(length=32), nullable=True),
        sa.Column("reviewed_by", sa.String(length=14), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True, comment="justified or unjustified"),
        sa.Column(
            "overdue_at",
            sa.String(length=32),
            nullable=True,
            comment="when the ledger recorded that its review was late",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_break_glass")),
    )
    op.create_index(op.f("ix_break_glass_subject_id"), "break_glass", ["subject_id"])
    op.create_index(op.f("ix_break_glass_sender"), "break_glass", ["sender"])
    op.create_index("ix_break_glass_opened_at_id", "break_glass", ["opened_at", "id"])
    op.create_table(
        "break_glass_mails",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("opening_id", sa.String(length=36), nullable=False),
        sa.Column("party", sa.String(length=14), nullable=False),
        sa.Column(
            "address",
            sa.String(length=254),
            nullable=False,
            comment="of the party's DPO, as the signed convention says",
        ),
        sa.Column("cause", sa.String(length=16), nullable=False, comment="opened, ended, reviewed or overdue"),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("next_attempt_at", sa.String(length=32), nullable=True, comment="null once the mail server has it"),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sent_at", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_break_glass_mails")),
    )
    op.create_index(op.f("ix_break_glass_mails_opening_id"), "break_glass_mails", ["opening_id"])
    op.create_index(op.f("ix_break_glass_mails_next_attempt_at"), "break_glass_mails", ["next_attempt_at"])


def downgrade() -> None:
    """Go back before this revision; the data it added is lost."""
    op.drop_table("break_glass_mails")
    op.drop_table("break_glass")
