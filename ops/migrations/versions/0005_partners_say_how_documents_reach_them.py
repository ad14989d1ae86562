"""
partners say how documents reach them; attempts are kept; a closed delivery can be replayed

Revision: 0005, after 0004.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "endpoints",
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.Column("partner", sa.String(length=14), nullable=False),
        sa.Column("transport", sa.String(length=16), nullable=False, comment="pull, webhook, sftp or amqp"),
        sa.Column("kinds", sa.JSON(none_as_null=True), nullable=True, comment="what it takes; null: every kind"),
        sa.Column("settings", sa.JSON(), nullable=False, comment="what the partner set; no secret"),
        sa.Column("sealed", sa.LargeBinary(), nullable=True, comment="its secrets, under the gateway's own key"),
        sa.Column("policy", sa.JSON(), nullable=False, comment="how long to try, and when to suspend"),
        sa.Column("allowance", sa.JSON(), nullable=False, comment="networks and ports that the operator opened for it"),
        sa.Column("state", sa.String(length=16), nullable=False, comment="active or suspended"),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False, comment="in a row"),
        sa.Column("failing_since", sa.String(length=32), nullable=True),
        sa.Column("next_attempt_at", sa.String(length=32), nullable=True),
        sa.Column("last_success_at", sa.String(length=32), nullable=True),
        sa.Column("last_error", sa.String(length=64), nullable=True),
        sa.Column("suspended_at", sa.String(length=32), nullable=True),
        sa.Column("updated_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["systems.client_id"], name=op.f("fk_endpoints_client_id_systems")),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_endpoints")),
    )
    op.create_index(op.f("ix_endpoints_partner"), "endpoints", ["partner"])
    op.create_table(
        "delivery_attempts",
        sa.Column("id", sa.String(length=36), nullable=False, comment="in the order of time"),
        sa.Column("delivery_id", sa.String(length=36), nullable=True, comment="null: a test of the endpoint"),
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.Column("transport", sa.String(length=16), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False, comment="taken, waits, refused or failed"),
        sa.Column("code", sa.String(length=64), nullable=True),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        sa.Column(
            "sealed", sa.LargeBinary(), nullable=True, comment="the beginning of the reply, under the subject's key"
        ),
        sa.Column("attempted_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_attempts")),
    )
    for column in ("attempted_at", "client_id", "delivery_id"):
        op.create_index(op.f(f"ix_delivery_attempts_{column}"), "delivery_attempts", [column])
    op.add_column(
        "deliveries",
        sa.Column(
            "refusals",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="attempts that failed by its own fault",
        ),
    )
    op.add_column(
        "deliveries",
        sa.Column("parent", sa.String(length=36), nullable=True, comment="the closed delivery that this one replays"),
    )
    op.add_column(
        "deliveries",
        sa.Column("replay_id", sa.String(length=36), nullable=True, comment="the task that asked for it"),
    )
    op.create_index("uq_deliveries_parent", "deliveries", ["parent"], unique=True)
    op.create_index(op.f("ix_deliveries_replay_id"), "deliveries", ["replay_id"])


def downgrade() -> None:
    """Go back before this revision; the data it added is lost."""
    op.drop_index(op.f("ix_deliveries_replay_id"), "deliveries")
    op.drop_index("uq_deliveries_parent", "deliveries")
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.drop_column("replay_id")
        batch_op.drop_column("parent")
        batch_op.drop_column("refusals")
    op.drop_table("delivery_attempts")
    op.drop_table("endpoints")
