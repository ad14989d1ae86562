"""
systems say how they are known and what their tokens are bound to; invitations to register

Revision: 0006, after 0005.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "invitations",
        sa.Column(
            "token", sa.LargeBinary(length=32), nullable=False, comment="SHA-256 of the initial access token (RFC 7591)"
        ),
        sa.Column("partner", sa.String(length=14), nullable=False),
        sa.Column(
            "security",
            sa.JSON(),
            nullable=False,
            comment="what the operator allows the systems registered with it",
        ),
        sa.Column("uses", sa.Integer(), nullable=False, comment="registrations that it still lets in"),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("expires_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["partner"], ["partners.siret"], name=op.f("fk_invitations_partner_partners")),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_invitations")),
    )
    op.create_index(op.f("ix_invitations_expires_at"), "invitations", ["expires_at"])
    with op.batch_alter_table("systems") as table:
        table.add_column(
            sa.Column(
                "security",
                sa.JSON(),
                nullable=False,
                server_default="{}",
                comment="how it authenticates, what its tokens are bound to",
            )
        )
        table.add_column(
            sa.Column("secret", sa.LargeBinary(length=32), nullable=True, comment="SHA-256 of a sandbox secret")
        )
        table.add_column(
            sa.Column(
                "registration_token",
                sa.LargeBinary(length=32),
                nullable=True,
                comment="SHA-256; lets the system manage its registration",
            )
        )
    # What every system had before: bearer tokens, which from now on are for trials only.
    op.execute("""UPDATE systems SET security = '{"binding": "bearer", "sandbox": true}'""")


def downgrade() -> None:
    """Undo this revision; what each system's registration demanded is lost."""
    with op.batch_alter_table("systems") as table:
        table.drop_column("registration_token")
        table.drop_column("secret")
        table.drop_column("security")
    op.drop_table("invitations")
