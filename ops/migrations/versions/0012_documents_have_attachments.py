"""
documents have attachments

Revision: 0012, after 0011.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "attachments",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("exchange_id", sa.String(length=36), nullable=False),
        sa.Column("document_id", sa.String(length=36), nullable=False),
        sa.Column("subject_id", sa.String(length=36), nullable=False),
        sa.Column("sender", sa.String(length=14), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=33), nullable=True, comment="blind index of its SHA-256"),
        sa.Column("size", sa.Integer(), nullable=True),
        sa.Column("chunks", sa.Integer(), nullable=False),
        sa.Column(
            "state", sa.String(length=16), nullable=False, comment="receiving quarantined clean unscanned infected"
        ),
        sa.Column("verdict", sa.String(length=64), nullable=True, comment="what the antivirus found"),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("updated_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attachments")),
    )
    for column in ("document_id", "exchange_id", "state", "subject_id"):
        op.create_index(op.f(f"ix_attachments_{column}"), "attachments", [column])
    op.create_table(
        "attachment_chunks",
        sa.Column("attachment_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "sealed", sa.LargeBinary(), nullable=False, comment="a megabyte of the file, under the subject's key"
        ),
        sa.PrimaryKeyConstraint("attachment_id", "number", name=op.f("pk_attachment_chunks")),
    )


def downgrade() -> None:
    """Go back before this revision; the data it added is lost."""
    op.drop_table("attachment_chunks")
    op.drop_table("attachments")
