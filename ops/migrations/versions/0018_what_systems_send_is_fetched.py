"""
what systems send is fetched, or comes signed in their own way

Revision: 0018, after 0017.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_ME = "(SELECT current_setting('app.partner', true))"


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "sources",
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.Column("partner", sa.String(length=14), nullable=False),
        sa.Column("way", sa.String(length=16), nullable=False, comment="api, or the name of a hook or a connector"),
        sa.Column("settings", sa.JSON(), nullable=False, comment="what the partner set; no secret"),
        sa.Column("sealed", sa.LargeBinary(), nullable=True, comment="its secrets, under the gateway's own key"),
        sa.Column("cursor", sa.JSON(), nullable=False, comment="where it was left: hours and numbers of messages"),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False, comment="in a row"),
        sa.Column("next_pull_at", sa.String(length=32), nullable=True),
        sa.Column("held_until", sa.String(length=32), nullable=True, comment="one process asks at a time"),
        sa.Column("last_success_at", sa.String(length=32), nullable=True),
        sa.Column("last_error", sa.String(length=64), nullable=True),
        sa.Column("updated_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["systems.client_id"], name=op.f("fk_sources_client_id_systems")),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_sources")),
    )
    op.create_table(
        "elsewhere",
        sa.Column("id", sa.String(length=36), nullable=False, comment="of a delivery or of a document"),
        sa.Column("partner", sa.String(length=14), nullable=False),
        sa.Column(
            "reference", sa.String(length=64), nullable=False, comment="what it is called there: a folder, a case"
        ),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_elsewhere")),
    )
    op.create_index(op.f("ix_elsewhere_at"), "elsewhere", ["at"], unique=False)
    op.create_index(op.f("ix_sources_partner"), "sources", ["partner"], unique=False)
    if op.get_bind().dialect.name == "postgresql":
        for table in ("sources", "elsewhere"):
            op.execute(f"CREATE POLICY wall ON {table} USING ({_ME} = '*' OR partner = {_ME})")
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    """Undo this revision."""
    op.drop_index(op.f("ix_sources_partner"), table_name="sources")
    op.drop_table("sources")
    op.drop_index(op.f("ix_elsewhere_at"), table_name="elsewhere")
    op.drop_table("elsewhere")
