"""
a directory of services

Revision: 0015, after 0014.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "directory_structures",
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("siret", sa.String(length=14), nullable=True),
        sa.Column("record", sa.JSON(), nullable=False, comment="data-inclusion, schema v1: public data, about nobody"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_directory_structures")),
    )
    op.create_index(op.f("ix_directory_structures_source"), "directory_structures", ["source"])
    op.create_table(
        "directory_services",
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("structure_id", sa.String(length=200), nullable=False),
        sa.Column(
            "record",
            sa.JSON(),
            nullable=False,
            comment="data-inclusion, schema v1, without the name of the contact",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_directory_services")),
    )
    op.create_index(op.f("ix_directory_services_source"), "directory_services", ["source"])
    op.create_table(
        "directory_facets",
        sa.Column("facet", sa.String(length=8), nullable=False, comment="theme public zone place"),
        sa.Column("value", sa.String(length=120), nullable=False),
        sa.Column("service_id", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("facet", "value", "service_id", name=op.f("pk_directory_facets")),
    )
    op.create_index(op.f("ix_directory_facets_service_id"), "directory_facets", ["service_id"])


def downgrade() -> None:
    """Go back before this revision; the data it added is lost."""
    for table in ("directory_facets", "directory_services", "directory_structures"):
        op.drop_table(table)
