"""
agreements end and notices are followed

Revision: 0002, after 0001.
"""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_DAYS = {"one_day": 1, "one_month": 31, "six_months": 182, "one_year": 365}


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "sms_requests",
        sa.Column(
            "correlation", sa.String(length=43), nullable=False, comment="unguessable; comes back with the reply"
        ),
        sa.Column("agreement_id", sa.String(length=36), nullable=False),
        sa.Column("subject_id", sa.String(length=36), nullable=False),
        sa.Column("collected_by", sa.String(length=14), nullable=False),
        sa.Column(
            "phone",
            sa.LargeBinary(length=33),
            nullable=False,
            comment="blind index of the correlation and the number",
        ),
        sa.Column(
            "sealed",
            sa.LargeBinary(),
            nullable=True,
            comment="the consent document and the question; null once answered",
        ),
        sa.Column("requested_at", sa.String(length=32), nullable=False),
        sa.Column("expires_at", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False, comment="pending, given or refused"),
        sa.PrimaryKeyConstraint("correlation", name=op.f("pk_sms_requests")),
        sa.UniqueConstraint("agreement_id", name=op.f("uq_sms_requests_agreement_id")),
    )
    op.create_index(op.f("ix_sms_requests_subject_id"), "sms_requests", ["subject_id"])
    op.create_index(op.f("ix_sms_requests_expires_at"), "sms_requests", ["expires_at"])
    op.create_table(
        "notices",
        sa.Column("delivery_id", sa.String(length=36), nullable=False),
        sa.Column("cause", sa.String(length=16), nullable=False, comment="withdrawal, objection or erasure"),
        sa.Column("about", sa.String(length=36), nullable=False, comment="the agreement taken back, or the objection"),
        sa.Column(
            "due_at", sa.String(length=32), nullable=False, comment="when its recipient must have acknowledged it"
        ),
        sa.Column(
            "remind_at", sa.String(length=32), nullable=True, comment="when it is offered again; null once it is closed"
        ),
        sa.Column("reminders", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "overdue_at", sa.String(length=32), nullable=True, comment="when the ledger recorded that it was late"
        ),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_notices_delivery_id_deliveries")),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_notices")),
    )
    op.create_index(
        "ix_notices_open",
        "notices",
        ["due_at", "delivery_id"],
        sqlite_where=sa.text("remind_at IS NOT NULL"),
        postgresql_where=sa.text("remind_at IS NOT NULL"),
    )
    op.add_column(
        "agreements",
        sa.Column("event_id", sa.String(length=36), nullable=True, comment="its recording in the ledger"),
    )
    op.add_column(
        "agreements",
        sa.Column(
            "ends_at", sa.String(length=32), nullable=True, comment="when it will end by itself; null once it ended"
        ),
    )
    op.create_index(op.f("ix_agreements_ends_at"), "agreements", ["ends_at"])
    op.create_index("ix_agreements_collected_by_recorded_at_id", "agreements", ["collected_by", "recorded_at", "id"])
    op.create_index(op.f("ix_objections_until"), "objections", ["until"])
    op.create_index(op.f("ix_documents_received_at"), "documents", ["received_at"])
    _say_when_agreements_end()


def downgrade() -> None:
    """Go back before this revision; the data it added is lost."""
    op.drop_index(op.f("ix_documents_received_at"), "documents")
    op.drop_index(op.f("ix_objections_until"), "objections")
    op.drop_index("ix_agreements_collected_by_recorded_at_id", "agreements")
    op.drop_index(op.f("ix_agreements_ends_at"), "agreements")
    with op.batch_alter_table("agreements", schema=None) as batch_op:
        batch_op.drop_column("ends_at")
        batch_op.drop_column("event_id")
    op.drop_table("notices")
    op.drop_table("sms_requests")


def _say_when_agreements_end() -> None:
    """Write the term of the agreements already given, for the keeper to find it."""
    agreements = sa.table("agreements", sa.column("id"), sa.column("decisive", sa.JSON), sa.column("ends_at"))
    connection = op.get_bind()
    for row in connection.execute(sa.select(agreements.c.id, agreements.c.decisive)).all():
        said = row.decisive
        ends = [datetime.fromisoformat(said["valid_until"])] if "valid_until" in said else []
        if said.get("duration") in _DAYS:
            ends.append(datetime.fromisoformat(said["valid_from"]) + timedelta(days=_DAYS[said["duration"]]))
        if said["state"] == "given" and ends:
            text = min(ends).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            connection.execute(sa.update(agreements).where(agreements.c.id == row.id).values(ends_at=text))
