"""
large flows are kept sealed, and taken in by a task that shows how far it is

Revision: 0020, after 0019.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_ME = "(SELECT current_setting('app.partner', true))"
_RULES = {
    "flows": f"partner = {_ME}",
    "flow_pieces": "EXISTS (SELECT FROM flows WHERE id = flow_pieces.flow_id)",
}


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "flows",
        sa.Column(
            "id", sa.String(length=36), nullable=False, comment="in the order of time; the batch of its exchanges"
        ),
        sa.Column("partner", sa.String(length=14), nullable=False, comment="its sender"),
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.Column("caller", sa.JSON(), nullable=False, comment="what the sender's token said when it was sent"),
        sa.Column("adapter", sa.String(length=64), nullable=False),
        sa.Column(
            "state",
            sa.String(length=16),
            nullable=False,
            comment="receiving reading running, then done refused stopped cancelled",
        ),
        sa.Column("pieces", sa.Integer(), server_default="0", nullable=False),
        sa.Column("size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total", sa.Integer(), nullable=True, comment="records in the file, once it was read whole"),
        sa.Column(
            "cursor", sa.Integer(), server_default="0", nullable=False, comment="records whose outcome is recorded"
        ),
        sa.Column(
            "refused", sa.Integer(), server_default="0", nullable=False, comment="records of which nothing was taken"
        ),
        sa.Column("documents", sa.JSON(), nullable=False, comment="counts of documents by what became of them"),
        sa.Column("problem", sa.JSON(), nullable=True, comment="why the whole was refused or stopped"),
        sa.Column("held_by", sa.String(length=36), nullable=True, comment="the loop that works on it"),
        sa.Column("held_until", sa.String(length=32), nullable=True),
        sa.Column("not_before", sa.String(length=32), nullable=True, comment="waits for a limit until then"),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("updated_at", sa.String(length=32), nullable=False),
        sa.Column("finished_at", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flows")),
    )
    for column in ("partner", "state"):
        op.create_index(op.f(f"ix_flows_{column}"), "flows", [column])
    op.create_table(
        "flow_pieces",
        sa.Column("flow_id", sa.String(length=36), nullable=False),
        sa.Column("part", sa.String(length=8), nullable=False, comment="body, or report"),
        sa.Column("number", sa.Integer(), nullable=False, comment="of a report, the first of its records"),
        sa.Column("sealed", sa.LargeBinary(), nullable=False, comment="under the gateway's own key"),
        sa.PrimaryKeyConstraint("flow_id", "part", "number", name=op.f("pk_flow_pieces")),
    )
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, rule in _RULES.items():
        op.execute(f"CREATE POLICY wall ON {table} USING ({_ME} = '*' OR {rule})")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    """Go back before this revision; the data it added is lost."""
    op.drop_table("flow_pieces")
    op.drop_table("flows")
