"""
people sign in

Revision: 0009, after 0008.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "people",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("login", sa.String(length=64), nullable=False, comment="of an agent of the gateway or a partner"),
        sa.Column(
            "password", sa.String(length=200), nullable=True, comment="argon2id; null: signs in at the OpenID provider"
        ),
        sa.Column("totp", sa.LargeBinary(), nullable=True, comment="the TOTP secret, under the gateway's own key"),
        sa.Column("totp_step", sa.Integer(), nullable=False, comment="the last time step whose code was used"),
        sa.Column("openid_subject", sa.String(length=255), nullable=True),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column(
            "partner",
            sa.String(length=14),
            nullable=False,
            comment="whose exchanges an operator follows; empty: none",
        ),
        sa.Column("failures", sa.Integer(), nullable=False, comment="in a row"),
        sa.Column("locked_until", sa.String(length=32), nullable=True),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("disabled_at", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
        sa.UniqueConstraint("login", name=op.f("uq_people_login")),
        sa.UniqueConstraint("openid_subject", name=op.f("uq_people_openid_subject")),
    )
    op.create_table(
        "person_sessions",
        sa.Column("id", sa.String(length=64), nullable=False, comment="the SHA-256 of the cookie"),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("login", sa.String(length=64), nullable=False),
        sa.Column("roles", sa.JSON(), nullable=False, comment="as they were at sign-in"),
        sa.Column("partner", sa.String(length=14), nullable=False),
        sa.Column("browser", sa.String(length=64), nullable=False, comment="the SHA-256 of its User-Agent"),
        sa.Column("id_token", sa.LargeBinary(), nullable=True, comment="the provider's, under the gateway's own key"),
        sa.Column("opened_at", sa.String(length=32), nullable=False),
        sa.Column("seen_at", sa.String(length=32), nullable=False),
        sa.Column("ended_at", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person_sessions")),
    )
    op.create_index(op.f("ix_person_sessions_opened_at"), "person_sessions", ["opened_at"])
    op.create_index(op.f("ix_person_sessions_person_id"), "person_sessions", ["person_id"])


def downgrade() -> None:
    """Go back before this revision; accounts and sessions are lost."""
    op.drop_table("person_sessions")
    op.drop_table("people")
